use std::fmt::Write;

use longshore_runtime::spec::OCI_VERSION;

use super::{Command, flag::Flag, global};

/// The text of `--version`, in the form that callers of runc parse.
pub(super) fn version() -> String {
    format!("longshore-runtime version {}\nspec: {OCI_VERSION}\n", env!("CARGO_PKG_VERSION"))
}

/// The help of the whole program.
pub(super) fn program(commands: &[&Command]) -> String {
    let mut text = String::from(
        "longshore-runtime - OCI runtime\n\nUSAGE:\n   longshore-runtime [global options] command [options] [arguments...]\n\nCOMMANDS:\n",
    );
    let rows = commands.iter().map(|command| (command.syntax.command.into(), command.about));
    table(&mut text, rows.collect());
    options(&mut text, "GLOBAL OPTIONS", global::SYNTAX.flags);
    text
}

/// The help of one command.
pub(super) fn command(command: &Command) -> String {
    let name = command.syntax.command;
    let mut text = format!(
        "longshore-runtime {name} - {}\n\nUSAGE:\n   longshore-runtime {name} [options] {}\n",
        command.about, command.arguments
    );
    options(&mut text, "OPTIONS", command.syntax.flags);
    text
}

fn options(text: &mut String, title: &str, flags: &[&[Flag]]) {
    text.push_str(&format!("\n{title}:\n"));
    let shown = flags.iter().copied().flatten().filter(|flag| !flag.hidden);
    let mut rows: Vec<_> = shown.map(|flag| (spelling(flag), flag.about)).collect();
    rows.push(("--help, -h".into(), "show help"));
    table(text, rows);
}

fn spelling(flag: &Flag) -> String {
    let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
    match flag.short {
        Some(letter) => format!("--{}{value}, -{letter}{value}", flag.name),
        None => format!("--{}{value}", flag.name),
    }
}

fn table(text: &mut String, rows: Vec<(String, &str)>) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or_default();
    for (left, right) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "   {left:width$}  {right}");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::COMMANDS, command, program, version};

    #[test]
    fn version_is_two_lines() {
        let version = version();
        let lines: Vec<_> = version.lines().collect();
        assert!(lines[0].starts_with("longshore-runtime version "));
        assert_eq!(lines[1], "spec: 1.3.0");
    }

    #[test]
    fn every_command_is_listed_and_explained() {
        let program = program(COMMANDS);
        for one in COMMANDS {
            assert!(program.contains(&format!("\n   {} ", one.syntax.command)), "{program}");
            let text = command(one);
            for flag in one.syntax.flags.iter().copied().flatten().filter(|flag| !flag.hidden) {
                assert!(text.contains(&format!("\n   --{}", flag.name)), "{text}");
                assert!(!flag.about.is_empty());
            }
        }
    }

    #[test]
    fn flags_of_a_command_are_told_apart() {
        for one in COMMANDS {
            let flags: Vec<_> = one.syntax.flags.iter().copied().flatten().collect();
            for (index, flag) in flags.iter().enumerate() {
                for other in &flags[..index] {
                    assert_ne!(flag.name, other.name);
                    assert!(flag.short.is_none() || flag.short != other.short, "{flag:?} {other:?}");
                }
            }
        }
    }
}
