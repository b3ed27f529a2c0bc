//! Watches for processes that join the container and goes for what they carry: their program
//! file, their descriptors, their memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Prints `ready` and looks until `/stop` exists. Answers what it got hold of, as
/// `exe of <comm> opened for writing` or `fd <target>`.
pub(crate) fn until_stopped() -> BTreeSet<String> {
    let mut loot = BTreeSet::new();
    let own = rustix::process::getpid().as_raw_nonzero().to_string();
    println!("ready");
    while !Path::new("/stop").exists() {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != own && name.bytes().all(|byte| byte.is_ascii_digit()) {
                rob(&entry.path(), &mut loot);
            }
        }
    }
    loot
}

fn rob(process: &Path, loot: &mut BTreeSet<String>) {
    let exe = process.join("exe");
    let program = fs::read_link(&exe).map(|path| path.display().to_string()).unwrap_or_default();
    // What the root itself offers is the container's own.
    if program.is_empty() || Path::new(&program).is_file() {
        return;
    }
    if fs::File::options().write(true).open(&exe).is_ok() {
        loot.insert(format!("{program} opened for writing"));
    }
    for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let number: i32 = entry.file_name().to_string_lossy().parse().unwrap_or(-1);
        if number > 2 && fs::metadata(entry.path()).is_ok() {
            let target =
                fs::read_link(entry.path()).map(|path| path.display().to_string()).unwrap_or_default();
            loot.insert(format!("fd {number} of {program}: {target}"));
        }
    }
}
