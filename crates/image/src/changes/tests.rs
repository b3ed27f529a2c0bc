use longshore_types::oci::ContainerConfig;
use serde_json::{Value, json};

use super::apply;

fn changed(start: Value, changes: &[&str]) -> Result<Value, String> {
    let mut config: ContainerConfig = serde_json::from_value(start).unwrap();
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    apply(&mut config, &changes, &["HOME=/root".to_owned()]).map_err(|problem| problem.to_string())?;
    Ok(serde_json::to_value(config).unwrap())
}

#[test]
fn every_command() {
    for (changes, expected) in [
        (&["CMD [\"/x\", \"a b\"]"][..], json!({"Cmd": ["/x", "a b"]})),
        (&["cmd echo  \"$HOME\""], json!({"Cmd": ["/bin/sh", "-c", "echo  \"$HOME\""]})),
        (&["CMD ['a']"], json!({"Cmd": ["/bin/sh", "-c", "['a']"]})),
        (&["CMD []"], json!({"Cmd": []})),
        (&["ENTRYPOINT [\"/e\"]"], json!({"Entrypoint": ["/e"]})),
        (&["CMD [\"c\"]", "ENTRYPOINT e"], json!({"Cmd": ["c"], "Entrypoint": ["/bin/sh", "-c", "e"]})),
        (&["ENV a=b c=\"d e\" f='$g' h=\\$i"], json!({"Env": ["a=b", "c=d e", "f=$g", "h=$i"]})),
        (&["ENV a b  c"], json!({"Env": ["a=b  c"]})),
        (&["ENV a=1", "ENV a=2 b=$a", "ENV c=${a}x${z:-y}${a:+w}"], json!({"Env": ["a=2", "b=1", "c=2xyw"]})),
        (&["ENV p=$HOME/bin:~"], json!({"Env": ["p=/root/bin:~"]})),
        (
            &["EXPOSE 80 53/UDP 8000-8001"],
            json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}}),
        ),
        (&["LABEL a=b \"c d\"='e f'"], json!({"Labels": {"a": "b", "c d": "e f"}})),
        (&["LABEL a b"], json!({"Labels": {"a": "b"}})),
        (&["ONBUILD RUN  echo hi"], json!({"OnBuild": ["RUN  echo hi"]})),
        (&["USER 1000:100"], json!({"User": "1000:100"})),
        (&["VOLUME /a \"/b c\""], json!({"Volumes": {"/a": {}, "/b c": {}}})),
        (&["VOLUME [\"/a\"]"], json!({"Volumes": {"/a": {}}})),
        (&["WORKDIR /a/./b/..", "WORKDIR c"], json!({"WorkingDir": "/a/c"})),
        (&["STOPSIGNAL SIGINT"], json!({"StopSignal": "SIGINT"})),
        (&["STOPSIGNAL rtmin+3"], json!({"StopSignal": "rtmin+3"})),
        (&["HEALTHCHECK NONE"], json!({"Healthcheck": {"Test": ["NONE"]}})),
        (
            &["HEALTHCHECK --interval=5s --retries=3 CMD curl -f x || exit 1"],
            json!({"Healthcheck": {"Test": ["CMD-SHELL", "curl -f x || exit 1"], "Interval": 5_000_000_000_u64, "Retries": 3}}),
        ),
        (&["HEALTHCHECK CMD [\"a\"]"], json!({"Healthcheck": {"Test": ["CMD", "a"]}})),
        (&["# no\nENV a=1 \\\n  b=2\nUSER x"], json!({"Env": ["a=1", "b=2"], "User": "x"})),
        (&[""], json!({})),
    ] {
        assert_eq!(changed(json!({}), changes), Ok(expected), "{changes:?}");
    }
}

#[test]
fn an_entry_point_drops_the_command_from_before() {
    let start = json!({"Cmd": ["old"], "Shell": ["/bin/ash", "-ec"]});
    let changed = changed(start, &["ENTRYPOINT run"]).unwrap();
    assert_eq!(changed, json!({"Entrypoint": ["/bin/ash", "-ec", "run"], "Shell": ["/bin/ash", "-ec"]}));
}

#[test]
fn says_what_is_wrong() {
    for (change, message) in [
        ("RUN echo", "run is not a valid change command"),
        ("bogus", "bogus is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV requires two arguments"),
        ("ENV =b", "ENV names can not be blank"),
        ("ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        ("ENV a=\"b", "unexpected end of statement while looking for matching quote in \"\\\"b\""),
        ("ENV a=${b", "bad substitution in \"${b\""),
        ("EXPOSE 99999/tcp", "invalid containerPort: 99999/tcp"),
        ("EXPOSE 80/icmp", "invalid containerPort: 80/icmp"),
        ("EXPOSE -", "invalid containerPort: -"),
        ("STOPSIGNAL SIGFOO", "Invalid signal: SIGFOO"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK --interval=-1s CMD x", "invalid value \"-1s\" of --interval: at least 1ms"),
        ("HEALTHCHECK TCP 80", "unknown type \"TCP\" in HEALTHCHECK (try CMD)"),
        ("VOLUME [\"\"]", "VOLUME names can not be blank"),
    ] {
        assert_eq!(changed(json!({}), &[change]), Err(message.to_owned()), "{change}");
    }
}
