use proptest::{collection::vec, prelude::*};

use super::{Address, FLAGS};
use crate::container::netdev::netlink::{Request, messages};

/// The payload of an answer: an address of device 3 with 10.0.0.1 as its value.
fn answer(family: u8, flags: u8, scope: u8, long_flags: Option<u32>) -> Vec<u8> {
    let mut fixed = [family, 24, flags, scope, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&3u32.to_ne_bytes());
    let request = Request::new(20, 0, &fixed).with(1, &[10, 0, 0, 1]).with(3, b"eth0\0");
    let request = match long_flags {
        Some(flags) => request.with(FLAGS, &flags.to_ne_bytes()),
        None => request,
    };
    messages(&request.finish(0)).next().unwrap().payload.to_vec()
}

#[test]
fn only_permanent_addresses_of_global_scope_go_along() {
    let table = [
        (answer(2, 0x80, 0, None), 3, true),
        (answer(2, 0, 0, Some(0x280)), 3, true),
        (answer(2, 0x80, 0, None), 4, false),
        (answer(2, 0x80, 253, None), 3, false),
        (answer(2, 0x80, 254, None), 3, false),
        (answer(2, 0, 0, None), 3, false),
        (answer(2, 0x80, 0, Some(0x200)), 3, false),
        (answer(45, 0x80, 0, None), 3, false),
        (Vec::new(), 3, false),
    ];
    for (payload, index, kept) in table {
        assert_eq!(Address::parse(&payload, index).is_some(), kept, "{payload:?} {index}");
    }
}

#[test]
fn an_address_is_asked_for_without_its_state_and_label() {
    let address = Address::parse(&answer(2, 0, 0, Some(0x281)), 3).unwrap();
    assert_eq!(address.to_string(), "10.0.0.1/24");
    let expected = Request::new(20, 0x604, &[&[2, 24, 0, 0][..], &9u32.to_ne_bytes()].concat())
        .with(FLAGS, &0x200u32.to_ne_bytes())
        .with(1, &[10, 0, 0, 1]);
    assert_eq!(address.request(9), expected);
}

proptest! {
    #[test]
    fn any_bytes_are_an_address_that_can_be_shown_or_none(bytes in vec(prop_oneof![Just(0), Just(2), Just(0x80), 0..12u8], 0..60)) {
        if let Some(address) = Address::parse(&bytes, 0) {
            prop_assert!(!address.to_string().is_empty());
            prop_assert!(address.request(1).finish(0).len() <= 16 + 8 + 8 + bytes.len() * 2);
        }
    }
}
