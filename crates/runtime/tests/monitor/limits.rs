//! Bounds: memory, clients, messages.

use std::os::fd::OwnedFd;

use longshore_runtime::{
    launch::Event,
    wire::{self, Attach, DropReason, Io, Kind, Refusal, Reply, Stdin, limits::MAX_CLIENTS},
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::bed::{Bed, How, hear_until, parent, private_memory};

#[test]
fn a_hundred_monitors_are_small() {
    let bed = Bed::new("memory");
    let running: Vec<_> =
        (0..100).map(|n| bed.launch(&format!("c{n}"), &["sleep", "1000"], &How::default())).collect();
    let mut private: Vec<i32> = running.iter().map(|one| private_memory(parent(one.pid))).collect();
    private.sort_unstable();
    let spawner = private_memory(bed.launcher.ping().unwrap().cast_signed());
    println!(
        "private memory of 100 monitors: least {} kB, median {} kB, most {} kB; spawner {spawner} kB",
        private[0], private[50], private[99],
    );
    assert!(private[99] <= 150, "{private:?}");
    assert!(spawner < 1024, "{spawner}");
}

#[test]
fn memory_for_a_burst_is_given_back() {
    let bed = Bed::new("burst");
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let script = "read x; dd if=/dev/zero bs=1M count=16 2>/dev/null; echo; exec sleep 1000";
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    running.control.attach(Attach { patience: u32::MAX, buffer: 8 << 20, ..Attach::default() }).unwrap();
    running.control.input(b"\n").unwrap();
    let monitor = parent(running.pid);
    // Nobody reads meanwhile: the monitor keeps what the client's buffer takes.
    while private_memory(monitor) < 4096 {
        std::thread::yield_now();
    }
    hear_until(&mut running.control, "\n");
    while private_memory(monitor) > 150 {
        std::thread::yield_now();
    }
}

fn socket(path: &std::path::Path) -> OwnedFd {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    socket
}

fn reply(socket: &OwnedFd) -> Reply {
    wire::decode(&wire::receive(socket).unwrap().unwrap().payload).unwrap()
}

#[test]
fn nonsense_ends_the_connection_that_it_came_on() {
    let bed = Bed::new("nonsense");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let monitor = running.path.join("monitor.sock");
    let spawner = bed.path.join("state/spawner.sock");
    for path in [&monitor, &spawner] {
        let peer = socket(path);
        rustix::net::send(&peer, b"GET / HTTP/1.1\r\n\r\n", rustix::net::SendFlags::NOSIGNAL).unwrap();
        assert!(matches!(reply(&peer), Reply::Refused(Refusal::Malformed { .. })), "{path:?}");
    }
    let peer = socket(&spawner);
    let mut future = wire::Header { kind: Kind::Launch, sequence: 1, length: 0 }.encode();
    future[2] = 99;
    rustix::net::send(&peer, &future, rustix::net::SendFlags::NOSIGNAL).unwrap();
    assert_eq!(reply(&peer), Reply::Refused(Refusal::Version { ours: wire::VERSION }));
    let peer = socket(&spawner);
    wire::send(&peer, Kind::Launch, 1, b"no launch", &[]).unwrap();
    assert!(matches!(reply(&peer), Reply::Refused(Refusal::Malformed { .. })));
    running.control.status().unwrap();
    bed.launcher.ping().unwrap();
}

#[test]
fn one_client_too_many_is_told_so() {
    let bed = Bed::new("clients");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let mut clients: Vec<_> = (1..MAX_CLIENTS).map(|_| running.connect()).collect();
    assert_eq!(running.control.status().unwrap().clients as usize, MAX_CLIENTS);
    let mut extra = running.connect();
    assert_eq!(extra.next_event().unwrap(), Event::Dropped(DropReason::TooManyClients));
    clients.pop();
    clients[0].status().unwrap();
}
