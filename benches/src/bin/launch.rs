//! Launching through the spawner, and exec in a running container, beside the floor of the same run.
//!
//! ```text
//! launch [--rounds N] [--runtime PATH] [--monitors N]
//! ```
//! Every round makes one container each way, without a network, over an overlay of the same image,
//! with the default identity and its seccomp filter. At the end N containers run at once, and the
//! private memory of their monitors and of the spawner is read.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{
    env,
    ffi::CString,
    fs,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Instant,
};

use longshore_benches::{Samples, bundle::Bundle, disk::Disk, floor::Floor, table};
use longshore_runtime::{
    cgroup::{Driver, Layout},
    defaults::identity,
    launch::{Control, Event, Launched, Launcher, Request},
    plan::{self, Options, Plan},
    spec::NamespaceKind,
    wire::{FdRole, Io, LogSink, Stdin, Target},
};
use longshore_types::ContainerId;
use rustix::{
    fs::{Mode, OFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    },
};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const WARM_UP: usize = 5;

fn main() -> Fallible<()> {
    let (mut rounds, mut monitors) = (60, 100);
    let mut binary = PathBuf::from("target/x86_64-unknown-linux-gnu/release/longshore-runtime");
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--monitors" => monitors = value.parse()?,
            "--runtime" => binary = value.into(),
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let disk = Disk::new("launch", 512)?;
    let binary = binary.canonicalize()?;
    let bench = Bench::new(&disk, &binary)?;
    bench.latency(rounds)?;
    bench.memory(monitors)
}

struct Bench {
    work: PathBuf,
    run: PathBuf,
    bundle: Bundle,
    host: Layout,
    launcher: Launcher,
    floor: Floor,
}

impl Bench {
    fn new(disk: &Disk, binary: &Path) -> Fallible<Self> {
        let work = disk.path().join("work");
        fs::create_dir_all(&work)?;
        let bundle = Bundle::new(disk.path(), binary, &["/bin/true"])?;
        // Directories of the spawner and of containers are on a tmpfs, as `/run` is.
        let run = disk.path().join("run");
        fs::create_dir_all(&run)?;
        rustix::mount::mount("tmpfs", &run, "tmpfs", rustix::mount::MountFlags::empty(), None)?;
        let launcher = Launcher::connect_or_start(&run.join("longshore"), binary)?;
        let scratch = disk.path().join("scratch");
        fs::create_dir_all(&scratch)?;
        let host = Layout::detect()?;
        let floor = Floor::of_host(&host, bundle.path.join("rootfs"), scratch, false)?;
        Ok(Self { work, run, bundle, host, launcher, floor })
    }

    /// The plan of the container `id`, and its directory with an overlay's upper directories.
    fn plan(&self, id: &str, args: &[&str]) -> Fallible<Plan> {
        let mut spec = identity::spec("rootfs", args, identity::Host::default());
        if let Some(linux) = &mut spec.linux {
            linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
            linux.sysctl.clear();
            linux.cgroups_path = format!("/longshore-bench/{id}");
        }
        // A sysfs of the host's network namespace is the host's own.
        spec.mounts.retain(|mount| mount.kind != "sysfs" && mount.kind != "cgroup");
        let options = Options {
            id: ContainerId::new(id)?,
            cgroup_driver: Driver::Cgroupfs,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            rootless: false,
        };
        Ok(plan::plan(&spec, &self.bundle.path, &options, &self.host)?)
    }

