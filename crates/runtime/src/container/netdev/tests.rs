//! Against the kernel, as root, between two network namespaces that are the test's own.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    thread,
};

use longshore_sys::{clone::flags as clone_flags, namespace};

use super::{
    HOME, NAME, Request, Socket, StepError, UP, addresses, find, flag, kind, link, link_part, move_all,
    netlink::u32_at, open_in, open_namespace, terminated,
};
use crate::spec::NetDevice;

struct Scene {
    /// The namespace that the devices come from, this thread's.
    here: Socket,
    /// The container's.
    there: Socket,
    /// Something in the container's namespace: a thread is good enough for `/proc/PID/ns`.
    pid: i32,
}

/// Runs `test` on a thread in a new namespace, with another one beside it.
fn between_namespaces(test: impl FnOnce(Scene) + Send + 'static) {
    let body = move || {
        enter_new();
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let container = thread::spawn(move || {
            enter_new();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            ended.recv().unwrap_err();
        });
        let pid = told.recv().unwrap();
        let (home, target) = (open(HOME), open(&format!("/proc/{pid}/ns/net")));
        let there = open_in(target.as_fd(), home.as_fd()).unwrap();
        test(Scene { here: Socket::open().unwrap(), there, pid });
        drop(end);
        container.join().unwrap();
    };
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter_new() {
    namespace::unshare(clone_flags::NEWNET).expect("this test needs root");
}

fn open(path: &str) -> OwnedFd {
    open_namespace(path).unwrap()
}

/// Makes a veth; its other end is the kernel's to name.
fn make(socket: &mut Socket, name: &str) -> u32 {
    let of_kind = Request::new(0, 0, &[]).with(1, b"veth").finish(0)[16..].to_vec();
    let flags = flag::ACK | flag::CREATE | flag::EXCLUSIVE;
    let request = Request::new(kind::NEW_LINK, flags, &link_part(0, 0)).with(NAME, &terminated(name));
    socket.tell(request.with(18, &of_kind)).unwrap();
    find(socket, name).unwrap().unwrap()
}

/// Adds an address without duplicate detection.
fn add(socket: &mut Socket, index: u32, scope: u8, prefix: u8, address: &[u8]) {
    let family = if address.len() == 4 { 2 } else { 10 };
    let fixed = [&[family, prefix, 2, scope][..], &index.to_ne_bytes()].concat();
    let flags = flag::ACK | flag::CREATE | flag::EXCLUSIVE;
    let request = Request::new(kind::NEW_ADDRESS, flags, &fixed).with(2, address).with(1, address);
    socket.tell(request).unwrap();
}

fn is_up(socket: &mut Socket, name: &str) -> bool {
    let request = Request::new(kind::GET_LINK, flag::ACK, &link_part(0, 0)).with(NAME, &terminated(name));
    let mut flags = None;
    socket.ask(request, |_, payload| flags = u32_at(payload, 8)).unwrap();
    flags.unwrap() & UP != 0
}

fn devices(list: &[(&str, &str)]) -> BTreeMap<String, NetDevice> {
    list.iter().map(|(from, to)| ((*from).to_owned(), NetDevice { name: (*to).to_owned() })).collect()
}

fn text(result: Result<(), StepError>) -> String {
    let error = result.unwrap_err();
    format!("{error}: {}", error.source)
}

const V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[test]
fn a_device_arrives_renamed_up_and_with_its_addresses() {
    between_namespaces(|Scene { mut here, mut there, pid }| {
        let index = make(&mut here, "eth1");
        // Up: setting it down first would lose the IPv6 address.
        here.tell(link(index, UP)).unwrap();
        add(&mut here, index, 0, 24, &[10, 9, 0, 1]);
        add(&mut here, index, 0, 24, &[10, 9, 0, 2]);
        add(&mut here, index, 253, 24, &[10, 8, 0, 1]);
        add(&mut here, index, 0, 64, &V6);
        let before = addresses(&mut here, index).unwrap();
        let shown: Vec<_> = before.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.9.0.1/24", "10.9.0.2/24", "fd00::1/64"]);
        make(&mut here, "eth2");
        move_all(&devices(&[("eth1", "lan"), ("eth2", "")]), pid).unwrap();
        assert_eq!(find(&mut here, "eth1").unwrap(), None);
        assert_eq!(find(&mut here, "lan").unwrap(), None);
        assert_eq!(find(&mut there, "eth1").unwrap(), None);
        let index = find(&mut there, "lan").unwrap().unwrap();
        assert!(is_up(&mut there, "lan") && is_up(&mut there, "eth2"));
        assert_eq!(addresses(&mut there, index).unwrap(), before);
    });
}

#[test]
fn a_number_in_use_there_is_no_hindrance_and_a_template_takes_the_least_free_name() {
    between_namespaces(|Scene { mut here, mut there, pid }| {
        let taken = make(&mut there, "net0");
        let index = make(&mut here, "net0");
        assert_eq!(taken, index);
        add(&mut here, index, 0, 32, &[10, 9, 0, 1]);
        move_all(&devices(&[("net0", "net%d")]), pid).unwrap();
        let index = find(&mut there, "net1").unwrap().unwrap();
        assert_ne!(index, taken);
        assert_eq!(addresses(&mut there, index).unwrap().len(), 1);
        assert!(is_up(&mut there, "net1") && !is_up(&mut there, "net0"));
    });
}

#[test]
fn a_name_in_use_is_refused_and_the_device_stays_as_it_was() {
    between_namespaces(|Scene { mut here, mut there, pid }| {
        make(&mut there, "lan");
        let index = make(&mut here, "eth1");
        here.tell(link(index, UP)).unwrap();
        add(&mut here, index, 0, 64, &V6);
        let taken = "the container's network namespace has a device of that name";
        assert_eq!(
            text(move_all(&devices(&[("eth1", "lan")]), pid)),
            format!("move network device eth1 as lan: {taken}")
        );
        assert_eq!(find(&mut here, "eth1").unwrap(), Some(index));
        assert_eq!(find(&mut there, "eth1").unwrap(), None);
        assert!(is_up(&mut here, "eth1"));
        assert_eq!(addresses(&mut here, index).unwrap().len(), 1);
    });
}

#[test]
fn a_device_that_is_absent_or_cannot_leave_is_named_and_those_before_it_stay_moved() {
    between_namespaces(|Scene { mut here, mut there, pid }| {
        make(&mut here, "eth1");
        let error = text(move_all(&devices(&[("eth1", ""), ("eth2", "")]), pid));
        assert_eq!(error, "move network device eth2: No such device (os error 19)");
        assert!(find(&mut there, "eth1").unwrap().is_some());
        let error = text(move_all(&devices(&[("lo", "old")]), pid));
        assert_eq!(error, "move network device lo as old: Invalid argument (os error 22)");
    });
}

#[test]
fn the_devices_own_namespace_is_no_target() {
    between_namespaces(|Scene { mut here, .. }| {
        make(&mut here, "eth1");
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let error = text(move_all(&devices(&[("eth1", "lan")]), own));
        assert!(error.ends_with("the container's network namespace is the one that they are in"), "{error}");
        assert!(find(&mut here, "eth1").unwrap().is_some());
    });
}
