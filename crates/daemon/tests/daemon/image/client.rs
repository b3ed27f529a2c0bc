//! The stock client with this daemon and with dockerd: the same answers.

use std::{collections::BTreeMap, fmt::Write, path::Path, process::Command};

use testkit::{dockerd::Dockerd, longshored::Longshored};

use super::registry;

/// What `docker` is asked to do, in this order. `R` is a registry, `DIR` a directory of its own.
const STEPS: &[&str] = &[
    "pull R/lib/docker:1",
    "pull R/lib/docker:1",
    "pull -q R/lib/built:1",
    "pull R/lib/oci:1",
    "pull R/lib/multi:1",
    "pull R/lib/nosuch:1",
    "pull R/lib/foreign:1",
    "pull -a R/lib/docker",
    "images",
    "images --digests",
    "images -q --no-trunc",
    "tag R/lib/docker:1 bb:1",
    "tag R/lib/docker:1 bb:2",
    "tag nosuch:1 bb:3",
    "tag bb:1 BB:3",
    "images bb",
    "images --filter reference=b*",
    "images --filter dangling=true",
    "images --filter label=io.buildah.version",
    "history R/lib/built:1 --no-trunc",
    "history bb:1",
    "history nosuch",
    "inspect --type image -f {{json.Config}} R/lib/built:1",
    "inspect --type image -f {{.RepoTags}}{{.RepoDigests}}{{.Architecture}}{{.Os}}{{.Size}}{{.RootFS}}{{.Id}}{{.Created}} bb:1",
    "save bb:1 bb:2 -o DIR/saved.tar",
    "rmi bb:1",
    "rmi bb:1",
    "rmi bb:2",
    "load -i DIR/saved.tar",
    "load -q -i DIR/saved.tar",
    "import DIR/tree.tar imp:1",
    "import -m hello -c CMD=[\"/f\"] DIR/tree.tar imp:2",
    "import -c RUN=x DIR/tree.tar imp:3",
    "import DIR/tree.tar",
    "inspect --type image -f {{json.Config}}{{.Comment}} imp:2",
    "history --format {{.CreatedBy}}{{.Size}}{{.Comment}} imp:2",
    "tag imp:1 R/new/imp:1",
    "tag imp:1 R/new/imp:2",
    "push R/new/imp:1",
    "push R/new/imp:1",
    "push -a R/new/imp",
    "push R/new/nosuch",
    "rmi R/new/imp:1 R/new/imp:2",
    "pull R/new/imp:1",
    "rmi nosuch",
    "image rm R/lib/multi:1",
    "image prune -f",
    "image prune -a -f --filter until=10h",
    "images -a --format {{.Repository}}:{{.Tag}}{{.Size}}",
    "image prune -a -f",
    "images",
];

#[test]
fn the_client_sees_what_dockerd_shows() {
    let (ours, theirs) = (Longshored::start(), Dockerd::start());
    let ours = transcript(|args| ours.docker(args));
    let theirs = transcript(|args| theirs.docker(args));
    for ((step, ours), theirs) in STEPS.iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours, theirs, "docker {step}");
    }
}

/// What each step says, and how it exits.
fn transcript(docker: impl Fn(&[&str]) -> Command) -> Vec<String> {
    let (registry, dir) = (registry(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("tree.tar"), super::tar(&[("f", b"a file")])).unwrap();
    let mut names = Names::default();
    STEPS.iter().map(|step| said(&docker, step, registry.host(), dir.path(), &mut names)).collect()
}

fn said(
    docker: &impl Fn(&[&str]) -> Command,
    step: &str,
    registry: &str,
    dir: &Path,
    names: &mut Names,
) -> String {
    let words = step.split(' ').map(|word| {
        let word = match (word.strip_prefix("R/"), word.strip_prefix("DIR/")) {
            (Some(name), _) => format!("{registry}/{name}"),
            (_, Some(file)) => dir.join(file).display().to_string(),
            _ => word.to_owned(),
        };
        // Words with a space in them, written without.
        word.replace("{{json.", "{{json .")
            .replace("CMD=", "CMD ")
            .replace("RUN=", "RUN ")
            .replace("}}{{", "}} {{")
    });
    let words: Vec<String> = words.collect();
    let output = docker(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let is_list = ["images", "image prune"].iter().any(|list| step.starts_with(list));
    let lines = text.lines().filter(|line| !is_passing(line));
    // Manifests are written by two programs.
    let sized = |line: &str| line.split(" size: ").next().unwrap_or_default().replace(registry, "R");
    let mut lines: Vec<_> = lines.map(sized).collect();
    // What is of the same second comes in any order.
    if is_list {
        lines.sort();
    }
    // Columns are as wide as the registry's name.
    let plain = |line: &String| names.plain(line).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<_> = lines.iter().map(plain).collect();
    if is_list {
        lines.sort();
    }
    let mut said = lines.join("\n");
    write!(said, "\nexit {}", output.status.code().unwrap()).unwrap();
    said
}

/// Whether a line tells of a transfer's step that one may see, and may miss.
fn is_passing(line: &str) -> bool {
    const STEPS: [&str; 5] = ["Waiting", "Verifying Checksum", "Download complete", "Preparing", "Retrying"];
    STEPS.iter().any(|step| line.ends_with(step))
}

/// Digests by the order in which they come: those of what is made here have its time in them.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn plain(&mut self, line: &str) -> String {
        let mut plain = String::new();
        let mut rest = line;
        while !rest.is_empty() {
            let length = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            if word.len() == 12 || word.len() == 64 {
                let next = self.0.len();
                let number = *self.0.entry(word[..12].to_owned()).or_insert(next);
                write!(plain, "#{number}").unwrap();
            } else {
                plain.push_str(word);
            }
            let skipped = after.chars().next().map_or(0, char::len_utf8);
            plain.push_str(&after[..skipped]);
            rest = &after[skipped..];
        }
        plain
    }
}