    fn overlay(&self, id: &str) -> Fallible<OwnedFd> {
        let (upper, work) = (self.work.join(id).join("upper"), self.work.join(id).join("work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let lower = self.bundle.path.join("rootfs");
        for (key, path) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
            fsconfig_set_string(context.as_fd(), key, path.to_string_lossy().as_ref())?;
        }
        fsconfig_create(context.as_fd())?;
        Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
    }

    fn launch(&self, plan: &Plan, root: &OwnedFd) -> Fallible<Launched> {
        let directory = self.run.join(plan.id.as_str());
        fs::create_dir(&directory)?;
        let directory = rustix::fs::open(
            &directory,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(self.launcher.launch(&Request {
            plan,
            io: Io::Pipes { stdin: Stdin::Null },
            log: LogSink::None,
            remove_cgroup: true,
            fds: &[(FdRole::Directory, directory.as_fd()), (FdRole::Root, root.as_fd())],
        })?)
    }

    fn latency(&self, rounds: usize) -> Fallible<()> {
        let args = [CString::new("/bin/true")?];
        let mut rows = [
            Samples::new("floor: nothing to exec, with overlay"),
            Samples::new("launch: request to exec"),
            Samples::new("floor: nothing to gone"),
            Samples::new("launch: request to exit known"),
            Samples::new("exec in a running container"),
        ];
        let plan = self.plan("sleeper", &["/bin/sleep", "3600"])?;
        let root = self.overlay("sleeper")?;
        let mut sleeper = self.launch(&plan, &root)?;
        let exec = {
            let mut process = plan.process.clone();
            process.args = args.to_vec();
            process
        };
        for round in 0..WARM_UP + rounds {
            let keep = round >= WARM_UP;
            let times = self.floor.run(&args)?;
            let id = format!("round-{round}");
            let plan = self.plan(&id, &["/bin/true"])?;
            // The floor's overlay has its directory too.
            fs::create_dir_all(self.work.join(&id))?;
            let start = Instant::now();
            let root = self.overlay(&id)?;
            let mut launched = self.launch(&plan, &root)?;
            let to_exec = start.elapsed();
            ended(&mut launched.control)?;
            let to_exit = start.elapsed();
            drop(root);
            let start = Instant::now();
            let name = format!("exec-{round}");
            sleeper.control.exec(&name, &exec, plan.seccomp.as_ref(), false, &[])?;
            let to_exec_in = start.elapsed();
            ended(&mut sleeper.control)?;
            if keep {
                let times = [times.to_exec, to_exec, times.to_gone, to_exit, to_exec_in];
                rows.iter_mut().zip(times).for_each(|(row, time)| row.push(time));
            }
        }
        sleeper.control.signal(Target::Init, 9)?;
        ended(&mut sleeper.control)?;
        println!("{}", table(&rows));
        println!("launch / floor, to exec: {:.2}", rows[1].median() / rows[0].median());
        Ok(())
    }

    fn memory(&self, count: usize) -> Fallible<()> {
        let spawner = i32::try_from(self.launcher.ping()?)?;
        let mut running = Vec::with_capacity(count);
        for index in 0..count {
            let id = format!("memory-{index}");
            let plan = self.plan(&id, &["/bin/sleep", "3600"])?;
            let root = self.overlay(&id)?;
            running.push(self.launch(&plan, &root)?);
        }
        let mut private: Vec<u64> = Vec::with_capacity(count);
        for launched in &running {
            private.push(private_memory(parent_of(launched.pid)?)?);
        }
        private.sort_unstable();
        let median = private.get(private.len() / 2).copied().unwrap_or_default();
        let largest = private.last().copied().unwrap_or_default();
        println!("{count} monitors: private memory median {median} kB, largest {largest} kB");
        println!("spawner: private memory {} kB", private_memory(spawner)?);
        for launched in &mut running {
            launched.control.signal(Target::Init, 9)?;
        }
        for launched in &mut running {
            ended(&mut launched.control)?;
        }
        longshore_sys::pidfd::send_signal(longshore_sys::pidfd::open(spawner)?.as_fd(), 15)?;
        Ok(())
    }
}

/// Waits for the end of the process that this connection started last: it is told unasked.
fn ended(control: &mut Control) -> Fallible<()> {
    loop {
        if let Event::Exited(_) | Event::ExecExited(_) = control.next_event()? {
            return Ok(());
        }
    }
}

fn parent_of(pid: i32) -> Fallible<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).ok_or("no PPid")?;
    Ok(line.trim().parse()?)
}

/// Private pages of a process, in kB.
fn private_memory(pid: i32) -> Fallible<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let fields =
        text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    let mut sum = 0;
    for line in fields {
        let number = line.split_whitespace().nth(1).ok_or("no number")?;
        sum += number.parse::<u64>()?;
    }
    Ok(sum)
}
