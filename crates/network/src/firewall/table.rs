//! The table itself: sets, maps, chains and rules, as messages.

use std::net::Ipv4Addr;

use super::expression::{ACCEPT, DROP, IIFNAME, OIFNAME, Rule};
use crate::{
    netlink::{APPEND, CREATE, Message},
    port::Protocol,
};

pub(super) const BRIDGES: &str = "bridges";
pub(super) const MASQUERADE: &str = "masquerade";
pub(super) const MASQUERADE6: &str = "masquerade6";
pub(super) const INTERNAL: &str = "internal";
pub(super) const OPEN: &str = "open";
pub(super) const OPEN6: &str = "open6";
pub(super) const SAME: &str = "same";
pub(super) const NEAR: &str = "near";
pub(super) const PORTS: &str = "ports";
pub(super) const PORTS_AT: &str = "ports_at";

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `NFPROTO_INET`.
const INET: u8 = 1;
const NEWTABLE: u16 = 0;
const GETTABLE: u16 = 1;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;

/// Types of keys, as `nft` shows them.
const ADDRESS: u32 = 7;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
const INTERFACE: u32 = 41;
/// `NFT_SET_MAP`.
const MAP: u32 = 8;
/// `NFT_SET_INTERVAL`.
const INTERVAL: u32 = 4;
/// `NFT_SET_CONCAT`.
const CONCATENATION: u32 = 0x80;

/// Where a chain is in the kernel: its kind, hook and priority.
const CHAINS: [(&str, &str, u32, i32); 5] = [
    ("raw", "filter", 0, -300),
    ("prerouting", "nat", 0, -100),
    ("output", "nat", 3, -100),
    ("postrouting", "nat", 4, 100),
    ("forward", "filter", 2, 0),
];

pub(super) fn message(kind: u16, flags: u16) -> Message {
    Message::new(SUBSYSTEM << 8 | kind, flags, &[INET, 0, 0, 0])
}

/// What a batch begins and ends with.
pub(crate) fn batch() -> (Message, Message) {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    let edge = |kind| Message::new(kind, 0, &[0, 0, high, low]);
    (edge(0x10), edge(0x11))
}

pub(super) fn get(table: &str) -> Message {
    message(GETTABLE, 0).put_name(1, table)
}

pub(super) fn remove(table: &str) -> Vec<Message> {
    vec![message(NEWTABLE, CREATE).put_name(1, table), message(DELTABLE, 0).put_name(1, table)]
}

/// An empty table with all chains in place of what there is.
pub(super) fn replace(table: &str) -> Vec<Message> {
    let mut messages = remove(table);
    messages.push(message(NEWTABLE, CREATE).put_name(1, table));
    messages.extend(sets(table));
    messages.extend(CHAINS.map(|place| chain(table, place)));
    messages.extend(rules(table));
    messages
}

/// A container's own table: what is for port 53 of `address` goes to its ports for UDP and TCP.
pub(crate) fn resolver(table: &str, address: Ipv4Addr, ports: [u16; 2]) -> Vec<Message> {
    let mut messages = remove(table);
    messages.push(message(NEWTABLE, CREATE).put_name(1, table));
    messages.push(chain(table, ("output", "nat", 3, -100)));
    for (protocol, port) in [Protocol::Udp, Protocol::Tcp].into_iter().zip(ports) {
        messages.push(message(NEWRULE, CREATE | APPEND).put_name(1, table).put_name(2, "output").nest(
            4,
            &[],
            |list| Rule(list).ipv4().asks_for(address, protocol, 53).redirect(address, port).0,
        ));
    }
    messages
}

fn chain(table: &str, (name, kind, hook, priority): (&str, &str, u32, i32)) -> Message {
    message(NEWCHAIN, CREATE)
        .put_name(1, table)
        .put_name(3, name)
        .nest(4, &[], |place| place.put(1, &hook.to_be_bytes()).put(2, &priority.to_be_bytes()))
        .put(5, &1_u32.to_be_bytes())
        .put_name(7, kind)
}

