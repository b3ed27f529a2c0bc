//! Where messages go: stderr, or the file of `--log` as containerd, Docker and Podman read it.
//!
//! Without `--log` a message is one line on stderr: `longshore-runtime: LEVEL: MESSAGE`, or a JSON object
//! with `--log-format json`. With it, messages are records in that file, in logrus' text or JSON form
//! (callers show the `msg` of the last record of `level` `error`), and an error is also one plain line
//! on stderr.

use std::{
    error::Error,
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use longshore_runtime::state::now_rfc3339;
use serde::Serialize;

/// The longest message, in bytes: a spec may quote a megabyte at us, and nobody reads that.
const MAX_MESSAGE: usize = 2048;

/// The form of log records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// The destination of all messages of this program.
#[derive(Debug, Default)]
pub(super) struct Log {
    file: Option<File>,
    format: Format,
    debug: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    level: &'a str,
    msg: &'a str,
    time: &'a str,
}

impl Log {
    /// Logs to the file at `path`, or to stderr without one.
    pub(super) fn open(path: Option<&Path>, format: Format, debug: bool) -> io::Result<Self> {
        let open = |path| File::options().append(true).create(true).mode(0o644).open(path);
        Ok(Self { file: path.map(open).transpose()?, format, debug })
    }

    /// Logs `error` with all that caused it.
    pub(super) fn error(&self, error: &(dyn Error + 'static)) {
        let text = chain(error);
        self.write("error", &text);
        if self.file.is_some() {
            say(format_args!("{text}"));
        }
    }

    /// Logs that something was done otherwise than asked.
    pub(super) fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// Logs `message` where `--debug` asks for it.
    pub(super) fn debug(&self, message: impl FnOnce() -> String) {
        if self.debug {
            self.write("debug", &message());
        }
    }

    fn write(&self, level: &str, message: &str) {
        let Some(mut file) = self.file.as_ref() else {
            return match self.format {
                Format::Json => drop(io::stderr().write_all(self.record(level, message).as_bytes())),
                Format::Text => say(format_args!("longshore-runtime: {level}: {message}")),
            };
        };
        // Nobody is left to tell that the log is full.
        drop(file.write_all(self.record(level, message).as_bytes()));
    }

    fn record(&self, level: &str, message: &str) -> String {
        let now = now_rfc3339();
        // Whole seconds, as in all logs of this form.
        let time = now.split_once('.').map_or(now.clone(), |(seconds, _)| format!("{seconds}Z"));
        match self.format {
            Format::Text => format!("time=\"{time}\" level={level} msg={message:?}\n"),
            Format::Json => {
                let entry = Entry { level, msg: message, time: &time };
                serde_json::to_string(&entry).map_or_else(|_| String::new(), |json| json + "\n")
            }
        }
    }
}

/// Writes one line to stderr; a closed one is no failure.
fn say(line: std::fmt::Arguments<'_>) {
    drop(io::stderr().write_all(format!("{line}\n").as_bytes()));
}

/// `error` and its sources in one line, joined by `: `.
///
/// The kernel's own errors are spelt as C programs spell them ("permission denied"): callers of
/// runc look for these words, for example to choose between the exit codes 126 and 127.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = match os_error(error) {
            Some(words) => words,
            None => error.to_string(),
        };
        // A transparent error is its source; saying it twice helps nobody.
        if !part.is_empty() && !text.ends_with(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = error.source();
    }
    let mut text = text.replace('\n', "\\n");
    if text.len() > MAX_MESSAGE {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE));
        text.push_str("...");
    }
    text
}

/// The words for `error` where it is the kernel's: `Permission denied (os error 13)` without
/// Rust's trimmings.
fn os_error(error: &(dyn Error + 'static)) -> Option<String> {
    let from_io = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let from_rustix = error.downcast_ref::<rustix::io::Errno>().map(|errno| errno.raw_os_error());
    let words = io::Error::from_raw_os_error(from_io.or(from_rustix)?).to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    let first = letters.next()?;
    Some(first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::{error::Error, io};

    use super::{Format, Log, chain};

    #[derive(Debug, thiserror::Error)]
    enum Example {
        #[error("cannot open /x")]
        Open(#[source] io::Error),
        #[error(transparent)]
        Same(Box<Example>),
    }

    fn example() -> Example {
        Example::Same(Box::new(Example::Open(io::Error::from_raw_os_error(13))))
    }

    #[test]
    fn a_chain_is_one_line_with_the_kernels_words() {
        assert_eq!(chain(&example()), "cannot open /x: permission denied");
        let lines: Box<dyn Error> = "a\nb".into();
        assert_eq!(chain(lines.as_ref()), "a\\nb");
        let long: Box<dyn Error> = "ä".repeat(1 << 20).into();
        assert_eq!(chain(long.as_ref()), "ä".repeat(1024) + "...");
    }

    #[test]
    fn records_have_the_keys_that_callers_read() {
        let record = |format, message| Log { file: None, format, debug: false }.record("error", message);
        let json: serde_json::Value = serde_json::from_str(&record(Format::Json, "a \"b\"\n")).unwrap();
        assert_eq!(json["level"], "error");
        assert_eq!(json["msg"], "a \"b\"\n");
        assert_eq!(json["time"].as_str().unwrap().len(), "2026-11-21T07:08:13Z".len());
        let text = record(Format::Text, "a \"b\"");
        assert!(text.starts_with("time=\"20"), "{text}");
        assert!(text.ends_with("Z\" level=error msg=\"a \\\"b\\\"\"\n"), "{text}");
    }

    #[test]
    fn a_log_file_is_appended_to() {
        let path = std::env::temp_dir().join(format!("longshore-log-{}", std::process::id()));
        for message in ["one", "two"] {
            let log = Log::open(Some(&path), Format::Json, false).unwrap();
            log.warning(message);
            log.debug(|| unreachable!("not asked for"));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let messages: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"].clone())
            .collect();
        assert_eq!(messages, ["one", "two"]);
    }
}
