//! What a test must not leave behind: mounts, cgroups, network namespaces, processes, state.
//!
//! Tests run in parallel, so the ledger looks for the test's id and directory and nothing else.

use crate::{cgroups, mountinfo, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a process may take to die after its last reason to live has gone.
fn dying() -> Duration {
    wait::patience() / 6
}

/// Names one test and finds what is left of it.
#[derive(Debug)]
pub struct Ledger {
    id: String,
    dir: PathBuf,
}

impl Ledger {
    /// A ledger for the test with this id and directory.
    pub fn new(id: &str, dir: &Path) -> Ledger {
        Ledger { id: id.to_owned(), dir: dir.to_owned() }
    }

    /// Everything of the test that still exists, as lines to read.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.mounts().into_iter().map(|point| format!("mount {}", point.display())));
        left.extend(self.cgroups().into_iter().map(|path| format!("cgroup {}", path.display())));
        left.extend(self.settled_processes().into_iter().map(|(pid, what)| format!("process {pid}: {what}")));
        left.extend(self.state().into_iter().map(|path| format!("state {}", path.display())));
        left
    }

    /// Removes what can be removed without harm to others: mounts and empty cgroups.
    pub fn clean(&self) {
        for point in self.mounts().iter().rev() {
            let _ = rustix::mount::unmount(point.as_path(), rustix::mount::UnmountFlags::DETACH);
        }
        for cgroup in self.cgroups().iter().rev() {
            drop(fs::remove_dir(cgroup));
        }
    }

    fn mounts(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string("/proc/self/mountinfo").expect("own mounts");
        let mounts = mountinfo::parse(&text).into_iter();
        mounts.map(|mount| PathBuf::from(mount.point)).filter(|point| point.starts_with(&self.dir)).collect()
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for hierarchy in cgroups::hierarchies() {
            self.cgroups_under(&hierarchy, &mut found);
        }
        found
    }

    fn cgroups_under(&self, dir: &Path, found: &mut Vec<PathBuf>) {
        // Other tests remove their cgroups meanwhile: what is gone is not ours.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path();
                if path.to_string_lossy().contains(&self.id) {
                    found.push(path.clone());
                }
                self.cgroups_under(&path, found);
            }
        }
    }

    /// Processes of the test that do not end within a few seconds. Those that do are collected.
    pub fn settled_processes(&self) -> Vec<(i32, String)> {
        let ends = |(pid, _): &(i32, String)| {
            wait::handle(*pid).is_none_or(|process| {
                let ended = wait::wait_for_exit(&process, dying());
                if ended {
                    wait::collect(&process);
                }
                ended
            })
        };
        self.processes().into_iter().filter(|process| !ends(process)).collect()
    }

    /// Processes whose environment or arguments carry the test's id: whatever the runtime left
    /// running. Zombies have neither.
    fn processes(&self) -> Vec<(i32, String)> {
        let marker = format!("LONGSHORE_TEST_ID={}\0", self.id);
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let (environment, arguments) = (read("environ"), read("cmdline"));
            let environment = String::from_utf8_lossy(&environment);
            let arguments = String::from_utf8_lossy(&arguments);
            if pid != own && (environment.contains(&marker) || arguments.contains(&self.id)) {
                found.push((pid, arguments.replace('\0', " ")));
            }
        }
        found
    }

    fn state(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.join("root")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("-c")).collect()
    }
}
