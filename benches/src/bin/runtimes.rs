//! `run` of one busybox bundle by this runtime and by others, beside the floor of the same run.
//!
//! ```text
//! runtimes [--rounds N] [--runtime PATH]
//! ```
//! Two parts: in the host's own cgroup layout, and in a mount namespace without the hybrid layout's
//! version 2 hierarchy, because crun refuses that layout.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    env,
    ffi::CString,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use longshore_benches::{Samples, bundle::Bundle, disk::Disk, floor::Floor, table};
use longshore_sys::{
    clone::flags,
    mount::{Change, set_attributes},
    namespace,
};
use rustix::{
    fs::{Mode, OFlags},
    mount::{UnmountFlags, unmount},
};

const WARM_UP: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rounds = 60;
    let mut ours = PathBuf::from("target/x86_64-unknown-linux-gnu/release/longshore-runtime");
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--runtime" => ours = value.into(),
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let disk = Disk::new("runtimes", 512)?;
    let bundle = Bundle::new(disk.path(), &ours.canonicalize()?, &["/bin/true"])?;
    let runtime = |name: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .map(|d| Path::new(d).join(name))
            .find(|p| p.exists())
    };
    let ours = ours.canonicalize()?;
    println!("# the host's layout");
    let mut contenders = vec![("longshore-runtime run", ours.clone())];
    contenders.extend(runtime("runc").map(|path| ("runc run", path)));
    compare(&contenders, &bundle, &disk, rounds)?;

    namespace::unshare(flags::NEWNS)?;
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    set_attributes(root.as_fd(), true, Change { propagation: 1 << 18, ..Change::default() }, None)?;
    if Path::new("/sys/fs/cgroup/unified").exists() {
        unmount("/sys/fs/cgroup/unified", UnmountFlags::DETACH)?;
    }
    println!("# without the version 2 hierarchy of the hybrid layout");
    contenders.extend(runtime("crun").map(|path| ("crun run", path)));
    compare(&contenders, &bundle, &disk, rounds)
}

fn compare(
    contenders: &[(&str, PathBuf)],
    bundle: &Bundle,
    disk: &Disk,
    rounds: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let floor = floor(bundle, disk)?;
    let args = [CString::new("/bin/true")?];
    let mut rows: Vec<Samples> = contenders.iter().map(|(name, _)| Samples::new(*name)).collect();
    rows.push(Samples::new("floor (no spec, no state, overlay root)"));
    for round in 0..WARM_UP + rounds {
        for (row, (_, program)) in rows.iter_mut().zip(contenders) {
            let start = Instant::now();
            let status = Command::new(program)
                .args(["run", "longshore-bench"])
                .current_dir(&bundle.path)
                .stdin(Stdio::null())
                .status()?;
            let time = start.elapsed();
            if !status.success() {
                return Err(format!("{}: {status}", program.display()).into());
            }
            if round >= WARM_UP {
                row.push(time);
            }
        }
        let times = floor.run(&args)?;
        if round >= WARM_UP
            && let Some(row) = rows.last_mut()
        {
            row.push(times.to_gone);
        }
    }
    println!("{}", table(&rows));
    Ok(())
}

/// The floor in the cgroup hierarchies that this host has.
fn floor(bundle: &Bundle, disk: &Disk) -> io::Result<Floor> {
    let scratch = disk.path().join("scratch");
    fs::create_dir_all(&scratch)?;
    let mut cgroups = Vec::new();
    let mut unified = None;
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(point) = before.split(' ').nth(4) else { continue };
        let directory = Path::new(point).join("longshore-floor");
        if after.starts_with("cgroup2 ") {
            unified = Some(directory);
        } else if after.starts_with("cgroup ") {
            cgroups.push(directory);
        }
    }
    Ok(Floor { lower: bundle.path.join("rootfs"), scratch, filter: None, cgroups, unified, network: true })
}
