//! Changes of an image's configuration, as `commit` and `import` take them: lines of a Dockerfile.
//!
//! `CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR`; all others are refused
//! with Docker's words.

mod health;
#[cfg(test)]
mod tests;
mod words;

use longshore_types::{Kind, oci::ContainerConfig};
use serde_json::{Value, json};

/// Why a change is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Docker's words.
    #[error("{command} is not a valid change command")]
    Command { command: String },
    #[error("{command} requires {wanted}")]
    Arguments { command: &'static str, wanted: &'static str },
    #[error("Syntax error - can't find = in {word:?}. Must be of the form: name=value")]
    NoValue { word: String },
    #[error("{command} names can not be blank")]
    Blank { command: &'static str },
    #[error("unexpected end of statement while looking for matching quote in {text:?}")]
    Quote { text: String },
    #[error("bad substitution in {text:?}")]
    Substitution { text: String },
    #[error("invalid containerPort: {text}")]
    Port { text: String },
    #[error("Invalid signal: {text}")]
    Signal { text: String },
    #[error("{command} isn't allowed as an ONBUILD trigger")]
    Trigger { command: String },
    #[error("unknown type {text:?} in HEALTHCHECK (try CMD)")]
    Healthcheck { text: String },
    #[error("invalid value {value:?} of --{flag}: {wanted}")]
    Flag { flag: String, value: String, wanted: &'static str },
    #[error("unknown flag: {flag}")]
    UnknownFlag { flag: String },
}

impl Problem {
    /// What it means to whoever asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

/// Applies changes to `config`, one after the other. Variables are those of `config`, else those of `outer`.
///
/// Each change may have several lines; `\` at an end joins two, `#` at a start is a comment.
pub fn apply(config: &mut ContainerConfig, changes: &[String], outer: &[String]) -> Result<(), Problem> {
    let mut state = State { config, outer, command_set: false };
    for change in changes {
        let mut joined = String::new();
        for line in change.lines() {
            let trimmed = line.trim();
            if trimmed.starts_with('#') {
                continue;
            }
            if let Some(head) = trimmed.strip_suffix('\\') {
                joined.push_str(head);
                continue;
            }
            joined.push_str(trimmed);
            state.line(&std::mem::take(&mut joined))?;
        }
        state.line(&joined)?;
    }
    Ok(())
}

struct State<'a> {
    config: &'a mut ContainerConfig,
    outer: &'a [String],
    /// A `CMD` was among the changes: an `ENTRYPOINT` leaves it alone.
    command_set: bool,
}

impl State<'_> {
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(());
        }
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let command = command.to_ascii_lowercase();
        let needs = |command, wanted| {
            if rest.is_empty() { Err(Problem::Arguments { command, wanted }) } else { Ok(()) }
        };
        match command.as_str() {
            "cmd" => {
                self.config.cmd = Some(json_words(rest).unwrap_or_else(|| self.shell(rest)));
                self.command_set = true;
            }
            "entrypoint" => self.entrypoint(rest),
            "env" => needs("ENV", "at least one argument").and_then(|()| self.env(rest))?,
            "expose" => needs("EXPOSE", "at least one argument").and_then(|()| self.expose(rest))?,
            "healthcheck" => {
                needs("HEALTHCHECK", "at least one argument")?;
                self.config.healthcheck = Some(health::parse(rest)?);
            }
            "label" => needs("LABEL", "at least one argument").and_then(|()| self.label(rest))?,
            "onbuild" => needs("ONBUILD", "at least one argument").and_then(|()| self.on_build(rest))?,
            "stopsignal" => {
                needs("STOPSIGNAL", "exactly one argument")?;
                let text = self.word(rest)?;
                if !is_signal(&text) {
                    return Err(Problem::Signal { text });
                }
                self.config.stop_signal = text;
            }
            "user" => {
                needs("USER", "exactly one argument")?;
                self.config.user = self.word(rest)?;
            }
            "volume" => needs("VOLUME", "at least one argument").and_then(|()| self.volume(rest))?,
            "workdir" => {
                needs("WORKDIR", "exactly one argument")?;
                let path = self.word(rest)?;
                self.config.working_dir = clean(&self.config.working_dir, &path);
            }
            _ => return Err(Problem::Command { command }),
        }
        Ok(())
    }

    /// A word without quotes, with variables put in.
    fn word(&self, text: &str) -> Result<String, Problem> {
        let env: Vec<String> = self.outer.iter().chain(&self.config.env).cloned().collect();
        words::process(text, &env)
    }

    /// What a line that is no JSON runs in.
    fn shell(&self, line: &str) -> Vec<String> {
        if line.is_empty() {
            return Vec::new();
        }
        let mut words =
            self.config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
        words.push(line.to_owned());
        words
    }

    fn entrypoint(&mut self, rest: &str) {
        let words = json_words(rest).unwrap_or_else(|| self.shell(rest));
        self.config.entrypoint = Some(words);
        // What came with another entry point means nothing to this one.
        if !self.command_set {
            self.config.cmd = None;
        }
    }

    /// `name=value …`, or the old `name value`.
    fn pairs(&self, command: &'static str, rest: &str) -> Result<Vec<(String, String)>, Problem> {
        let words = words::split(rest);
        let first = words.first().copied().unwrap_or_default();
        let mut pairs = Vec::new();
        if first.contains('=') {
            for word in words {
                let (name, value) =
                    word.split_once('=').ok_or_else(|| Problem::NoValue { word: word.to_owned() })?;
                pairs.push((self.word(name)?, self.word(value)?));
            }
        } else {
            let (name, value) = rest
                .split_once(char::is_whitespace)
                .ok_or(Problem::Arguments { command, wanted: "two arguments" })?;
            pairs.push((self.word(name)?, self.word(value.trim())?));
        }
        if pairs.iter().any(|(name, _)| name.is_empty()) {
            return Err(Problem::Blank { command });
        }
        Ok(pairs)
    }

    fn env(&mut self, rest: &str) -> Result<(), Problem> {
        // All values of one line see the variables from before it.
        for (name, value) in self.pairs("ENV", rest)? {
            let is_it = |one: &&mut String| one.split_once('=').is_some_and(|(found, _)| found == name);
            let line = format!("{name}={value}");
            match self.config.env.iter_mut().find(is_it) {
                Some(one) => *one = line,
                None => self.config.env.push(line),
            }
        }
        Ok(())
    }

    fn label(&mut self, rest: &str) -> Result<(), Problem> {
        let pairs = self.pairs("LABEL", rest)?;
        self.config.labels.extend(pairs);
        Ok(())
    }

    fn expose(&mut self, rest: &str) -> Result<(), Problem> {
        for word in words::split(rest) {
            for port in ports(&self.word(word)?)? {
                self.config.exposed_ports.insert(port, json!({}));
            }
        }
        Ok(())
    }

    fn on_build(&mut self, rest: &str) -> Result<(), Problem> {
        let command = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if matches!(command.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            return Err(Problem::Trigger { command });
        }
        self.config.on_build.push(rest.to_owned());
        Ok(())
    }

    fn volume(&mut self, rest: &str) -> Result<(), Problem> {
        let names = match json_words(rest) {
            Some(names) => names,
            None => words::split(rest).into_iter().map(|word| self.word(word)).collect::<Result<_, _>>()?,
        };
        for name in names {
            if name.trim().is_empty() {
                return Err(Problem::Blank { command: "VOLUME" });
            }
            self.config.volumes.insert(name.trim().to_owned(), json!({}));
        }
        Ok(())
    }
}

/// A JSON array of strings, or nothing.
fn json_words(text: &str) -> Option<Vec<String>> {
    if !text.starts_with('[') {
        return None;
    }
    let Value::Array(words) = serde_json::from_str(text).ok()? else { return None };
    words.into_iter().map(|word| if let Value::String(word) = word { Some(word) } else { None }).collect()
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn ports(text: &str) -> Result<Vec<String>, Problem> {
    let bad = || Problem::Port { text: text.to_owned() };
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| -> Result<u16, Problem> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map_err(|_| bad())
        } else {
            Err(bad())
        }
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `path` seen from `base`, absolute, without `.` and `..`.
fn clean(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A number from 1 to 64, or a name with or without `SIG`.
fn is_signal(text: &str) -> bool {
    const NAMES: &[&str] = &[
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
        "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
        "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
    ];
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix, sign: char| {
        let offset = name.strip_prefix(prefix).and_then(|rest: &str| rest.strip_prefix(sign));
        offset.is_some_and(|offset| offset.parse::<u8>().is_ok_and(|offset| (1..=15).contains(&offset)))
    };
    NAMES.contains(&name) || real_time("RTMIN", '+') || real_time("RTMAX", '-')
}
