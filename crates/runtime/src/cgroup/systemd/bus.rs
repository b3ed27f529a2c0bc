//! A connection to systemd: its private socket for root, else the system bus.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::wire::{self, Message, Method, Writer};

const PRIVATE: &str = "/run/systemd/private";
const SYSTEM: &str = "/run/dbus/system_bus_socket";

/// How long systemd may take for one answer, or one job.
const PATIENCE: Duration = Duration::from_secs(30);

/// What systemd said to a call.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("cannot reach systemd at {path}")]
    Connect { path: &'static str, source: io::Error },
    #[error("systemd's socket failed")]
    Io(#[from] io::Error),
    #[error("systemd refuses this user")]
    Refused,
    #[error("systemd sent a malformed message")]
    Malformed,
    #[error("systemd: {message} ({name})")]
    Reply { name: String, message: String },
    #[error("systemd ended the job with {result:?}")]
    Job { result: String },
}

/// An authenticated connection. One thread, one call at a time.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Signals that came before the answer that was waited for.
    signals: VecDeque<Message>,
}

impl Bus {
    /// Connects to systemd.
    pub(super) fn connect() -> Result<Self, BusError> {
        if rustix::process::geteuid().is_root() && Path::new(PRIVATE).exists() {
            return Self::open(PRIVATE);
        }
        let mut bus = Self::open(SYSTEM)?;
        bus.call(
            &Method {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                name: "Hello",
            },
            "",
            &Writer::default(),
        )?;
        let mut rule = Writer::default();
        rule.text("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
        bus.call(
            &Method {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                name: "AddMatch",
            },
            "s",
            &rule,
        )?;
        // Over the bus, systemd sends signals only to those who asked; its private socket has them all.
        bus.manager("Subscribe", "", &Writer::default())?;
        Ok(bus)
    }

    fn open(path: &'static str) -> Result<Self, BusError> {
        let stream = UnixStream::connect(path).map_err(|source| BusError::Connect { path, source })?;
        Self::greet(stream)
    }

    /// Authenticates by the socket's credentials (D-Bus specification, `EXTERNAL`).
    pub(super) fn greet(mut stream: UnixStream) -> Result<Self, BusError> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        // `BEGIN` is not sent on its own later: systemd reads on from there only when more comes, so a
        // call that arrives together with it would lie until the next one.
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        let mut answer = Vec::new();
        // Byte by byte: what follows belongs to the first message.
        while !answer.ends_with(b"\r\n") && answer.len() < 256 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"OK ") {
            return Err(BusError::Refused);
        }
        Ok(Self { stream, serial: 0, signals: VecDeque::new() })
    }

    /// Calls a method of systemd's manager object.
    pub(super) fn manager(
        &mut self,
        name: &str,
        signature: &str,
        body: &Writer,
    ) -> Result<Message, BusError> {
        let method = Method {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            name,
        };
        self.call(&method, signature, body)
    }

    /// Calls a method that begins a job, and waits for its end.
    ///
    /// # Errors
    /// `Job` with any result other than `done`.
    pub(super) fn job(&mut self, name: &str, signature: &str, body: &Writer) -> Result<(), BusError> {
        let reply = self.manager(name, signature, body)?;
        let job = reply.arguments().text().ok_or(BusError::Malformed)?.to_owned();
        let begin = Instant::now();
        loop {
            let signal = match self.signals.pop_front() {
                Some(signal) => signal,
                None => self.receive()?,
            };
            if signal.kind == wire::SIGNAL && signal.name == "JobRemoved" {
                let mut arguments = signal.arguments();
                let ended = (arguments.u32(), arguments.text());
                let result = (arguments.text(), arguments.text()).1.ok_or(BusError::Malformed)?;
                match (ended.1 == Some(&job), result) {
                    (false, _) => {}
                    (true, "done") => return Ok(()),
                    (true, result) => return Err(BusError::Job { result: result.to_owned() }),
                }
            }
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
        }
    }

    fn call(&mut self, method: &Method<'_>, signature: &str, body: &Writer) -> Result<Message, BusError> {
        self.serial += 1;
        self.stream.write_all(&wire::call(self.serial, method, signature, body))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                wire::SIGNAL => self.signals.push_back(message),
                wire::RETURN if message.reply_to == self.serial => return Ok(message),
                wire::ERROR if message.reply_to == self.serial => {
                    let text = message.arguments().text().unwrap_or("no reason given").to_owned();
                    return Err(BusError::Reply { name: message.name, message: text });
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> Result<Message, BusError> {
        let mut head = [0; wire::HEAD];
        self.stream.read_exact(&mut head)?;
        let size = wire::size(&head).ok_or(BusError::Malformed)?;
        let mut bytes = vec![0; size];
        bytes[..wire::HEAD].copy_from_slice(&head);
        self.stream.read_exact(&mut bytes[wire::HEAD..])?;
        Message::read(&bytes).ok_or(BusError::Malformed)
    }
}
