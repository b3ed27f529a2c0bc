//! Reading command lines as Go's `flag` package does, which is what callers of runc write for.
//!
//! One dash or two mean the same (`-bundle`, `--bundle`), a value follows or is attached (`--bundle b`,
//! `--bundle=b`), a boolean takes a value only attached (`--detach=false`), single letters do not
//! combine, and `--` ends the flags. Where a command takes no command of the container's, its flags
//! may also follow its arguments (`delete ID --force`).

use std::{ffi::OsString, fmt::Display, str::FromStr};

/// Something wrong with the command line itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsageError {
    #[error("no command \"{name}\"")]
    UnknownCommand { name: String },
    #[error("flag provided but not defined: -{name}")]
    UnknownFlag { name: String },
    #[error("flag needs an argument: -{name}")]
    NoValue { name: &'static str },
    #[error("invalid value {value:?} for flag -{name}: {reason}")]
    BadValue { name: &'static str, value: String, reason: String },
    #[error("{command:?} requires {wanted} argument(s)")]
    ArgumentCount { command: &'static str, wanted: Arguments },
    #[error("argument {argument:?} is not UTF-8")]
    NotUtf8 { argument: OsString },
}

/// One flag of a command.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// The one-letter form.
    pub(super) short: Option<char>,
    /// What its value is called in the help; `None` for a boolean.
    pub(super) value: Option<&'static str>,
    /// Accepted and without effect: not shown.
    pub(super) hidden: bool,
    pub(super) about: &'static str,
}

impl Flag {
    /// A flag that is there or not.
    pub(super) const fn switch(name: &'static str, about: &'static str) -> Self {
        Self { name, short: None, value: None, hidden: false, about }
    }

    /// A flag with a value.
    pub(super) const fn value(name: &'static str, value: &'static str, about: &'static str) -> Self {
        Self { name, short: None, value: Some(value), hidden: false, about }
    }

    /// The same, with a one-letter form too.
    pub(super) const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    /// The same, left out of the help.
    pub(super) const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }
}

/// How many arguments a command takes, flags aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    Exactly(usize),
    Between(usize, usize),
    AtLeast(usize),
}

impl Arguments {
    const fn allows(self, count: usize) -> bool {
        match self {
            Self::Exactly(wanted) => count == wanted,
            Self::Between(least, most) => count >= least && count <= most,
            Self::AtLeast(least) => count >= least,
        }
    }
}

impl Display for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "exactly {count}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::AtLeast(least) => write!(f, "a minimum of {least}"),
        }
    }
}

/// How to read the words of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    pub(super) command: &'static str,
    pub(super) flags: &'static [&'static [Flag]],
    pub(super) arguments: Arguments,
    /// All from the first argument on are arguments, whatever they look like.
    pub(super) flags_first: bool,
}

/// A command line that was understood.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// In the order given; a boolean's value is `"true"` or `"false"`.
    values: Vec<(&'static str, String)>,
    pub(super) arguments: Vec<String>,
    /// `--help` was among the flags; nothing else counts.
    pub(super) help: bool,
}

impl Syntax {
    /// Reads `words`, which follow the command's name. The global flags, which end at a word that
    /// is none, leave the rest in `words`.
    pub(super) fn read(&self, words: &mut dyn Iterator<Item = OsString>) -> Result<Matches, UsageError> {
        let mut matches = Matches::default();
        while let Some(word) = words.next() {
            let word = utf8(word)?;
            let Some(flag) = flag_text(&word) else {
                if word == "--" {
                    matches.take_rest(words)?;
                    break;
                }
                matches.arguments.push(word);
                if !self.flags_first {
                    continue;
                }
                // The container's own command line, to which `--` may belong.
                matches.take_rest(words)?;
                break;
            };
            let (name, attached) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            match self.find(name) {
                Some(flag) => matches.values.push((flag.name, value(flag, attached, words)?)),
                None if name == "help" || name == "h" => {
                    matches.help = true;
                    return Ok(matches);
                }
                // As runc: once there was an argument, only what is a flag is one (`kill ID -9`).
                None if !matches.arguments.is_empty() => matches.arguments.push(word),
                None => return Err(UsageError::UnknownFlag { name: name.into() }),
            }
        }
        if !self.arguments.allows(matches.arguments.len()) {
            return Err(UsageError::ArgumentCount { command: self.command, wanted: self.arguments });
        }
        Ok(matches)
    }

    fn find(&self, name: &str) -> Option<&'static Flag> {
        let mut letters = name.chars();
        let letter = letters.next().filter(|_| letters.next().is_none());
        self.flags
            .iter()
            .copied()
            .flatten()
            .find(|flag| flag.name == name || (letter.is_some() && flag.short == letter))
    }
}

impl Matches {
    /// Whether the boolean `name` was given, and not last as `false`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The last value of `name`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// The last value of `name`, where it is not empty: an empty one means "not given", as in Go.
    pub(super) fn owned<T: for<'a> From<&'a str>>(&self, name: &str) -> Option<T> {
        self.text(name).filter(|value| !value.is_empty()).map(T::from)
    }

