//! Running a script with both engines, and telling what differs.

use std::{fmt::Write, process::Output};

use crate::{engine::Engine, normal::normal};

/// How much of a line is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    All,
    Code,
    Nothing,
}

/// What was to be seen of one line.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    code: Option<i32>,
    output: String,
    messages: String,
}

/// Runs the script with both at the same time.
///
/// # Panics
/// If they differ, with all differences.
pub(crate) fn compare(script: &str) {
    let lines = parse(script);
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(&Engine::reference(), &lines));
        let ours = run(&Engine::ours(), &lines);
        (ours, theirs.join().expect("the reference"))
    });
    let mut report = String::new();
    let mut different = 0;
    for (((compared, line), ours), theirs) in lines.iter().zip(&ours).zip(&theirs) {
        let same = match compared {
            Compared::All => ours == theirs,
            Compared::Code => ours.code == theirs.code,
            Compared::Nothing => true,
        };
        if !same {
            different += 1;
            writeln!(report, "$ {line}\nours:   {ours}\ntheirs: {theirs}").expect("a string");
        }
    }
    assert!(different == 0, "{different} of {} lines differ:\n{report}", lines.len());
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.code)?;
        for (mark, text) in [("|", &self.output), ("!", &self.messages)] {
            for line in text.lines() {
                write!(f, "\n    {mark} {line}")?;
            }
        }
        Ok(())
    }
}

fn parse(script: &str) -> Vec<(Compared, &str)> {
    let mut compared = Compared::All;
    let mut lines = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('#') {
            Some(note) if note.starts_with('~') => compared = Compared::Code,
            Some(note) if note.starts_with('!') => compared = Compared::Nothing,
            Some(_) => {}
            None => {
                lines.push((compared, line));
                compared = Compared::All;
            }
        }
    }
    lines
}

fn run(engine: &Engine, lines: &[(Compared, &str)]) -> Vec<Seen> {
    let place = engine.place().display().to_string();
    lines.iter().map(|(_, line)| seen(&engine.run(line), &place)).collect()
}

fn seen(output: &Output, place: &str) -> Seen {
    let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes), place);
    Seen { code: output.status.code(), output: text(&output.stdout), messages: text(&output.stderr) }
}
