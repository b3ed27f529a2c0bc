//! The floor: the kernel work of one container and nothing else.
//!
//! No spec, no plan, no state, no messages: the calls written out one after the other, for the
//! identity that a default container has (namespaces, an overlay root, the usual mounts and device
//! nodes, masked and read-only paths, capabilities, a seccomp filter), from a small static process
//! with one thread. What a runtime takes beyond it is the runtime's own.

use std::{
    ffi::CString,
    fs,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use longshore_runtime::{
    cgroup::{Layout, Version},
    defaults::identity,
    seccomp::{self as filter, Filter},
};
use longshore_sys::{
    capability,
    clone::{Cloned, clone3, flags},
    exec::execve,
    mount::{Change, attr, pivot_to_current_directory, set_attributes},
    namespace, process, resolve, seccomp,
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
    pipe::PipeFlags,
    process::{WaitId, WaitIdOptions, waitid},
};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From nothing to the init's exec.
    pub to_exec: Duration,
    /// To its exit, as its parent knows it.
    pub to_exit: Duration,
    /// To the last of it being removed.
    pub to_gone: Duration,
}

/// What runs share.
#[derive(Debug)]
pub struct Floor {
    /// A directory with the image's files, the lower layer of the overlay.
    pub lower: PathBuf,
    /// An empty directory on the same file system, for upper and work directories.
    pub scratch: PathBuf,
    pub filter: Option<Filter>,
    /// The cgroup directories to make and join (version 1), one for each hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// The cgroup to make and be born in (version 2).
    pub unified: Option<PathBuf>,
    /// Whether the container has a network namespace of its own.
    pub network: bool,
}

const CAPABILITIES: u64 = 0xa804_25fb;
const DEVICE_RULES: [&str; 11] = [
    "b *:* m",
    "c *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
    "c 136:* rwm",
];

impl Floor {
    /// The floor of this host for a default container: its hierarchies, the default filter.
    pub fn of_host(host: &Layout, lower: PathBuf, scratch: PathBuf, network: bool) -> io::Result<Self> {
        let (mut cgroups, mut unified) = (Vec::new(), None);
        for hierarchy in host.hierarchies() {
            let directory = hierarchy.mountpoint.join("longshore-floor");
            match hierarchy.version {
                Version::V1 => cgroups.push(directory),
                Version::V2 => unified = Some(directory),
            }
        }
        let profile =
            identity::spec("", &[], identity::Host::default()).linux.and_then(|linux| linux.seccomp);
        let filter = profile.map(|profile| filter::compile(&profile)).transpose();
        let filter = filter.map_err(io::Error::other)?.flatten();
        Ok(Self { lower, scratch, filter, cgroups, unified, network })
    }

    /// Runs `args` once in a container that is made and removed.
    pub fn run(&self, args: &[CString]) -> io::Result<Times> {
        let start = Instant::now();
        for cgroup in self.cgroups.iter().chain(&self.unified) {
            fs::create_dir(cgroup)?;
            prepare(cgroup)?;
        }
        let tasks: Vec<OwnedFd> = self
            .cgroups
            .iter()
            .map(|path| open(&path.join("tasks"), OFlags::WRONLY))
            .collect::<io::Result<_>>()?;
        let unified = self.unified.as_deref().map(|path| open(path, OFlags::DIRECTORY)).transpose()?;
        let root = self.overlay()?;
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let mut new = flags::NEWNS | flags::NEWPID | flags::NEWIPC | flags::NEWUTS;
        if self.network {
            new |= flags::NEWNET;
        }
        let pidfd = match clone3(new, unified.as_ref().map(AsFd::as_fd))? {
            Cloned::Child => {
                let error = self.child(root.as_fd(), &tasks, args).err();
                let errno = error.as_ref().and_then(io::Error::raw_os_error).unwrap_or(1);
                rustix::io::write(&writer, &errno.to_ne_bytes()).ok();
                process::exit_now(127)
            }
            Cloned::Parent { pidfd, .. } => pidfd,
        };
        drop(writer);
        let mut errno = [0u8; 4];
        if rustix::io::read(&reader, &mut errno)? != 0 {
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            self.remove()?;
            return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)));
        }
        let to_exec = start.elapsed();
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        let to_exit = start.elapsed();
        drop(root);
        self.remove()?;
        Ok(Times { to_exec, to_exit, to_gone: start.elapsed() })
    }

    /// One overlay of fresh upper and work directories over the image, detached.
    fn overlay(&self) -> io::Result<OwnedFd> {
        let (upper, work) = (self.scratch.join("upper"), self.scratch.join("work"));
        fs::create_dir(&upper)?;
        fs::create_dir(&work)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        filesystem(
            "overlay",
            &[("lowerdir", &text(&self.lower)), ("upperdir", &text(&upper)), ("workdir", &text(&work))],
        )
    }

    fn remove(&self) -> io::Result<()> {
        for cgroup in self.cgroups.iter().chain(&self.unified) {
            // A task of a cgroup is out of it a moment after its parent hears of its end.
            while let Err(error) = fs::remove_dir(cgroup) {
                if error.kind() != io::ErrorKind::ResourceBusy {
                    return Err(error);
                }
                std::thread::yield_now();
            }
        }
        fs::remove_dir_all(self.scratch.join("upper"))?;
        fs::remove_dir_all(self.scratch.join("work"))
    }

    fn child(&self, root: BorrowedFd<'_>, tasks: &[OwnedFd], args: &[CString]) -> io::Result<()> {
        for hierarchy in tasks {
            rustix::io::write(hierarchy, b"0")?;
        }
        process::set_dumpable(false)?;
        namespace::unshare(flags::NEWCGROUP)?;
        rustix::process::setsid()?;
        if self.network {
            longshore_sys::link::loopback_up()?;
        }
        let host = open(Path::new("/"), OFlags::PATH)?;
        let slave = Change { propagation: 1 << 19, ..Change::default() };
        set_attributes(host.as_fd(), true, slave, None)?;
        // The image's own directory is a place as good as any to put the root on.
        let place = open(&self.lower, OFlags::PATH)?;
        onto(root, place.as_fd())?;
        self.mounts(root)?;
        nodes(root)?;
        hide(root)?;
        rustix::process::fchdir(root)?;
        pivot_to_current_directory()?;
        rustix::process::chdir("/")?;
        process::set_host_name(b"floor")?;
        for number in 0..41 {
            if CAPABILITIES & 1 << number == 0 {
                capability::drop_bounding(number)?;
            }
        }
        if let Some(filter) = &self.filter {
            let program: Vec<seccomp::Instruction> = filter
                .program
                .iter()
                .map(|i| seccomp::Instruction {
                    code: i.code,
                    jump_true: i.jt,
                    jump_false: i.jf,
                    operand: i.k,
                })
                .collect();
            seccomp::install(&program, u64::from(filter.flags))?;
        }
        capability::set(capability::Sets {
            effective: CAPABILITIES,
            permitted: CAPABILITIES,
            inheritable: 0,
        })?;
        process::close_on_exec_from(3)?;
        Err(execve(&args[0], args, &[c"PATH=/bin".to_owned()]))
    }

    fn mounts(&self, root: BorrowedFd<'_>) -> io::Result<()> {
        const COMMON: u64 = attr::NOSUID | attr::NOEXEC | attr::NODEV;
        type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u64);
        let table: [Row<'_>; 6] = [
            ("proc", "proc", &[], COMMON),
            ("tmpfs", "dev", &[("mode", "755"), ("size", "65536k")], attr::NOSUID | attr::STRICTATIME),
            (
                "devpts",
                "dev/pts",
                &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")],
                attr::NOSUID | attr::NOEXEC,
            ),
            ("tmpfs", "dev/shm", &[("mode", "1777"), ("size", "65536k")], COMMON),
            ("mqueue", "dev/mqueue", &[], COMMON),
            ("sysfs", "sys", &[], COMMON | attr::RDONLY),
        ];
        for (kind, target, options, attributes) in table {
            if kind == "sysfs" && !self.network {
                continue;
            }
            let mount = filesystem(kind, options)?;
            let clear = if attributes & attr::STRICTATIME == 0 { 0 } else { attr::ATIME };
            let change = Change { set: attributes, clear, propagation: 0 };
            set_attributes(mount.as_fd(), false, change, None)?;
            if target.starts_with("dev/") {
                rustix::fs::mkdirat(root, target, Mode::from_raw_mode(0o755))?;
            }
            onto(mount.as_fd(), inside(root, target)?.as_fd())?;
        }
        Ok(())
    }
}

