//! C1 9, A7 127 and 128: an archive that we take is one that GNU tar, bsdtar and Python list as we do.

use fastrand::Rng;
use fuzzkit::mutate::{fields, reseal};
use fuzzkit::{corpus, setting};
use longshore_archive::entry::Kind;
use longshore_archive::limits::Limits;
use longshore_archive::tar::Reader;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Changed archives beside those of the corpus.
const ROUNDS: u64 = 3000;

/// A letter for the kind, the name without a slash at its end, the size of a file.
type Listing = Vec<(char, String, u64)>;

/// Python's view of every archive in a directory, as JSON; `null` where it gives up.
const PYTHON: &str = r#"
import json, os, sys, tarfile, warnings
warnings.simplefilter("ignore")
letters = {b"1": "h", b"2": "l", b"3": "c", b"4": "b", b"5": "d", b"6": "p"}
out = {}
for name in os.listdir(sys.argv[1]):
    try:
        with tarfile.open(os.path.join(sys.argv[1], name), "r:", errorlevel=2) as archive:
            entries = [(letters.get(m.type, "-"), m.name.encode("utf-8", "surrogateescape").decode("latin-1"),
                        m.size if letters.get(m.type, "-") == "-" else 0) for m in archive]
        out[name] = entries
    except Exception as error:
        out[name] = None
json.dump(out, sys.stdout)
"#;

/// Our view. `None` where we refuse, or where a name cannot be compared by its print.
fn ours(archive: &[u8]) -> Option<Listing> {
    let mut reader = Reader::new(archive, &Limits::default());
    let mut found = Vec::new();
    while let Ok(next) = reader.next() {
        let Some(entry) = next else { return Some(found) };
        let letter = match entry.kind {
            Kind::File => '-',
            Kind::Hardlink => 'h',
            Kind::Symlink => 'l',
            Kind::CharDevice => 'c',
            Kind::BlockDevice => 'b',
            Kind::Directory => 'd',
            Kind::Fifo => 'p',
        };
        let plain = entry.path.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._".contains(byte));
        if !plain {
            return None;
        }
        let name = String::from_utf8(entry.path).expect("plain");
        found.push((letter, name.trim_end_matches('/').to_owned(), entry.size));
    }
    None
}

fn program(name: &str, arguments: &[&str]) -> Output {
    Command::new(name)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{name} (scripts/setup.sh installs it): {error}"))
}

/// Kinds and names as `tar -tv` prints them, and sizes of files.
fn listed(output: &Output, size_at: usize, name_at: usize) -> Option<Listing> {
    output.status.success().then_some(())?;
    let text = String::from_utf8(output.stdout.clone()).ok()?;
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // A contiguous file is a file.
            let letter = line.chars().next().map(|letter| if letter == 'C' { '-' } else { letter })?;
            let size = if letter == '-' { words.get(size_at)?.parse().ok()? } else { 0 };
            Some((letter, words.get(name_at)?.trim_end_matches('/').to_owned(), size))
        })
        .collect()
}

fn gnu(path: &Path) -> Option<Listing> {
    let path = path.to_str().expect("a plain path");
    listed(&program("tar", &["--numeric-owner", "--force-local", "-tvf", path]), 2, 5)
}

fn bsd(path: &Path) -> Option<Listing> {
    let path = path.to_str().expect("a plain path");
    listed(&program("bsdtar", &["--numeric-owner", "-tvf", path]), 4, 8)
}

/// Hard links are printed with and without the size and letter of their file; a slash at the end of a name
/// is taken off by some.
fn same(theirs: &Listing, ours: &Listing) -> bool {
    theirs.len() == ours.len()
        && theirs.iter().zip(ours).all(|(theirs, ours)| {
            let name = theirs.1.trim_end_matches('/') == ours.1;
            let link = ours.0 == 'h' && matches!(theirs.0, 'h' | '-');
            name && (link || (theirs.0 == ours.0 && theirs.2 == ours.2))
        })
}

#[test]
fn a7_127_a7_128_what_is_taken_is_listed_alike_by_all() {
    let dir = tempfile::tempdir().expect("directory");
    let mut archives = corpus("tar");
    let seeds = archives.len();
    let mut rng = Rng::with_seed(setting("LONGSHORE_FUZZ_SEED", 1));
    for _ in 0..ROUNDS {
        let mut archive = archives[rng.usize(..seeds)].clone();
        fields(&mut archive, &mut rng);
        reseal(&mut archive);
        archives.push(archive);
    }
    archives.sort();
    archives.dedup();
    let mut taken = BTreeMap::new();
    for (number, archive) in archives.iter().enumerate() {
        if let Some(listing) = ours(archive) {
            let name = format!("{number}.tar");
            fs::write(dir.path().join(&name), archive).expect("write");
            taken.insert(name, listing);
        }
    }
    assert!(taken.len() > 100, "only {} archives are taken", taken.len());
    assert!(taken.len() < archives.len(), "nothing is refused");
    let python = program("python3", &["-c", PYTHON, dir.path().to_str().expect("a plain path")]);
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let python: BTreeMap<String, Option<Listing>> = serde_json::from_slice(&python.stdout).expect("JSON");
    let mut differ = Vec::new();
    for (name, ours) in &taken {
        let path = dir.path().join(name);
        for (reader, theirs) in [("python", python[name].clone()), ("gnu", gnu(&path)), ("bsd", bsd(&path))] {
            if !theirs.as_ref().is_some_and(|theirs| same(theirs, ours)) {
                let kept = std::env::temp_dir().join(format!("longshore-disagree-{reader}-{name}"));
                fs::copy(&path, &kept).expect("keep the archive");
                differ.push(format!("{}: {reader} {theirs:?}\n  we {ours:?}", kept.display()));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), taken.len(), differ.join("\n"));
}
