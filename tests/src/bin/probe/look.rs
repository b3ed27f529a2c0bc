//! The report: a look around that changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use testkit::errno;
use testkit::mountinfo;
use testkit::report::{Descriptor, Device, Mount, Report, Scheduler, Session};

const SYSCTLS: &[&str] = &[
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_forward",
    "kernel.shmmax",
    "kernel.msgmax",
    "kernel.hostname",
    "kernel.domainname",
];

pub(crate) fn report() -> Report {
    // Before anything is opened here.
    let descriptors = descriptors();
    let mounts = mountinfo::parse(&read("/proc/self/mountinfo"));
    let status = fields(&read("/proc/self/status"));
    let uname = rustix::system::uname();
    Report {
        namespaces: namespaces(),
        cgroup_writes: cgroup_writes(&mounts),
        mounts,
        allowed: allowed(&status),
        status,
        descriptors,
        limits: limits(),
        cgroups: cgroups(),
        devices: devices(),
        uid_map: id_map("/proc/self/uid_map"),
        gid_map: id_map("/proc/self/gid_map"),
        hostname: uname.nodename().to_string_lossy().into_owned(),
        domainname: uname.domainname().to_string_lossy().into_owned(),
        args: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        env: environment(),
        cwd: match rustix::process::getcwd(Vec::new()) {
            Ok(path) => path.to_string_lossy().into_owned(),
            Err(error) => errno::name(&error.into()),
        },
        oom_score_adj: read("/proc/self/oom_score_adj").trim().to_owned(),
        personality: read("/proc/self/personality").trim().to_owned(),
        label: read("/proc/self/attr/current").trim_end_matches(['\0', '\n']).to_owned(),
        time_offsets: time_offsets(),
        sysctls: SYSCTLS.iter().map(|name| ((*name).to_owned(), sysctl(name))).collect(),
        scheduler: scheduler(),
        session: session(),
    }
}

/// The text of a file; what cannot be read is empty.
fn read(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn namespaces() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/ns").into_iter().flatten().flatten() {
        let inode = fs::metadata(entry.path()).map_or(0, |metadata| metadata.ino());
        found.insert(entry.file_name().to_string_lossy().into_owned(), inode);
    }
    found
}

/// `Name: value` lines.
fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().replace('\t', " "))).collect()
}

fn allowed(status: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names = ["Cpus_allowed_list", "Mems_allowed_list"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), status.get(name)?.clone()))).collect()
}

/// What this process has open.
pub(crate) fn descriptors() -> Vec<Descriptor> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut found: Vec<Descriptor> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target =
                fs::read_link(entry.path()).map_or_else(|e| errno::name(&e), |t| t.display().to_string());
            // The list itself, whatever number this process has in that /proc.
            let own = target.starts_with("/proc/") && target.ends_with("/fd");
            (!own).then_some(Descriptor { number, target })
        })
        .collect();
    found.sort_by_key(|descriptor| descriptor.number);
    found
}

fn limits() -> BTreeMap<String, (String, String)> {
    let text = read("/proc/self/limits");
    let lines = text.lines().skip(1).filter(|line| line.len() > 26);
    lines
        .filter_map(|line| {
            let (name, values) = line.split_at(26);
            let mut values = values.split_whitespace().map(str::to_owned);
            Some((name.trim().to_owned(), (values.next()?, values.next()?)))
        })
        .collect()
}

fn cgroups() -> BTreeMap<String, String> {
    let text = read("/proc/self/cgroup");
    let lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    lines.map(|(controllers, path)| (controllers.to_owned(), path.to_owned())).collect()
}

fn cgroup_writes(mounts: &[Mount]) -> BTreeMap<String, String> {
    let cgroups = mounts.iter().filter(|mount| mount.kind.starts_with("cgroup"));
    cgroups
        .map(|mount| {
            let child = format!("{}/probe", mount.point);
            let result = fs::create_dir(&child).and_then(|()| fs::remove_dir(&child));
            (mount.point.clone(), errno::word(result))
        })
        .collect()
}

/// The word for a file's kind.
pub(crate) fn kind(metadata: &fs::Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_symlink() => "link",
        () if kind.is_dir() => "dir",
        () if kind.is_char_device() => "char",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "fifo",
        () if kind.is_socket() => "socket",
        () => "file",
    }
}

fn devices() -> Vec<Device> {
    let mut found = Vec::new();
    list_devices(Path::new("/dev"), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn list_devices(dir: &Path, found: &mut Vec<Device>) {
    let Ok(here) = fs::metadata(dir) else { return };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let kind = kind(&metadata);
        let is_device = kind == "char" || kind == "block";
        found.push(Device {
            path: path.display().to_string(),
            kind: kind.to_owned(),
            major: if is_device { rustix::fs::major(metadata.rdev()) } else { 0 },
            minor: if is_device { rustix::fs::minor(metadata.rdev()) } else { 0 },
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            target: fs::read_link(&path).map(|target| target.display().to_string()).unwrap_or_default(),
            open: if is_device { errno::word(super::paths::open_quietly(&path)) } else { String::new() },
        });
        if kind == "dir" && metadata.dev() == here.dev() {
            list_devices(&path, found);
        }
    }
}

fn id_map(path: &str) -> Vec<(u32, u32, u32)> {
    let text = read(path);
    let lines = text.lines().map(|line| line.split_whitespace().map(str::parse));
    lines
        .filter_map(|mut words| Some((words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?)))
        .collect()
}

fn environment() -> BTreeMap<String, String> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

fn time_offsets() -> BTreeMap<String, (i64, i64)> {
    let text = read("/proc/self/timens_offsets");
    let lines = text.lines().map(str::split_whitespace);
    lines
        .filter_map(|mut words| {
            let clock = words.next()?.to_owned();
            Some((clock, (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
        })
        .collect()
}

fn sysctl(name: &str) -> String {
    match fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))) {
        Ok(value) => value.trim().replace('\t', " "),
        Err(error) => errno::name(&error),
    }
}

fn scheduler() -> Scheduler {
    let stat = read("/proc/self/stat");
    // The command's name is in parentheses and may hold anything; field 3 follows it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    Scheduler {
        policy: field(41).parse().unwrap_or(u32::MAX),
        priority: field(40).parse().unwrap_or(u32::MAX),
        nice: field(19).parse().unwrap_or(i32::MAX),
    }
}

fn session() -> Session {
    let raw = |pid: Option<rustix::process::Pid>| rustix::process::Pid::as_raw(pid);
    let size = rustix::termios::tcgetwinsize(std::io::stdin());
    Session {
        pid: raw(Some(rustix::process::getpid())),
        parent: raw(rustix::process::getppid()),
        group: raw(Some(rustix::process::getpgrp())),
        session: raw(rustix::process::getsid(None).ok()),
        tty: std::io::IsTerminal::is_terminal(&std::io::stdin()),
        size: size.map_or((0, 0), |size| (size.ws_row, size.ws_col)),
        controlling: errno::word(fs::File::open("/dev/tty")),
    }
}
