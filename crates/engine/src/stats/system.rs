//! What the whole machine has and uses.

use std::fs;

use super::Error;

/// `/proc/stat` counts in ticks of the user interface, 100 a second on every platform of Linux.
const NS_PER_TICK: u64 = 10_000_000;

/// Time that all CPUs have spent, idle included, in ns; and how many are online.
pub(super) fn cpu() -> Result<(u64, u32), Error> {
    let path = "/proc/stat";
    let content = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    Ok(parse_cpu(&content))
}

fn parse_cpu(content: &str) -> (u64, u32) {
    let (mut time, mut online) = (0, 0);
    for line in content.lines() {
        let Some(rest) = line.strip_prefix("cpu") else { break };
        match rest.strip_prefix(' ') {
            // user, nice, system, idle, iowait, irq and softirq; what guests use is in the first two.
            Some(all) => {
                let ticks = all.split_ascii_whitespace().take(7).filter_map(|word| word.parse::<u64>().ok());
                time = ticks.sum::<u64>() * NS_PER_TICK;
            }
            None => online += 1,
        }
    }
    (time, online)
}

/// Bytes of the machine's memory; 0 where that is not known.
pub(super) fn memory() -> u64 {
    let content = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = content.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::parse_cpu;

    #[test]
    fn time_of_all_cpus() {
        let content = "cpu  1 2 3 4 5 6 7 100 100 0\ncpu0 1 1 1 1 1 1 1 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\ncpu9 1\n";
        assert_eq!(parse_cpu(content), (280_000_000, 2));
        assert_eq!(parse_cpu(""), (0, 0));
    }
}
