//! The table of `ps -ef`.

use std::{collections::HashMap, fs};

use longshore_types::time;
use rustix::time::{ClockId, clock_gettime};

use super::{
    Top,
    process::{Process, TICKS},
};

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
/// Columns that `ps` has for a user's name; of a longer one it shows the start and `+`.
const NAME: usize = 8;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What is the same for all lines.
#[derive(Debug)]
pub(super) struct Frame {
    /// Names of the host's users.
    pub(super) users: HashMap<u32, String>,
    /// Ticks since the boot.
    pub(super) uptime: u64,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// The table of `pids`; those that have ended are left out.
pub(super) fn full(pids: &[i32]) -> Top {
    let uptime = clock_gettime(ClockId::Boottime);
    let ticks = u64::try_from(uptime.tv_sec).unwrap_or(0) * TICKS
        + u64::try_from(uptime.tv_nsec).unwrap_or(0) / (1_000_000_000 / TICKS);
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let frame = Frame { users: users(&list), uptime: ticks, now: time::now().0 };
    let processes = pids.iter().filter_map(|pid| Process::read(*pid)).map(|process| frame.row(&process));
    Top { titles: TITLES.map(str::to_owned).to_vec(), processes: processes.collect() }
}

/// Lines of `name:password:uid:…`.
pub(super) fn users(list: &str) -> HashMap<u32, String> {
    let mut users = HashMap::new();
    for line in list.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

impl Frame {
    pub(super) fn row(&self, process: &Process) -> Vec<String> {
        let lived = self.uptime.saturating_sub(process.start) / TICKS;
        let used = process.time / TICKS;
        let share = (process.time * 100 / TICKS).checked_div(lived).unwrap_or(0).min(99);
        vec![
            self.user(process.uid),
            process.pid.to_string(),
            process.parent.to_string(),
            share.to_string(),
            self.started(lived),
            terminal(process.terminal),
            duration(used),
            process.command.clone(),
        ]
    }

    fn user(&self, uid: u32) -> String {
        match self.users.get(&uid) {
            Some(name) if name.chars().count() > NAME => name.chars().take(NAME - 1).chain(['+']).collect(),
            Some(name) => name.clone(),
            None => uid.to_string(),
        }
    }

    /// Hour and minute of today, the day of this year, or the year. In UTC.
    fn started(&self, lived: u64) -> String {
        let text = |seconds: i64| time::rfc3339((seconds, 0));
        let (now, then) = (text(self.now), text(self.now.saturating_sub_unsigned(lived)));
        // 2006-01-02T15:04:05Z
        let (Some(year), Some(day)) = (then.get(..4), then.get(8..10)) else { return then };
        if now.get(..4) != Some(year) {
            return year.to_owned();
        }
        if now.get(..10) == then.get(..10) {
            return then.get(11..16).unwrap_or_default().to_owned();
        }
        let month = then.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
        format!("{}{day}", MONTHS.get(month.saturating_sub(1)).unwrap_or(&MONTHS[0]))
    }
}

/// The name of a terminal's device.
pub(super) fn terminal(device: u32) -> String {
    let major = device >> 8 & 0xfff;
    let minor = device & 0xff | device >> 12 & 0xf_ff00;
    match major {
        _ if device == 0 => "?".to_owned(),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 if minor == 1 => "console".to_owned(),
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        _ => "?".to_owned(),
    }
}

/// `HH:MM:SS`, with days before it.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = if days > 0 { format!("{days}-") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}:{:02}", seconds % 60)
}
