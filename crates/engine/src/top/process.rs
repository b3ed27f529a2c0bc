//! One process, from the kernel's files.

use std::fs;

/// What `ps -ef` shows of a process, before it is made readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// Effective.
    pub(super) uid: u32,
    /// The device of its terminal; 0 for none.
    pub(super) terminal: u32,
    /// Ticks that it has run.
    pub(super) time: u64,
    /// Ticks after the boot at which it began.
    pub(super) start: u64,
    pub(super) command: String,
}

/// Ticks in a second, on every platform of Linux.
pub(super) const TICKS: u64 = 100;

impl Process {
    /// `None` where it has ended.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        let stat = String::from_utf8_lossy(&file("stat")?).into_owned();
        let status = String::from_utf8_lossy(&file("status")?).into_owned();
        Self::parse(&stat, &status, &file("cmdline").unwrap_or_default())
    }

    pub(super) fn parse(stat: &str, status: &str, arguments: &[u8]) -> Option<Self> {
        // The name may have anything in it.
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let terminal: i64 = fields.get(4)?.parse().ok()?;
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            uid: uids.split_ascii_whitespace().nth(1)?.parse().ok()?,
            terminal: u32::try_from(terminal & 0xffff_ffff).unwrap_or(0),
            time: number(11)? + number(12)?,
            start: number(19)?,
            command: command(name, fields.first() == Some(&"Z"), arguments),
        })
    }
}

/// The arguments, or the name where there are none: of zombies, and of threads of the kernel.
fn command(name: &str, zombie: bool, arguments: &[u8]) -> String {
    if zombie {
        return format!("[{name}] <defunct>");
    }
    let text = String::from_utf8_lossy(arguments);
    let words: Vec<&str> =
        text.split(|c: char| c == '\0' || c.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { format!("[{name}]") } else { words.join(" ") }
}