    /// All values of `name` in the order given.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// The last value of `name` as a number, where it is not empty.
    pub(super) fn number<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, UsageError> {
        self.parsed(name, |value| value.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// The last value of `name`, where it is not empty, as `parse` reads it.
    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let Some(value) = self.text(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let bad = |reason| UsageError::BadValue { name, value: value.into(), reason };
        parse(value).map(Some).map_err(bad)
    }

    fn take_rest(&mut self, words: &mut dyn Iterator<Item = OsString>) -> Result<(), UsageError> {
        for word in words {
            self.arguments.push(utf8(word)?);
        }
        Ok(())
    }
}

fn utf8(word: OsString) -> Result<String, UsageError> {
    word.into_string().map_err(|argument| UsageError::NotUtf8 { argument })
}

/// What follows the dashes of a flag. `-` alone is an argument, and `--` ends the flags.
fn flag_text(word: &str) -> Option<&str> {
    let text = word.strip_prefix('-')?;
    let text = text.strip_prefix('-').unwrap_or(text);
    (!text.is_empty()).then_some(text)
}

fn value(
    flag: &Flag,
    attached: Option<&str>,
    words: &mut dyn Iterator<Item = OsString>,
) -> Result<String, UsageError> {
    let name = flag.name;
    match (flag.value, attached) {
        (Some(_), Some(value)) => Ok(value.into()),
        (Some(_), None) => words.next().map_or(Err(UsageError::NoValue { name }), utf8),
        (None, None) => Ok("true".into()),
        (None, Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => Ok("true".into()),
        (None, Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => Ok("false".into()),
        (None, Some(value)) => {
            Err(UsageError::BadValue { name, value: value.into(), reason: "no boolean".into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Flag, Matches, Syntax, UsageError};

    const FLAGS: &[Flag] = &[
        Flag::value("bundle", "path", "").short('b'),
        Flag::switch("detach", "").short('d'),
        Flag::value("env", "variable", "").short('e'),
        Flag::value("preserve-fds", "n", ""),
    ];

    const MIXED: Syntax =
        Syntax { command: "run", flags: &[FLAGS], arguments: Arguments::Exactly(1), flags_first: false };
    const FIRST: Syntax =
        Syntax { command: "exec", flags: &[FLAGS], arguments: Arguments::AtLeast(1), flags_first: true };

    fn read(syntax: Syntax, line: &str) -> Result<Matches, UsageError> {
        syntax.read(&mut line.split_whitespace().map(Into::into))
    }

    #[test]
    fn every_spelling_of_a_value() {
        for line in ["-b x c", "--b x c", "-bundle x c", "--bundle x c", "-b=x c", "--bundle=x c", "c -b x"] {
            let matches = read(MIXED, line).unwrap();
            assert_eq!(matches.text("bundle"), Some("x"), "{line}");
            assert_eq!(matches.arguments, ["c"], "{line}");
        }
        assert_eq!(read(MIXED, "--bundle= c").unwrap().text("bundle"), Some(""));
        assert_eq!(read(MIXED, "--bundle= c").unwrap().owned::<String>("bundle"), None);
        assert_eq!(read(MIXED, "--bundle=a=b c").unwrap().text("bundle"), Some("a=b"));
        assert_eq!(read(MIXED, "--bundle --detach c").unwrap().text("bundle"), Some("--detach"));
    }

    #[test]
    fn every_spelling_of_a_boolean() {
        for (line, expected) in [
            ("c", false),
            ("-d c", true),
            ("--detach c", true),
            ("-detach=true c", true),
            ("--detach=1 c", true),
            ("--detach=false c", false),
            ("--detach --detach=F c", false),
            ("c --detach", true),
        ] {
            assert_eq!(read(MIXED, line).unwrap().has("detach"), expected, "{line}");
        }
    }

    #[test]
    fn the_last_value_counts_and_lists_keep_all() {
        let matches = read(MIXED, "-e A=1 --env=B=2 -e A=3 c").unwrap();
        assert_eq!(matches.all("env").collect::<Vec<_>>(), ["A=1", "B=2", "A=3"]);
        assert_eq!(matches.text("env"), Some("A=3"));
    }

    #[test]
    fn a_containers_command_keeps_its_own_flags() {
        for (line, arguments) in [
            ("-d c ls -b --detach", &["c", "ls", "-b", "--detach"][..]),
            ("c -- ls", &["c", "--", "ls"]),
            ("-- c -d", &["c", "-d"]),
            ("c -", &["c", "-"]),
        ] {
            assert_eq!(read(FIRST, line).unwrap().arguments, arguments, "{line}");
        }
    }

    #[test]
    fn after_an_argument_an_unknown_flag_is_an_argument() {
        let kill = Syntax { arguments: Arguments::Between(1, 2), ..MIXED };
        assert_eq!(read(kill, "c -9 -d").unwrap().arguments, ["c", "-9"]);
    }

    #[test]
    fn help_wins() {
        for line in ["-h", "--help", "-help", "-d --help", "c --help"] {
            assert!(read(MIXED, line).unwrap().help, "{line}");
        }
        assert!(!read(FIRST, "c ls --help").unwrap().help);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |line| read(MIXED, line).unwrap_err().to_string();
        assert_eq!(error("--frob c"), "flag provided but not defined: -frob");
        assert_eq!(error("-db c"), "flag provided but not defined: -db");
        assert_eq!(error("c --bundle"), "flag needs an argument: -bundle");
        assert_eq!(error("--detach=maybe c"), "invalid value \"maybe\" for flag -detach: no boolean");
        assert_eq!(error(""), "\"run\" requires exactly 1 argument(s)");
        assert_eq!(error("a b"), "\"run\" requires exactly 1 argument(s)");
        assert_eq!(read(FIRST, "").unwrap_err().to_string(), "\"exec\" requires a minimum of 1 argument(s)");
        let matches = read(MIXED, "--preserve-fds many c").unwrap();
        assert_eq!(
            matches.number::<u32>("preserve-fds").unwrap_err().to_string(),
            "invalid value \"many\" for flag -preserve-fds: invalid digit found in string"
        );
    }

    #[test]
    fn a_word_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let word = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
        let error = MIXED.read(&mut [word].into_iter()).unwrap_err();
        assert!(matches!(error, UsageError::NotUtf8 { .. }));
    }
}
