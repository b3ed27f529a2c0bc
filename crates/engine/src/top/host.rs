//! The host's `ps`.

use std::process::{Command, Output, Stdio};

use super::{Error, Top};

/// Refuses to let another column have the title by which processes are told apart.
pub(super) fn check(arguments: &str) -> Result<(), Error> {
    // `KEY=PID…` behind a blank; blanks may follow the sign.
    let mut from = 0;
    while let Some(sign) = arguments[from..].find('=').map(|at| from + at) {
        from = sign + 1;
        let value = arguments[from..].trim_start_matches(|c: char| c.is_ascii_whitespace());
        let before = &arguments[..sign];
        let start = before.rfind(|c: char| c.is_ascii_whitespace());
        let Some(key) = start.map(|start| &before[start + 1..]) else { continue };
        if value.starts_with("PID") && key != "pid" {
            let end = value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len());
            return Err(Error::RenamedPid { key: key.into(), value: value[..end].into() });
        }
    }
    Ok(())
}

/// Starts `ps`, and keeps what it says of `pids`.
pub(super) fn run(arguments: &str, pids: &[i32]) -> Result<Top, Error> {
    let arguments: Vec<&str> = arguments.split(' ').filter(|word| !word.is_empty()).collect();
    let list = pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut output = ps(&arguments, Some(&format!("-q{list}")))?;
    if !output.status.success() {
        // Some options do not go with a list.
        output = ps(&arguments, None)?;
    }
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = match message.lines().next() {
            Some(line) if !line.is_empty() => line.to_owned(),
            _ => output.status.to_string(),
        };
        return Err(Error::Failed { message });
    }
    parse(&String::from_utf8_lossy(&output.stdout), pids)
}

fn ps(arguments: &[&str], list: Option<&str>) -> Result<Output, Error> {
    let mut command = Command::new("ps");
    // Titles are looked for by their English names.
    command.args(arguments).args(list).env("LC_ALL", "C").stdin(Stdio::null());
    command.output().map_err(Error::Start)
}

/// The lines of `pids`, and those without a process that follow them: the threads of `ps m`.
pub(super) fn parse(output: &str, pids: &[i32]) -> Result<Top, Error> {
    let mut lines = output.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
    let column = titles.iter().position(|title| title == "PID").ok_or(Error::NoPid)?;
    let mut processes = Vec::new();
    let mut threads = false;
    for line in lines {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(word) = fields.get(column) else { continue };
        if *word == "-" {
            if threads {
                processes.push(row(&fields, titles.len()));
            }
            continue;
        }
        let pid: i32 = word.parse().map_err(|_| Error::BadPid { word: (*word).into() })?;
        threads = pids.contains(&pid);
        if threads {
            processes.push(row(&fields, titles.len()));
        }
    }
    Ok(Top { titles, processes })
}

/// As many columns as there are titles: the last one has the rest.
fn row(fields: &[&str], columns: usize) -> Vec<String> {
    let mut fields = fields.iter();
    let mut row: Vec<String> =
        fields.by_ref().take(columns.saturating_sub(1)).map(|field| (*field).to_owned()).collect();
    row.push(fields.copied().collect::<Vec<_>>().join(" "));
    row
}