fn sets(table: &str) -> Vec<Message> {
    let name = |name, id| set(table, name, id, (INTERFACE, 16), None);
    let pair = INTERFACE << 6 | INTERFACE;
    let port = PROTOCOL << 6 | SERVICE;
    let port_at = ADDRESS << 12 | port;
    let to = Some((ADDRESS << 6 | SERVICE, 8));
    vec![
        name(BRIDGES, 1),
        name(MASQUERADE, 2),
        name(INTERNAL, 3),
        name(OPEN, 4),
        name(MASQUERADE6, 9),
        name(OPEN6, 10),
        set(table, SAME, 5, (pair, 32), None),
        set(table, PORTS, 6, (port, 8), to),
        set(table, PORTS_AT, 7, (port_at, 12), to),
        // The kernel wants the lengths of the parts of a key that is a range.
        set(table, NEAR, 8, (ADDRESS << 6 | INTERFACE, 20), None).nest(9, &[], |description| {
            description.nest(2, &[], |parts| {
                let part = |parts: Message, length: u32| {
                    parts.nest(1, &[], |part| part.put(1, &length.to_be_bytes()))
                };
                part(part(parts, 4), 16)
            })
        }),
    ]
}

/// A set of keys (type and bytes), or a map if they lead to something.
fn set(table: &str, name: &str, id: u32, key: (u32, u32), to: Option<(u32, u32)>) -> Message {
    let be = u32::to_be_bytes;
    let flags = match name {
        NEAR => INTERVAL | CONCATENATION,
        _ if to.is_some() => MAP,
        _ => 0,
    };
    let base = message(NEWSET, CREATE)
        .put_name(1, table)
        .put_name(2, name)
        .put(3, &be(flags))
        .put(4, &be(key.0))
        .put(5, &be(key.1))
        .put(10, &be(id));
    match to {
        Some((kind, length)) => base.put(6, &be(kind)).put(7, &be(length)),
        None => base,
    }
}

fn rules(table: &str) -> Vec<Message> {
    let rule = |chain: &str, make: fn(Rule) -> Rule| {
        message(NEWRULE, CREATE | APPEND)
            .put_name(1, table)
            .put_name(2, chain)
            .nest(4, &[], |list| make(Rule(list)).0)
    };
    vec![
        // Routing to 127.0.0.1 is on for bridges, so that the host's own packets may leave for a container.
        rule("raw", |r| r.interface(IIFNAME, BRIDGES).destination_is_loopback().verdict(DROP)),
        rule("raw", |r| r.interface(IIFNAME, BRIDGES).source_is_loopback().verdict(DROP)),
        rule("prerouting", |r| r.ipv4().for_this_host().lead(PORTS_AT, true)),
        rule("prerouting", |r| r.ipv4().for_this_host().lead(PORTS, false)),
        rule("output", |r| r.ipv4().for_this_host().lead(PORTS_AT, true)),
        rule("output", |r| r.ipv4().for_this_host().lead(PORTS, false)),
        rule("postrouting", |r| r.source_is_loopback().interface(OIFNAME, BRIDGES).masquerade()),
        rule("postrouting", |r| r.ipv4().interface(IIFNAME, MASQUERADE).same(SAME, true).masquerade()),
        rule("postrouting", |r| r.ipv6().interface(IIFNAME, MASQUERADE6).same(SAME, true).masquerade()),
        // A container that reaches one of its own network by a published port: the answer must come back here.
        rule("postrouting", |r| r.ipv4().published().near(NEAR).masquerade()),
        rule("forward", |r| r.answers().verdict(ACCEPT)),
        rule("forward", |r| r.same(SAME, false).verdict(ACCEPT)),
        rule("forward", |r| r.interface(IIFNAME, INTERNAL).verdict(DROP)),
        rule("forward", |r| r.interface(OIFNAME, INTERNAL).verdict(DROP)),
        rule("forward", |r| r.interface(OIFNAME, BRIDGES).published().verdict(ACCEPT)),
        rule("forward", |r| r.ipv4().interface(OIFNAME, OPEN).verdict(ACCEPT)),
        rule("forward", |r| r.ipv6().interface(OIFNAME, OPEN6).verdict(ACCEPT)),
        rule("forward", |r| r.interface(OIFNAME, BRIDGES).verdict(DROP)),
    ]
}