/// What a fresh cgroup of version 1 needs for the default identity: CPUs and memory nodes, without which
/// it takes no task, and the list of devices.
fn prepare(cgroup: &Path) -> io::Result<()> {
    let parent = cgroup.parent().unwrap_or(cgroup);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if cgroup.starts_with("/sys/fs/cgroup/cpuset") {
            fs::write(cgroup.join(name), fs::read(parent.join(name))?)?;
        }
    }
    if cgroup.starts_with("/sys/fs/cgroup/devices") {
        let mut deny = fs::File::options().write(true).open(cgroup.join("devices.deny"))?;
        deny.write_all(b"a")?;
        let mut allow = fs::File::options().write(true).open(cgroup.join("devices.allow"))?;
        for rule in DEVICE_RULES {
            allow.write_all(rule.as_bytes())?;
        }
    }
    Ok(())
}

fn nodes(root: BorrowedFd<'_>) -> io::Result<()> {
    let dev = inside(root, "dev")?;
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&dev, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)?;
    }
    for (target, name) in [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("pts/ptmx", "ptmx"),
    ] {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    Ok(())
}

fn hide(root: BorrowedFd<'_>) -> io::Result<()> {
    for path in ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"] {
        let Ok(target) = inside(root, path) else { continue };
        let copy = clone(target.as_fd())?;
        let change = Change { set: attr::RDONLY, ..Change::default() };
        set_attributes(copy.as_fd(), true, change, None)?;
        onto(copy.as_fd(), target.as_fd())?;
    }
    let null = open(Path::new("/dev/null"), OFlags::PATH)?;
    let empty = filesystem("tmpfs", &[("nr_blocks", "1"), ("nr_inodes", "1")])?;
    let change = Change { set: attr::RDONLY, ..Change::default() };
    set_attributes(empty.as_fd(), false, change, None)?;
    for path in [
        "proc/acpi",
        "proc/asound",
        "proc/interrupts",
        "proc/kcore",
        "proc/keys",
        "proc/latency_stats",
        "proc/sched_debug",
        "proc/scsi",
        "proc/timer_list",
        "proc/timer_stats",
        "sys/devices/virtual/powercap",
        "sys/firmware",
    ] {
        let Ok(target) = inside(root, path) else { continue };
        let directory = FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode) == FileType::Directory;
        onto(clone(if directory { empty.as_fd() } else { null.as_fd() })?.as_fd(), target.as_fd())?;
    }
    Ok(())
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

fn inside(root: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let how = resolve::how::IN_ROOT | resolve::how::NO_MAGICLINKS;
    resolve::open(root, &CString::new(path)?, OFlags::PATH.bits().cast_signed(), how)
}

fn clone(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(fd, c"", flags)?)
}

fn onto(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

fn filesystem(kind: &str, options: &[(&str, &str)]) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(context.as_fd(), *key)?;
        } else {
            fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}
