//! What `create` and `run` share: from a bundle to a container that waits for its exec.

use std::{
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use longshore_runtime::{
    cgroup,
    container::{self, Birth, Created, Gate},
    init::ProcessIo,
    plan::{self, Plan},
    spec::{self, Spec},
    state::{Dir, EXEC_FIFO, Identity, Record},
};
use longshore_types::ContainerId;
use rustix::fs::{Mode, OFlags};

use super::{
    container::{destroy, id, step},
    failure::Failure,
    flag::{Flag, Matches},
    global::{Global, absolute},
    inherited, notify,
    socket::Receiver,
};

/// The flags of both commands.
pub(super) const FLAGS: &[Flag] = &[
    Flag::value("bundle", "path", "directory of config.json, the current one by default").short('b'),
    Flag::value("console-socket", "path", "unix socket that receives the master end of the terminal"),
    Flag::value("pidfd-socket", "path", "unix socket that receives a pidfd of the init process"),
    Flag::value("pid-file", "file", "write the process ID to FILE"),
    Flag::switch("no-pivot", "change the root without pivot_root, for a rootfs on a ramdisk"),
    Flag::switch("no-new-keyring", "keep the caller's session keyring"),
    Flag::value("preserve-fds", "n", "pass N more descriptors on, after stdio and $LISTEN_FDS"),
];

/// The values of [`FLAGS`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) id: ContainerId,
    bundle: PathBuf,
    console_socket: Option<PathBuf>,
    pidfd_socket: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    no_pivot: bool,
    no_new_keyring: bool,
    preserve_fds: u32,
}

impl Options {
    /// Reads the flags; all paths become absolute.
    pub(super) fn new(matches: &Matches) -> Result<Self, Failure> {
        let path = |name| matches.owned::<PathBuf>(name).as_deref().map(absolute).transpose();
        Ok(Self {
            id: id(matches)?,
            bundle: path("bundle")?.map_or_else(|| absolute(Path::new(".")), Ok)?,
            console_socket: path("console-socket")?,
            pidfd_socket: path("pidfd-socket")?,
            pid_file: path("pid-file")?,
            no_pivot: matches.has("no-pivot"),
            no_new_keyring: matches.has("no-new-keyring"),
            preserve_fds: matches.number("preserve-fds")?.unwrap_or_default(),
        })
    }
}

/// A container that was planned: nothing has been done yet.
#[derive(Debug)]
pub(super) struct Planned {
    options: Options,
    spec: Spec,
    plan: Plan,
    host: cgroup::Layout,
    console: Option<Receiver>,
    pidfd: Option<Receiver>,
    /// The service manager's socket.
    notify: Option<String>,
}

/// A container whose init waits, on record and locked.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) dir: Dir,
    pub(super) record: Record,
    pub(super) spec: Spec,
    pub(super) created: Created,
}

impl Made {
    /// Takes back all that was done, because of `failure`.
    pub(super) fn undo<T>(self, global: &Global, failure: Failure) -> Result<T, Failure> {
        self.created.abort();
        clean_up(global, self.dir, &self.record, &self.spec);
        Err(failure)
    }
}

/// Removes what was made before something failed; what fails now comes second.
fn clean_up(global: &Global, dir: Dir, record: &Record, spec: &Spec) {
    if let Err(second) = destroy(global, dir, record, Some(spec)) {
        global.log.warning(&super::log::chain(&second));
    }
}

impl Planned {
    /// Reads the bundle and plans its container. `detached` says that nobody waits for it here.
    pub(super) fn new(global: &Global, options: Options, detached: bool) -> Result<Self, Failure> {
        // Hooks run in the bundle, as runc's do.
        let at_bundle =
            |source| Failure::File { action: "enter bundle", path: options.bundle.clone(), source };
        std::env::set_current_dir(&options.bundle).map_err(at_bundle)?;
        let mut spec = spec::load(&options.bundle.join("config.json"))?;
        let notify = notify::manager();
        if notify.is_some() {
            notify::add_mount(&mut spec, &global.root.path_of(&options.id));
        }
        let preserve_fds = inherited::pass_on(&mut spec, options.preserve_fds)?;
        let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
        let console = console_receiver(options.console_socket.as_deref(), terminal, detached)?;
        let pidfd = options.pidfd_socket.as_deref().map(Receiver::connect).transpose()?;
        let host = cgroup::Layout::detect()?;
        let plan = plan::plan(&spec, &options.bundle, &plan_options(global, &options, preserve_fds), &host)?;
        for warning in &plan.warnings {
            global.log.warning(warning);
        }
        Ok(Self { options, spec, plan, host, console, pidfd, notify })
    }

