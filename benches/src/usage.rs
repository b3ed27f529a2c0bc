//! What processes used: processor time and memory, of a program and of a daemon with all its children.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(20);
/// Ticks in a second, as `/proc` counts them (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Processor seconds of the process and of its descendants, with those that have ended.
#[must_use]
pub fn processor_seconds(pid: i32) -> f64 {
    tree(pid).into_iter().map(ticks).sum::<f64>() / TICKS
}

/// Processor seconds of our own children that have ended, with theirs.
#[must_use]
pub fn processor_seconds_of_ended() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    fields(&text, &[15, 16]) / TICKS
}

/// User and system time of a process and of its children that have ended, in ticks.
fn ticks(pid: i32) -> f64 {
    fields(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default(), &[13, 14, 15, 16])
}

/// The sum of some fields of a `stat` file, counted from 0.
fn fields(stat: &str, numbers: &[usize]) -> f64 {
    // The name, in parentheses, may hold anything.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return 0.0 };
    let words: Vec<&str> = rest.split(' ').collect();
    numbers.iter().filter_map(|number| words.get(number - 2)?.parse::<f64>().ok()).sum()
}

/// A process and all its descendants.
#[must_use]
pub fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
    }
    all
}

/// Resident bytes of a process.
#[must_use]
pub fn resident(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// How often the threads of a process were given a processor: what it woke up for.
#[must_use]
pub fn wake_ups(pid: i32) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let switches = text.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
        sum += switches.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
    }
    sum
}

/// How many files a process has open.
#[must_use]
pub fn open_files(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().count()
}

/// Watches the memory of process trees; stops when dropped.
#[derive(Debug)]
pub struct Watch {
    peak: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches the sum of the resident memory of these processes and their descendants.
    #[must_use]
    pub fn new(pids: Vec<i32>) -> Self {
        let (peak, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stop) = (Arc::clone(&peak), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let now = pids.iter().flat_map(|pid| tree(*pid)).map(resident).sum();
                seen.fetch_max(now, Ordering::Relaxed);
                std::thread::sleep(EVERY);
            }
        });
        Self { peak, end, thread: Some(thread) }
    }

    /// The most there was at a time, in bytes.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
