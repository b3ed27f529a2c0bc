//! `sd_notify(3)` out of a container, where systemd (or whoever set `NOTIFY_SOCKET`) waits for it.
//!
//! The container gets a socket of its own at `/run/notify/notify.sock`, which is made in the state
//! directory and mounted read-only. Of what arrives there only `READY=…` is passed on, with the PID
//! that the manager should watch: the container must not speak for the service in other ways.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use longshore_runtime::{
    spec::{Mount, Spec},
    state::Dir,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{failure::Failure, socket};

/// The directory in the state directory, and the socket in it.
const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
/// How long the manager may take to confirm that it knows the new PID, in seconds.
const BARRIER: i64 = 30;

/// The manager's socket, from the environment.
pub(super) fn manager() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty())
}

/// Gives the container of `spec`, whose state directory is at `path`, a socket of its own.
pub(super) fn add_mount(spec: &mut Spec, path: &std::path::Path) {
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"];
    spec.mounts.push(Mount {
        destination: "/run/notify".into(),
        source: path.join(DIRECTORY).display().to_string(),
        options: options.map(String::from).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut spec.process {
        process.env.push(format!("NOTIFY_SOCKET=/run/notify/{SOCKET}"));
    }
}

/// Makes the directory that is to be mounted.
pub(super) fn make_directory(dir: &Dir) -> Result<(), Failure> {
    let mode = Mode::from_raw_mode(0o755);
    rustix::fs::mkdirat(dir, DIRECTORY, mode).map_err(|errno| failed(dir, "make")(errno.into()))
}

/// The container's socket while somebody listens on it, and the way to the manager.
#[derive(Debug)]
pub(super) struct Relay {
    socket: UnixDatagram,
    manager: String,
}

impl Relay {
    /// Binds the container's socket. `None` where the container has none.
    pub(super) fn bind(dir: &Dir, manager: String) -> Result<Option<Self>, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match rustix::fs::openat(dir, DIRECTORY, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(dir, "open")(errno.into())),
        };
        let socket = bind_in(&directory).map_err(failed(dir, "bind a socket in"))?;
        Ok(Some(Self { socket, manager }))
    }

    /// Passes on what arrived: true once the container was ready, after which nothing more is heard.
    pub(super) fn pass_on(&self, pid: i32) -> io::Result<bool> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message)?;
        let text = String::from_utf8_lossy(&message[..length]);
        let Some(ready) = text.lines().find(|line| line.starts_with("READY=")) else { return Ok(false) };
        let manager = connect(&self.manager)?;
        manager.send(format!("{ready}\n").as_bytes())?;
        manager.send(format!("MAINPID={pid}\n").as_bytes())?;
        wait_for_barrier(&manager)?;
        Ok(true)
    }

    /// Passes on what arrives until the container is ready or its process ended.
    pub(super) fn run(&self, pid: i32, process: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let mut fds =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::from_borrowed_fd(process, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            if !fds[0].revents().is_empty() {
                if self.pass_on(pid)? {
                    return Ok(());
                }
            } else if !fds[1].revents().is_empty() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn failed(dir: &Dir, action: &'static str) -> impl FnOnce(io::Error) -> Failure {
    let path = dir.path().join(DIRECTORY);
    move |source| Failure::File { action, path, source }
}

/// Binds by descriptor: with a long container ID the path would not fit a socket address.
fn bind_in(directory: &OwnedFd) -> io::Result<UnixDatagram> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    let socket = UnixDatagram::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
    Ok(socket)
}

fn connect(manager: &str) -> io::Result<UnixDatagram> {
    let address = match manager.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(manager)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// Waits until the manager has read all that was sent: it then closes the descriptor that comes last.
fn wait_for_barrier(manager: &UnixDatagram) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    socket::send(manager.as_fd(), writer.as_fd(), "BARRIER=1")?;
    drop(writer);
    let mut fds = [PollFd::new(&reader, PollFlags::IN)];
    // A manager that knows no barriers is no failure.
    poll(&mut fds, Some(&Timespec { tv_sec: BARRIER, tv_nsec: 0 }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{IoSliceMut, Write},
        mem::MaybeUninit,
        os::{fd::AsFd, unix::net::UnixDatagram},
    };

    use longshore_runtime::{
        spec::{Process, Spec},
        state::Root,
    };
    use longshore_types::ContainerId;
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};

    use super::{Relay, add_mount, make_directory};

    /// Reads one message and closes what came with it, as systemd does with a barrier.
    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [IoSliceMut::new(&mut bytes)];
        let length = recvmsg(socket, &mut text, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
        control.drain().for_each(drop);
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn only_readiness_is_passed_on() {
        let scratch = std::env::temp_dir().join(format!("longshore-notify-{}", std::process::id()));
        std::fs::create_dir(&scratch).unwrap();
        let manager_path = scratch.join("manager");
        let manager = UnixDatagram::bind(&manager_path).unwrap();
        let root = Root::new(scratch.join("root"));
        let dir = root.create(&ContainerId::new("c".repeat(200)).unwrap()).unwrap();
        let path = || manager_path.display().to_string();
        assert!(Relay::bind(&dir, path()).unwrap().is_none());
        make_directory(&dir).unwrap();
        let relay = Relay::bind(&dir, path()).unwrap().unwrap();

        let mut spec = Spec { process: Some(Process::default()), ..Spec::default() };
        add_mount(&mut spec, dir.path());
        assert_eq!(spec.process.unwrap().env, ["NOTIFY_SOCKET=/run/notify/notify.sock"]);
        let source = std::fs::File::open(&spec.mounts[0].source).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&source);
        let container = UnixDatagram::unbound().unwrap();
        container.connect(format!("/proc/self/fd/{fd}/notify.sock")).unwrap();

        container.send(b"STATUS=hello\nMAINPID=1\n").unwrap();
        assert!(!relay.pass_on(42).unwrap());
        container.send(b"STATUS=x\nREADY=1\nMAINPID=1").unwrap();
        let reader = std::thread::spawn(move || [receive(&manager), receive(&manager), receive(&manager)]);
        let (ended, mut end) = std::io::pipe().unwrap();
        relay.run(42, ended.as_fd()).unwrap();
        assert_eq!(reader.join().unwrap(), ["READY=1\n", "MAINPID=42\n", "BARRIER=1"]);
        end.write_all(b"x").unwrap();
        relay.run(42, ended.as_fd()).unwrap();
        dir.remove().unwrap();
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
