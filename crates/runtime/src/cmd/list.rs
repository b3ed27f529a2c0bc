use std::fmt::Write;

use longshore_runtime::state::StateError;

use super::{
    Command, Matches, Outcome,
    flag::{Arguments, Flag, Syntax, UsageError},
    global::Global,
    print, print_json,
    state::ContainerState,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "list",
        flags: &[&[
            Flag::value("format", "format", "table or json").short('f'),
            Flag::switch("quiet", "print container IDs only").short('q'),
        ]],
        arguments: Arguments::Exactly(0),
        flags_first: false,
    },
    arguments: "",
    about: "list the containers of the given root",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let ids = global.root.list()?;
    if matches.has("quiet") {
        return print(ids.iter().fold(String::new(), |text, id| text + id.as_str() + "\n").as_bytes());
    }
    let mut states = Vec::new();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    for id in &ids {
        let state = match global.root.open(id) {
            Ok(dir) => ContainerState::of(&dir),
            Err(error) => Err(error.into()),
        };
        match state {
            Ok((mut state, owner)) => {
                state.owner = owner.map(|uid| user_name(&passwd, uid)).unwrap_or_default();
                states.push(state);
            }
            // Deleted while we looked.
            Err(super::Failure::State(StateError::NotFound { .. })) => {}
            Err(failure) => global.log.error(&failure),
        }
    }
    match matches.text("format") {
        None | Some("" | "table") => print(table(&states).as_bytes()),
        Some("json") => print_json(&states),
        Some(other) => {
            let (value, reason) = (other.into(), "neither table nor json".into());
            Err(UsageError::BadValue { name: "format", value, reason }.into())
        }
    }
}

/// The name of `uid` in the text of a passwd file, or its number as text.
fn user_name(passwd: &str, uid: u32) -> String {
    let number = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then_some(name)
    });
    name.map_or(format!("#{number}"), String::from)
}

/// Columns at least 12 wide and 3 apart, the last one open, as runc prints them.
fn table(states: &[ContainerState]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from)];
    rows.extend(states.iter().map(|state| {
        [
            state.id.to_string(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len() + 3).max().unwrap_or(0).max(12);
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{cell:width$}");
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longshore_runtime::state::{Identity, Record, Status};
    use longshore_types::ContainerId;

    use super::{ContainerState, table, user_name};

    #[test]
    fn the_table_is_runcs() {
        let mut record =
            Record::new(ContainerId::new("t1").unwrap(), Path::new("/tmp/clib/b"), Path::new("/r"));
        record.init = Some(Identity { pid: 24811, start_ticks: 1 });
        record.created = "2026-11-21T07:08:13.791829157Z".into();
        let mut state = ContainerState::new(record, Status::Running);
        state.owner = "root".into();
        let expected = "\
ID          PID         STATUS      BUNDLE        CREATED                          OWNER
t1          24811       running     /tmp/clib/b   2026-11-21T07:08:13.791829157Z   root
";
        assert_eq!(table(&[state]), expected);
    }

    #[test]
    fn owners_have_names_where_there_are_any() {
        let passwd = "root:x:0:0::/:/bin/sh\nbroken\nuser:x:1000:1000::/:/bin/sh\n";
        assert_eq!(user_name(passwd, 0), "root");
        assert_eq!(user_name(passwd, 1000), "user");
        assert_eq!(user_name(passwd, 7), "#7");
    }
}
