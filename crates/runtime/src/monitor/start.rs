use std::{
    collections::VecDeque,
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use longshore_sys::{event, process};
use rustix::{
    fs::AtFlags,
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
    pipe::PipeFlags,
    pty::OpenptFlags,
};

use super::{
    SIGNALS, SOCKET,
    container::Container,
    exec::{Context, streams},
    exit::Phase,
    failure,
    input::Input,
    log::{Log, Stream, now},
    null,
    output::Outputs,
    poll::{Poll, Token},
    record,
    running::{Monitor, Parts},
};
use crate::{
    cgroup,
    container::{self, CreateError, Created, Gate},
    hooks,
    init::{HookState, ProcessIo},
    plan::Plan,
    spec::{Hook, NamespaceKind},
    state::{Identity, Status},
    wire::{FdRole, Io, Launch, Refusal, Reply, Stdin},
};

/// The descriptors that came with a [`Launch`], by their roles.
#[derive(Debug, Default)]
struct Donated {
    directory: Option<OwnedFd>,
    log: Option<OwnedFd>,
    root: Option<OwnedFd>,
    roles: Vec<FdRole>,
    streams: VecDeque<OwnedFd>,
}

/// The monitor's ends of the init's streams.
#[derive(Debug, Default)]
struct Ends {
    input: Option<OwnedFd>,
    outputs: Vec<(Stream, OwnedFd)>,
}

/// Makes the container and what watches it. Returns the monitor and a second pidfd of the init, for
/// whoever asked; or what to answer when it failed, with nothing left behind. The program runs by then
/// unless the launch is to [hold](Launch::hold).
pub(super) fn start(
    launch: Launch,
    fds: VecDeque<OwnedFd>,
    host: &cgroup::Layout,
) -> Result<(Monitor, OwnedFd), Reply> {
    let Launch { plan, io, log, remove_cgroup, hold, fds: roles } = launch;
    let donated = sort(&roles, fds).map_err(|reason| Reply::Refused(Refusal::Malformed { reason }))?;
    let directory = donated.directory.ok_or_else(|| without("directory"))?;
    if plan.preserve_fds != 0 {
        return Err(Reply::Refused(Refusal::Malformed { reason: "plan preserves descriptors".into() }));
    }
    become_monitor(plan.id.as_str())?;
    let poll = Poll::new().map_err(step("make an event loop"))?;
    let signals = event::signalfd(&SIGNALS).map_err(|error| failed("open a signalfd", &error))?;
    poll.add(&signals, Token::SIGNALS, rustix::event::epoll::EventFlags::IN)
        .map_err(step("watch signals"))?;
    record::remove(directory.as_fd()).map_err(step("remove the record of an earlier end"))?;
    let log = Log::open(log, donated.log).map_err(step("open the log"))?;
    let listener = listen(directory.as_fd()).map_err(step("listen on the container's socket"))?;
    poll.add(&listener, Token::LISTENER, rustix::event::epoll::EventFlags::IN)
        .map_err(step("watch the container's socket"))?;
    let streams = (donated.roles, donated.streams);
    let root = donated.root.as_ref().map(OwnedFd::try_clone).transpose();
    let root = root.map_err(|error| failed("duplicate the root", &error))?;
    let made = make(&plan, io, streams, (directory.as_fd(), donated.root), hold, host);
    let (created, ends) = made.inspect_err(|_| unlisten(directory.as_fd()))?;
    let Created { pid, pidfd, console, cgroup, waiting } = created;
    let started_at = if hold { 0 } else { now() };
    let phase = if hold { Phase::Created(Held::new(waiting, &plan, pid)) } else { Phase::Running };
    let terminal = console.is_some();
    let mut outputs = Outputs::new(log);
    let console = console.map(Console::open).transpose().map_err(step("open the terminal"))?;
    let (input, sources, terminal_fds) = match console {
        Some(Console { master, slave, input, output }) => {
            (Some(input), vec![(Stream::Stdout, output)], Some((master, slave)))
        }
        None => (ends.input, ends.outputs, None),
    };
    for (stream, fd) in sources {
        outputs.add(stream, fd, &poll).map_err(step("watch output"))?;
    }
    let for_asker = pidfd.try_clone().map_err(|error| failed("duplicate the pidfd", &error))?;
    let once = matches!(io, Io::Pipes { stdin: Stdin::Once });
    let external = plan.external.clone().map(|external| (external, plan.id.clone()));
    let identity = Identity::of(pid).unwrap_or(Identity { pid, start_ticks: 0 });
    let shares_pids = !plan.namespaces.makes(NamespaceKind::Pid);
    let context = Context::new(plan, identity, cgroup.record());
    let container = Container {
        pid,
        pidfd,
        started_at,
        cgroup,
        shares_pids,
        remove_cgroup,
        external,
        paused: false,
        killed: false,
    };
    let parts = Parts {
        poll,
        signals,
        listener,
        directory,
        container,
        context,
        outputs,
        input: Input::new(input, terminal, once),
        terminal: terminal_fds,
        root,
    };
    Ok((Monitor::new(parts, phase), for_asker))
}

/// Leaves the spawner: another name, the reaper of what the container leaves.
fn become_monitor(id: &str) -> Result<(), Reply> {
    // `ps` shows 15 bytes.
    let name = CString::new(format!("ls-mon:{id}")).unwrap_or_default();
    process::set_name(&name).map_err(|error| failed("set the monitor's name", &error))?;
    process::set_child_subreaper(true).map_err(|error| failed("become the reaper of orphans", &error))?;
    event::block_signals(&SIGNALS).map_err(|error| failed("block signals", &error))
}

fn sort(roles: &[FdRole], fds: VecDeque<OwnedFd>) -> Result<Donated, String> {
    if roles.len() != fds.len() {
        return Err(format!("{} descriptors where {} are named", fds.len(), roles.len()));
    }
    let mut donated = Donated::default();
    for (role, fd) in roles.iter().zip(fds) {
        match role {
            FdRole::Directory => donated.directory = Some(fd),
            FdRole::Log => donated.log = Some(fd),
            FdRole::Root => donated.root = Some(fd),
            FdRole::Stdin | FdRole::Stdout | FdRole::Stderr => {
                donated.roles.push(*role);
                donated.streams.push_back(fd);
            }
        }
    }
    Ok(donated)
}

/// Makes the container and lets its program go, unless it is to `hold`.
fn make(
    plan: &Plan,
    io: Io,
    (roles, donated): (Vec<FdRole>, VecDeque<OwnedFd>),
    (directory, root): (BorrowedFd<'_>, Option<OwnedFd>),
    hold: bool,
    host: &cgroup::Layout,
) -> Result<(Created, Ends), Reply> {
    let (process_io, ends) = match io {
        Io::Donated => {
            let streams = streams(&roles, donated);
            (streams.map_err(|reason| Reply::Refused(Refusal::Malformed { reason }))?, Ends::default())
        }
        // The init opens the terminal itself.
        Io::Pipes { .. } if plan.process.terminal => (ProcessIo::default(), Ends::default()),
        Io::Pipes { stdin } => pipes(stdin).map_err(step("make pipes"))?,
    };
    let create = |error: CreateError| failure(&error);
    // The record of this container is its directory, and this process.
    let birth = container::Birth { record: &mut |_, _| Ok(()), go: !hold };
    let made = match &plan.external {
        None => container::create(plan, host, &process_io, Gate::Immediate, root, birth),
        Some(external) => external.create(plan, directory, root, &process_io),
    };
    // The ends that the program has are its own from now on.
    drop(process_io);
    let mut created = made.map_err(create)?;
    if hold {
        return Ok((created, ends));
    }
    if let Err(error) = created.start() {
        let reply = failure(&error);
        created.abort();
        return Err(reply);
    }
    Poststart::new(plan, created.pid).run();
    Ok((created, ends))
}

/// The hooks that follow the start.
#[derive(Debug)]
struct Poststart {
    hooks: Vec<Hook>,
    state: Vec<u8>,
}

impl Poststart {
    fn new(plan: &Plan, pid: i32) -> Self {
        let hooks = hooks::Kind::Poststart.of(&plan.hooks).to_vec();
        let state = if hooks.is_empty() { None } else { HookState(plan).json(Status::Running, pid).ok() };
        Self { hooks, state: state.unwrap_or_default() }
    }

    /// The container runs by now: the specification has these hooks' failures logged at most.
    fn run(&self) {
        hooks::run_all(hooks::Kind::Poststart, &self.hooks, &self.state);
    }
}

/// What starts a container whose program waits: all that is kept of its plan for that.
#[derive(Debug)]
pub(super) struct Held {
    waiting: container::Waiting,
    poststart: Poststart,
}

impl Held {
    fn new(waiting: container::Waiting, plan: &Plan, pid: i32) -> Self {
        Self { waiting, poststart: Poststart::new(plan, pid) }
    }

    /// Lets the program run. When that fails the init is about to end.
    pub(super) fn start(mut self) -> Result<(), CreateError> {
        self.waiting.start()?;
        self.poststart.run();
        Ok(())
    }
}

fn pipes(stdin: Stdin) -> Result<(ProcessIo, Ends), Errno> {
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
    let (input, writer) = match stdin {
        Stdin::Null => (null()?, None),
        Stdin::Open | Stdin::Once => {
            let (reader, writer) = pipe()?;
            rustix::io::ioctl_fionbio(&writer, true)?;
            (reader, Some(writer))
        }
    };
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    rustix::io::ioctl_fionbio(&stdout, true)?;
    rustix::io::ioctl_fionbio(&stderr, true)?;
    let process = ProcessIo {
        stdin: Some(input),
        stdout: Some(stdout_writer),
        stderr: Some(stderr_writer),
        keep_line_ends: false,
    };
    let outputs = vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
    Ok((process, Ends { input: writer, outputs }))
}

/// The terminal's descriptors in the monitor.
struct Console {
    master: OwnedFd,
    /// Held until the init ends: without anybody at the other side reads from the master fail, and
    /// the container's processes may close it and open it again.
    slave: OwnedFd,
    input: OwnedFd,
    output: OwnedFd,
}

impl Console {
    fn open(master: OwnedFd) -> Result<Self, Errno> {
        rustix::io::ioctl_fionbio(&master, true)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        // Each is registered for its own events.
        let duplicate = || rustix::io::fcntl_dupfd_cloexec(&master, 3);
        let (input, output) = (duplicate()?, duplicate()?);
        Ok(Self { master, slave, input, output })
    }
}

/// Binds the monitor's socket. The path goes by the directory's descriptor: it is short whatever the
/// directory's own path is, and cannot be led elsewhere.
fn listen(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_fd().as_raw_fd());
    let address = SocketAddrUnix::new(path)?;
    match rustix::net::bind(&socket, &address) {
        // Of a monitor before, which was killed: whoever launches has made sure that none runs.
        Err(Errno::ADDRINUSE) => {
            rustix::fs::unlinkat(&directory, SOCKET, AtFlags::empty())?;
            rustix::net::bind(&socket, &address)?;
        }
        result => result?,
    }
    rustix::net::listen(&socket, 64)?;
    Ok(socket)
}

/// Removes the monitor's socket.
pub(super) fn unlisten(directory: impl AsFd) {
    // Whoever finds a socket that nobody listens on is refused and looks for the exit record.
    rustix::fs::unlinkat(directory, SOCKET, AtFlags::empty()).ok();
}

fn without(what: &str) -> Reply {
    Reply::Refused(Refusal::Malformed { reason: format!("no descriptor for the {what}") })
}

fn failed(operation: &'static str, error: &std::io::Error) -> Reply {
    Reply::Failed { step: operation.into(), cause: error.to_string(), errno: error.raw_os_error() }
}

fn step(operation: &'static str) -> impl FnOnce(Errno) -> Reply {
    move |errno| failed(operation, &errno.into())
}
