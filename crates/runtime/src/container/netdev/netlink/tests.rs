use proptest::{collection::vec, prelude::*};

use rustix::{
    io::Errno,
    net::{SendFlags, getsockname, netlink::SocketAddrNetlink, sendto},
};

use super::{HEADER, Message, Request, Socket, attributes, flag, kind, messages};

#[test]
fn a_request_has_the_kernels_layout() {
    let bytes = Request::new(kind::GET_LINK, flag::ACK, &[7; 16]).with(3, b"eth0\0").finish(9);
    let expected = [
        &44u32.to_ne_bytes()[..],
        &18u16.to_ne_bytes(),
        &5u16.to_ne_bytes(),
        &9u32.to_ne_bytes(),
        &[0; 4],
        &[7; 16],
        &9u16.to_ne_bytes(),
        &3u16.to_ne_bytes(),
        b"eth0\0\0\0\0",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn a_broken_length_ends_the_packet() {
    let good = Request::new(kind::NEW_LINK, 0, &[1; 8]).finish(1);
    for length in [0, 15, 25, u32::MAX] {
        let mut bad = good.clone();
        bad[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(messages(&[good.clone(), bad].concat()).count(), 1, "{length}");
    }
    for length in [0u16, 3, 9] {
        let bad = [&length.to_ne_bytes()[..], &[0; 6]].concat();
        assert_eq!(attributes(&bad).count(), 0, "{length}");
    }
}

#[test]
fn nobody_but_the_kernel_can_answer() {
    let (asking, forging) = (Socket::open().unwrap(), Socket::open().unwrap());
    let to = SocketAddrNetlink::try_from(getsockname(&asking.fd).unwrap()).unwrap();
    let answer = Request::new(kind::ERROR, 0, &[0; 20]).finish(1);
    let sent = sendto(&forging.fd, &answer, SendFlags::empty(), &to);
    assert_eq!(sent.unwrap_err(), Errno::CONNREFUSED, "as root, who may send at all");
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        requests in vec((any::<u16>(), any::<u16>(), vec((any::<u16>(), vec(any::<u8>(), 0..40)), 0..5)), 0..4),
    ) {
        let mut packet = Vec::new();
        for (sequence, (kind, flags, values)) in (0..).zip(&requests) {
            let request = Request::new(*kind, *flags, &[0; 8]);
            let request = values.iter().fold(request, |request, (kind, value)| request.with(*kind, value));
            packet.extend(request.finish(sequence));
        }
        let read: Vec<Message<'_>> = messages(&packet).collect();
        prop_assert_eq!(read.len(), requests.len());
        for ((sequence, message), (kind, flags, values)) in (0..).zip(read).zip(&requests) {
            prop_assert_eq!(message.kind, *kind);
            prop_assert_eq!(message.flags, flags | flag::REQUEST);
            prop_assert_eq!(message.sequence, sequence);
            let read: Vec<_> = attributes(&message.payload[8..]).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(&read, values);
        }
    }

    #[test]
    fn no_bytes_are_read_twice_or_beyond_the_end(bytes in vec(prop_oneof![Just(0), 0..40u8, any::<u8>()], 0..300)) {
        let used: usize = messages(&bytes).map(|message| HEADER + message.payload.len()).sum();
        prop_assert!(used <= bytes.len());
        let used: usize = attributes(&bytes).map(|(_, value)| 4 + value.len()).sum();
        prop_assert!(used <= bytes.len());
    }
}