    /// Whether the process gets a terminal that is not handed to a socket.
    pub(super) fn has_terminal(&self) -> bool {
        self.plan.process.terminal
    }

    /// Makes the container. With `gated` its init will wait for the command `start`.
    ///
    /// The record is saved before the first side effect and again with the init, which cannot go on
    /// before: a crash in between leaves nothing that the record does not name.
    pub(super) fn create(self, global: &Global, io: &ProcessIo, gated: bool) -> Result<Made, Failure> {
        global
            .log
            .debug(|| format!("creating container {} of {}", self.options.id, self.options.bundle.display()));
        let dir = global.root.create(&self.options.id)?;
        let mut record = self.record();
        let made = self.create_in(&dir, &mut record, io, gated);
        match made {
            Ok(created) => {
                global.log.debug(|| format!("init is process {}", created.pid));
                Ok(Made { dir, record, spec: self.spec, created })
            }
            Err(failure) => {
                clean_up(global, dir, &record, &self.spec);
                Err(failure)
            }
        }
    }

    fn create_in(
        &self,
        dir: &Dir,
        record: &mut Record,
        io: &ProcessIo,
        gated: bool,
    ) -> Result<Created, Failure> {
        dir.save_record(record)?;
        if self.notify.is_some() {
            notify::make_directory(dir)?;
        }
        let gate = if gated { Gate::Fifo(make_gate(dir)?) } else { Gate::Immediate };
        // Whoever reads the terminal, the pidfd or the PID file wants them before the program runs; behind
        // a gate it does not run yet.
        let told_later = self.console.is_some() || self.pidfd.is_some() || self.options.pid_file.is_some();
        let mut spec_is_there = false;
        let mut put_on_record = |pid, cgroup: &cgroup::Cgroup| -> io::Result<()> {
            step("create.announce").map_err(io::Error::other)?;
            record.init = Some(Identity::of(pid)?);
            record.cgroup = Some(cgroup.record());
            // While the init mounts. Hooks, which a crash would need it for, run only after this.
            if !spec_is_there {
                dir.create_spec(&self.spec).map_err(io::Error::other)?;
                spec_is_there = true;
            }
            dir.save_record(record).map_err(io::Error::other)?;
            step("create.recorded").map_err(io::Error::other)
        };
        let birth = Birth { record: &mut put_on_record, go: gated || !told_later };
        let created = container::create(&self.plan, &self.host, io, gate, None, birth)?;
        match self.announce(&created) {
            Ok(()) => Ok(created),
            Err(failure) => {
                created.abort();
                Err(failure)
            }
        }
    }

    fn announce(&self, created: &Created) -> Result<(), Failure> {
        if let (Some(receiver), Some(console)) = (&self.console, &created.console) {
            receiver.send(console.as_fd(), "/dev/ptmx")?;
        }
        if let Some(receiver) = &self.pidfd {
            receiver.send(created.pidfd.as_fd(), "pidfd")?;
        }
        self.options.pid_file.as_deref().map_or(Ok(()), |path| write_pid(path, created.pid))
    }

    fn record(&self) -> Record {
        let namespaces =
            self.spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
        Record {
            cgroup: Some(self.plan.cgroup.record()),
            namespaces: namespaces.iter().map(|namespace| namespace.kind).collect(),
            keyring: self.plan.keyring.clone(),
            rootless: self.plan.rootless,
            annotations: self.spec.annotations.clone(),
            ..Record::new(self.options.id.clone(), &self.options.bundle, &self.rootfs())
        }
    }

    fn rootfs(&self) -> PathBuf {
        let path = self.spec.root.as_ref().map_or("", |root| &root.path);
        let path = self.options.bundle.join(path);
        fs::canonicalize(&path).unwrap_or(path)
    }
}

