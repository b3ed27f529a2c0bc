//! Where a container's monitor is to write its output.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use longshore_runtime::wire::LogSink;
use regex_lite::Regex;
use rustix::fs::{Mode, OFlags};

use super::{Driver, Error, remote::Remote, size, tag};
use crate::container::Record;

/// Bytes of a file unless somebody said otherwise: nobody's disk fills by default.
const MAX_SIZE: u64 = 20_000_000;
/// Files unless somebody said otherwise.
const MAX_FILES: u32 = 5;

/// Opens what the monitor of a container writes to: the sink for the launch, and the directory to donate.
/// Blocks, for microseconds; longer where the driver sends away, and the other side is asked whether it is there.
///
/// # Errors
/// [`Error::Value`] for what is wrong in the options, or an other side that is not there.
pub fn open(record: &Record, data_dir: &Path) -> Result<(LogSink, Option<OwnedFd>), Error> {
    let Some(path) = super::path(record, data_dir)? else { return Ok((LogSink::None, None)) };
    let options = options(record);
    let driver = Driver::named(&record.host.log_config.kind)?;
    let rotation = rotation(driver, &options)?;
    let mut attributes = attributes(record, &options)?;
    if let Some(template) = options.get("tag").filter(|tag| !tag.is_empty()) {
        attributes.insert("tag".into(), tag::expand(template, record)?);
    }
    if let Some(remote) = Remote::read(driver, &options)? {
        remote.probe()?;
    }
    let (directory, name) = (path.parent().unwrap_or(data_dir), path.file_name().unwrap_or_default());
    let failed = |operation| {
        move |source: std::io::Error| Error::Open {
            operation,
            object: directory.display().to_string(),
            source,
        }
    };
    std::fs::create_dir_all(directory).map_err(failed("make"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened =
        rustix::fs::open(directory, flags, Mode::empty()).map_err(|errno| failed("open")(errno.into()))?;
    let sink = LogSink::Json {
        name: name.to_string_lossy().into_owned(),
        max_size: rotation.max_size,
        max_files: rotation.max_files,
        attributes: attributes.into_iter().collect(),
    };
    Ok((sink, Some(opened)))
}

/// The file that a container's output is in; `None` when there is none.
pub fn path(record: &Record, data_dir: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(match Driver::named(&record.host.log_config.kind)? {
        Driver::None => None,
        Driver::JsonFile => Some(data_dir.join(format!("{}-json.log", record.id))),
        _ => Some(data_dir.join("local-logs").join("container.log")),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rotation {
    max_size: Option<u64>,
    max_files: u32,
}

fn options(record: &Record) -> BTreeMap<String, String> {
    record.host.log_config.config.clone().unwrap_or_default()
}

/// When to rotate. As in Docker a size without a number of files means one file.
fn rotation(driver: Driver, options: &BTreeMap<String, String>) -> Result<Rotation, Error> {
    let value = |reason: String| Error::Value { reason };
    let (size_key, file_key) =
        if driver.forwards() { ("cache-max-size", "cache-max-file") } else { ("max-size", "max-file") };
    let max_size = match options.get(size_key).map(String::as_str) {
        None => Some(MAX_SIZE),
        Some("-1" | "") => None,
        Some(text) => match size::decimal(text) {
            Some(0) => return Err(value("max-size must be a positive number".into())),
            Some(size) => Some(size),
            None => return Err(value(format!("invalid size: '{text}'"))),
        },
    };
    let max_files = match options.get(file_key) {
        // The drivers that keep a local copy have theirs rotated whatever its size.
        None if driver == Driver::JsonFile && options.contains_key(size_key) => 1,
        None => MAX_FILES,
        Some(text) => match text.parse::<u32>() {
            Ok(0) => return Err(value("max-file cannot be less than 1".into())),
            Ok(files) => files,
            Err(_) => return Err(value(format!("invalid value for {file_key}: '{text}' is no number"))),
        },
    };
    if let Some(compress) = options.get("compress") {
        let compress = go_bool(compress)
            .ok_or_else(|| value(format!("strconv.ParseBool: parsing \"{compress}\": invalid syntax")))?;
        if compress && driver == Driver::JsonFile && (max_files < 2 || max_size.is_none()) {
            let reason = "compress cannot be true when max-file is less than 2 or max-size is not set";
            return Err(value(reason.into()));
        }
    }
    Ok(Rotation { max_size, max_files })
}

/// As Go reads it.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The labels and variables that were named.
pub(super) fn attributes(
    record: &Record,
    options: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut attributes = BTreeMap::new();
    let env = record.config.env.iter().flatten().filter_map(|line| line.split_once('='));
    let labels = record.config.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let all = [("labels", "labels-regex", labels.collect::<Vec<_>>()), ("env", "env-regex", env.collect())];
    for (names, pattern, all) in all {
        let named: Vec<&str> = options.get(names).map(|names| names.split(',').collect()).unwrap_or_default();
        let pattern = options.get(pattern).filter(|pattern| !pattern.is_empty());
        let pattern = pattern.map(|pattern| {
            Regex::new(pattern)
                .map_err(|error| Error::Value { reason: format!("error parsing regexp: {error}") })
        });
        let pattern = pattern.transpose()?;
        for (key, value) in all {
            if named.contains(&key) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(key)) {
                attributes.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::{Driver, Rotation, rotation};

    #[test]
    fn rotation_is_as_asked_for_or_by_default() {
        let rotation = |driver, options: &[(&str, &str)]| {
            let options = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            rotation(driver, &options).map_err(|error| error.to_string())
        };
        let rotated = |max_size, max_files| Ok(Rotation { max_size, max_files });
        assert_eq!(rotation(Driver::JsonFile, &[]), rotated(Some(20_000_000), 5));
        assert_eq!(rotation(Driver::JsonFile, &[("max-size", "10k")]), rotated(Some(10_000), 1));
        assert_eq!(rotation(Driver::JsonFile, &[("max-size", "-1")]), rotated(None, 1));
        assert_eq!(rotation(Driver::JsonFile, &[("max-file", "3")]), rotated(Some(20_000_000), 3));
        assert_eq!(rotation(Driver::Local, &[("max-size", "10k")]), rotated(Some(10_000), 5));
        assert_eq!(rotation(Driver::Syslog, &[("cache-max-file", "2")]), rotated(Some(20_000_000), 2));
        let wrong: [(&[(&str, &str)], &str); 4] = [
            (&[("max-size", "big")], "invalid size: 'big'"),
            (&[("max-size", "0")], "max-size must be a positive number"),
            (&[("max-file", "0")], "max-file cannot be less than 1"),
            (
                &[("compress", "true"), ("max-size", "1k")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
        ];
        for (options, reason) in wrong {
            let message = format!("failed to initialize logging driver: {reason}");
            assert_eq!(rotation(Driver::JsonFile, options), Err(message));
        }
    }
}
