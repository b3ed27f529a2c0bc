use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use proptest::prelude::*;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use super::{
    Attach, DropReason, ExecStatus, Exit, ExitRecord, HEADER_LEN, Header, Kind, Launch, LogStatus, Phase,
    Refusal, Reply, Request, RunExec, Started, Status, Target, VERSION, WireError, decode, encode,
    limits::{MAX_DATA, MAX_FDS, MAX_INLINE, MAX_PAYLOAD},
    receive, send,
};
use crate::{plan::ProcessPlan, spec::ConsoleSize};

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![Just(Target::Init), Just(Target::All), ".{0,80}".prop_map(Target::Exec)]
}

fn attach() -> impl Strategy<Value = Attach> {
    any::<(bool, bool, bool, u32, u32)>().prop_map(|(stdin, stdout, stderr, buffer, patience)| Attach {
        stdin,
        stdout,
        stderr,
        buffer,
        patience,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let exec = (".{0,40}", prop::collection::vec("[^\0]{0,40}", 0..8), any::<bool>(), any::<bool>())
        .prop_map(|(id, args, terminal, record)| {
            let args = args.into_iter().map(|arg| CString::new(arg).unwrap()).collect();
            let process = ProcessPlan { args, terminal, ..ProcessPlan::default() };
            Request::Exec(Box::new(RunExec { id, process, seccomp: None, record, fds: Vec::new() }))
        });
    prop_oneof![
        attach().prop_map(Request::Attach),
        Just(Request::CloseInput),
        any::<(u16, u16)>().prop_map(|(height, width)| Request::Resize(ConsoleSize { height, width })),
        (target(), any::<i32>()).prop_map(|(target, signal)| Request::Signal { target, signal }),
        exec,
        Just(Request::Status),
        target().prop_map(Request::Wait),
        Just(Request::Start),
        Just(Request::Pause),
        Just(Request::Resume),
    ]
}

fn exit_record() -> impl Strategy<Value = ExitRecord> {
    any::<(i32, i32, Option<i32>, bool, u64, u64, Option<i32>)>().prop_map(
        |(pid, exit_code, signal, oom_killed, started_at, exited_at, unrecorded)| ExitRecord {
            pid,
            exit_code,
            signal,
            oom_killed,
            started_at,
            exited_at,
            unrecorded,
        },
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    let refusal = prop_oneof![
        any::<u8>().prop_map(|ours| Refusal::Version { ours }),
        ".{0,80}".prop_map(|reason| Refusal::Malformed { reason }),
        Just(Refusal::Ended),
        Just(Refusal::NotStarted),
        Just(Refusal::Paused),
        (".{0,80}", any::<u32>()).prop_map(|(what, limit)| Refusal::TooMany { what, limit }),
        (".{0,80}", any::<i32>()).prop_map(|(operation, errno)| Refusal::Failed { operation, errno }),
    ];
    let log = any::<(u64, u64, u64, Option<i32>)>()
        .prop_map(|(written, lost, errors, last_errno)| LogStatus { written, lost, errors, last_errno });
    let status = (
        any::<(i32, u64, u32)>(),
        prop::sample::select(vec![Phase::Created, Phase::Running, Phase::Paused, Phase::Ended]),
        prop::option::of(exit_record()),
        log,
        prop::collection::vec(".{0,9}", 0..9),
    )
        .prop_map(|((pid, started_at, clients), phase, exit, log, execs)| {
            Reply::Status(Box::new(Status { pid, phase, started_at, exit, log, clients, execs }))
        });
    let exec_exited = (".{0,80}", any::<(i32, i32, Option<i32>, u64)>()).prop_map(
        |(id, (pid, code, signal, exited_at))| {
            Reply::ExecExited(ExecStatus { id, pid, exit: Exit { code, signal }, exited_at })
        },
    );
    prop_oneof![
        any::<(u32, u8)>().prop_map(|(pid, version)| Reply::Pong { pid, version }),
        any::<(i32, u64)>().prop_map(|(pid, started_at)| Reply::Started(Started { pid, started_at })),
        (".{0,80}", ".{0,80}", any::<Option<i32>>()).prop_map(|(step, cause, errno)| Reply::Failed {
            step,
            cause,
            errno
        }),
        Just(Reply::Done),
        refusal.prop_map(Reply::Refused),
        status,
        exit_record().prop_map(Reply::Exited),
        exec_exited,
        Just(Reply::Dropped(DropReason::TooSlow)),
        any::<i32>().prop_map(|pid| Reply::Created { pid }),
    ]
}

proptest! {
    #[test]
    fn requests_come_back(request in request()) {
        prop_assert_eq!(decode::<Request>(&encode(&request).unwrap()).unwrap(), request);
    }

    #[test]
    fn replies_come_back(reply in reply()) {
        prop_assert_eq!(decode::<Reply>(&encode(&reply).unwrap()).unwrap(), reply);
    }

    #[test]
    fn a_part_of_a_message_is_none(request in request(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&request).unwrap();
        let part = &bytes[..cut.index(bytes.len())];
        prop_assert!(decode::<Request>(part).is_err());
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        decode::<Request>(&bytes).ok();
        decode::<Reply>(&bytes).ok();
        decode::<Launch>(&bytes).ok();
        Header::decode(&bytes).ok();
    }

    #[test]
    fn any_packet_is_taken_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 1..2048),
        good_header in any::<bool>(),
        kind in 0_u8..9,
    ) {
        let mut bytes = bytes;
        if good_header && bytes.len() >= HEADER_LEN {
            bytes[..4].copy_from_slice(&[b'L', b'S', VERSION, kind]);
        }
        let (left, right) = pair();
        rustix::net::send(&left, &bytes, SendFlags::empty()).unwrap();
        receive(&right).ok();
        // The packet is gone either way, and the next one is read as if nothing had been.
        send(&left, Kind::Ping, 7, &[], &[]).unwrap();
        prop_assert_eq!(receive(&right).unwrap().unwrap().sequence, 7);
    }

    #[test]
    fn headers_come_back(kind in 1_u8..8, sequence in any::<u32>(), length in 0_u32..1024) {
        let mut bytes = Header { kind: Kind::Request, sequence, length }.encode();
        bytes[3] = kind;
        match Header::decode(&bytes) {
            Ok(header) => prop_assert_eq!(header.encode(), bytes),
            Err(error) => prop_assert!(kind == 1 && length > 0, "{}", error),
        }
    }
}

#[test]
fn a_version_or_kind_that_nobody_knows_is_named() {
    let good = Header { kind: Kind::Request, sequence: 0, length: 0 }.encode();
    let changed = |at: usize, to: u8| {
        let mut bytes = good;
        bytes[at] = to;
        Header::decode(&bytes).unwrap_err()
    };
    assert!(matches!(changed(0, b'X'), WireError::NotOurs));
    assert!(matches!(changed(2, 9), WireError::UnknownVersion { version: 9 }));
    assert!(matches!(changed(3, 0), WireError::UnknownKind { kind: 0 }));
    assert!(matches!(changed(3, 8), WireError::UnknownKind { kind: 8 }));
    assert!(matches!(changed(11, 0x7F), WireError::TooLarge { .. }));
}

#[test]
fn descriptors_travel_with_a_message() {
    let (left, right) = pair();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    send(&left, Kind::Request, 3, b"payload", &[writer.as_fd()]).unwrap();
    let mut received = receive(&right).unwrap().unwrap();
    assert_eq!((received.kind, received.sequence, &*received.payload), (Kind::Request, 3, &b"payload"[..]));
    rustix::io::write(received.fds.pop_front().unwrap(), b"x").unwrap();
    assert_eq!(rustix::io::read(&reader, &mut [0; 2]).unwrap(), 1);
    assert!(received.fds.is_empty());
}

#[test]
fn a_large_payload_travels_in_a_memory_file_before_the_rest() {
    let (left, right) = pair();
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let payload: Vec<u8> = (0..=250).cycle().take(MAX_INLINE + 1).collect();
    send(&left, Kind::Launch, 1, &payload, &[writer.as_fd()]).unwrap();
    let received = receive(&right).unwrap().unwrap();
    assert_eq!(received.payload, payload);
    assert_eq!(received.fds.len(), 1);
}

#[test]
fn a_memory_file_that_can_change_is_refused() {
    let (left, right) = pair();
    let length = MAX_INLINE + 1;
    let memory = rustix::fs::memfd_create(c"t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, length as u64).unwrap();
    let header = Header { kind: Kind::Launch, sequence: 1, length: u32::try_from(length).unwrap() };
    super::socket::send_packet(left.as_fd(), &header.encode(), &[], &[memory.as_fd()]).unwrap();
    assert!(matches!(receive(&right).unwrap_err(), WireError::NotSealed));
    super::socket::send_packet(left.as_fd(), &header.encode(), &[], &[]).unwrap();
    assert!(matches!(receive(&right).unwrap_err(), WireError::WrongLength { .. }));
}

#[test]
fn bounds_hold_for_the_sender_too() {
    let (left, right) = pair();
    let too_large = vec![0; MAX_PAYLOAD + 1];
    assert!(matches!(send(&left, Kind::Launch, 0, &too_large, &[]), Err(WireError::TooLarge { .. })));
    let too_much = vec![0; MAX_DATA + 1];
    assert!(matches!(send(&left, Kind::Input, 0, &too_much, &[]), Err(WireError::TooLarge { .. })));
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let too_many = vec![reader.as_fd(); MAX_FDS + 1];
    assert!(matches!(send(&left, Kind::Request, 0, b"", &too_many), Err(WireError::TooManyFds)));
    assert!(receive(&right).unwrap_err().would_block());
    let packet = [&Header { kind: Kind::Request, sequence: 0, length: 4 }.encode()[..], b"12345"].concat();
    rustix::net::send(&left, &packet, SendFlags::empty()).unwrap();
    assert!(matches!(receive(&right).unwrap_err(), WireError::WrongLength { expected: 16, actual: 17 }));
}
