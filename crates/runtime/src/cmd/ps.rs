use std::process::{Command as Process, Stdio};

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax, UsageError},
    global::Global,
    print, print_json,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "ps",
        flags: &[&[Flag::value("format", "format", "table or json").short('f')]],
        arguments: Arguments::AtLeast(1),
        flags_first: true,
    },
    arguments: "<container-id> [ps options]",
    about: "display the processes of a container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let table_wanted = match matches.text("format") {
        None | Some("" | "table") => true,
        Some("json") => false,
        Some(other) => {
            let (value, reason) = (other.into(), "neither table nor json".into());
            return Err(UsageError::BadValue { name: "format", value, reason }.into());
        }
    };
    let dir = container::open(global, matches)?;
    let pids = container::cgroup(&dir.record()?)?.pids(true)?;
    if !table_wanted {
        return print_json(&pids);
    }
    // The host's own `ps` knows more columns and options than anyone would write again.
    let options = &matches.arguments[1..];
    let defaults = ["-ef".to_owned()];
    let output = Process::new("ps")
        .args(if options.is_empty() { &defaults } else { options })
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::System { action: "run ps", source })?;
    if !output.status.success() {
        return Err(Failure::Ps { status: output.status });
    }
    print(table(&String::from_utf8_lossy(&output.stdout), &pids)?.as_bytes())
}

/// The header and the lines of `text`, the output of `ps`, whose PID is one of `pids`.
fn table(text: &str, pids: &[i32]) -> Result<String, Failure> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|title| title == "PID").ok_or(Failure::PsColumn)?;
    let is_ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let shown = std::iter::once(header).chain(lines.filter(is_ours));
    Ok(shown.fold(String::new(), |text, line| text + line + "\n"))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn keeps_the_header_and_the_containers_lines() {
        let text = "UID        PID  PPID CMD\nroot         1     0 init\nroot       42     1 sleep 1\n";
        assert_eq!(table(text, &[42, 7]).unwrap(), "UID        PID  PPID CMD\nroot       42     1 sleep 1\n");
        assert_eq!(table(text, &[]).unwrap(), "UID        PID  PPID CMD\n");
        assert_eq!(table("CMD\ninit\n", &[1]).unwrap_err().to_string(), "ps printed no PID column");
    }
}