fn plan_options(global: &Global, options: &Options, preserve_fds: u32) -> plan::Options {
    plan::Options {
        id: options.id.clone(),
        cgroup_driver: match global.systemd_cgroup {
            true => cgroup::Driver::Systemd,
            false => cgroup::Driver::Cgroupfs,
        },
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds,
        rootless: global.rootless,
    }
}

/// Connects to the console socket, where there is to be one and only there.
pub(super) fn console_receiver(
    path: Option<&Path>,
    terminal: bool,
    detached: bool,
) -> Result<Option<Receiver>, Failure> {
    match path {
        None if terminal && detached => Err(Failure::TerminalDetached),
        Some(_) if !(terminal && detached) => Err(Failure::NeedlessConsoleSocket),
        path => path.map(Receiver::connect).transpose(),
    }
}

/// Makes the FIFO at which the init waits for `start`.
fn make_gate(dir: &Dir) -> Result<std::os::fd::OwnedFd, Failure> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::mkfifoat(dir, EXEC_FIFO, Mode::RUSR | Mode::WUSR)
        .and_then(|()| rustix::fs::openat(dir, EXEC_FIFO, flags, Mode::empty()))
        .map_err(|source| Failure::File {
            action: "make",
            path: dir.path().join(EXEC_FIFO),
            source: source.into(),
        })
}

/// Writes `pid` to the file at `path`, which appears whole or not at all.
pub(super) fn write_pid(path: &Path, pid: i32) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    fs::write(&new, pid.to_string()).and_then(|()| fs::rename(&new, path)).map_err(|source| Failure::File {
        action: "write",
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{super::create, Options, console_receiver, write_pid};

    fn read(line: &str) -> Result<Options, String> {
        let matches = create::COMMAND.syntax.read(&mut line.split_whitespace().map(Into::into)).unwrap();
        Options::new(&matches).map_err(|failure| failure.to_string())
    }

    #[test]
    fn every_flag_has_its_field() {
        let line = "--bundle /b --console-socket /c --pidfd-socket /d --pid-file /p --no-pivot \
                    --no-new-keyring --preserve-fds 2 name";
        let options = read(line).unwrap();
        assert_eq!(options.id.as_str(), "name");
        assert_eq!(options.bundle, Path::new("/b"));
        assert_eq!(options.console_socket, Some(PathBuf::from("/c")));
        assert_eq!(options.pidfd_socket, Some(PathBuf::from("/d")));
        assert_eq!(options.pid_file, Some(PathBuf::from("/p")));
        assert!(options.no_pivot && options.no_new_keyring);
        assert_eq!(options.preserve_fds, 2);
    }

    #[test]
    fn paths_are_of_the_current_directory() {
        let here = std::env::current_dir().unwrap();
        let options = read("--pid-file p name").unwrap();
        assert_eq!(options.bundle, here);
        assert_eq!(options.pid_file, Some(here.join("p")));
        assert_eq!(read("-b x name").unwrap().bundle, here.join("x"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read("../x").unwrap_err().contains("\"../x\""));
        assert!(read("--preserve-fds -1 name").unwrap_err().contains("-preserve-fds"));
    }

    #[test]
    fn a_console_socket_is_for_a_detached_terminal_alone() {
        let path = Some(Path::new("/nonexistent"));
        let receiver = |path, terminal, detached| {
            console_receiver(path, terminal, detached).map(|found| found.is_some()).map_err(|f| f.to_string())
        };
        assert_eq!(receiver(None, false, true), Ok(false));
        assert_eq!(receiver(None, true, false), Ok(false));
        assert!(receiver(None, true, true).unwrap_err().starts_with("cannot allocate tty"));
        assert!(receiver(path, false, true).unwrap_err().starts_with("cannot use console socket"));
        assert!(receiver(path, true, false).unwrap_err().starts_with("cannot use console socket"));
        assert_eq!(receiver(path, true, true).unwrap_err(), "cannot connect to /nonexistent");
    }

    #[test]
    fn a_pid_file_is_the_bare_number() {
        let path = std::env::temp_dir().join(format!("longshore-pid-{}", std::process::id()));
        write_pid(&path, 42).unwrap();
        write_pid(&path, 43).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "43");
        std::fs::remove_file(&path).unwrap();
        assert!(write_pid(Path::new("/nonexistent/pid"), 1).is_err());
    }
}
