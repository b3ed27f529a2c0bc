//! Elements of the sets and maps.

use std::net::Ipv4Addr;

use super::{
    Network, Published,
    expression::name16,
    table::{BRIDGES, INTERNAL, MASQUERADE, MASQUERADE6, NEAR, OPEN, OPEN6, PORTS, PORTS_AT, SAME, message},
};
use crate::{
    Subnet,
    netlink::{CREATE, Message},
};

/// `NFT_MSG_NEWSETELEM`.
pub(super) const ADD: u16 = 12;
/// `NFT_MSG_DELSETELEM`.
pub(super) const REMOVE: u16 = 14;
/// Elements in one message: an attribute has at most 64 KiB.
const CHUNK: usize = 500;

const TABLE: u16 = 1;
const SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ITEM: u16 = 1;
const KEY: u16 = 1;
const DATA: u16 = 2;
const VALUE: u16 = 1;

/// The last of a range of keys.
const KEY_END: u16 = 10;

/// A key.
#[derive(Debug)]
struct Element {
    key: Vec<u8>,
    /// The last key, if it is a range.
    end: Option<Vec<u8>>,
    /// In a map, what it leads to.
    value: Option<Vec<u8>>,
}

pub(super) fn of_network(table: &str, network: &Network, verb: u16) -> Vec<Message> {
    let name = name16(&network.bridge);
    let sets = [
        (BRIDGES, true),
        (MASQUERADE, network.masquerade && !network.internal),
        (INTERNAL, network.internal),
        (OPEN, network.open),
        (MASQUERADE6, network.masquerade6 && !network.internal),
        (OPEN6, network.open6),
    ];
    let mut messages = Vec::new();
    for (set, _) in sets.iter().filter(|(_, member)| *member) {
        messages.push(elements(table, set, verb, &[member(&name)]));
    }
    messages.push(elements(table, SAME, verb, &[member(&[name, name].concat())]));
    let near = |subnet: &Subnet| {
        let key = |address: Ipv4Addr| [&address.octets()[..], &name].concat();
        Element { key: key(subnet.address()), end: Some(key(subnet.last())), value: None }
    };
    if let Some(near) = network.subnet.as_ref().map(near) {
        messages.push(elements(table, NEAR, verb, &[near]));
    }
    messages
}

fn member(key: &[u8]) -> Element {
    Element { key: key.to_vec(), end: None, value: None }
}

pub(super) fn of_ports(table: &str, ports: &[Published], verb: u16) -> Vec<Message> {
    let (any, at): (Vec<Published>, Vec<Published>) =
        ports.iter().partition(|port| port.address.is_unspecified());
    let mut messages = Vec::new();
    for (set, ports) in [(PORTS, any), (PORTS_AT, at)] {
        for chunk in ports.chunks(CHUNK) {
            let list: Vec<Element> = chunk.iter().map(|port| element(port, set == PORTS_AT)).collect();
            messages.push(elements(table, set, verb, &list));
        }
    }
    messages
}

/// Each field of a key and of a value begins at a multiple of 4 bytes.
fn element(port: &Published, with_address: bool) -> Element {
    let mut key = Vec::with_capacity(12);
    if with_address {
        key.extend(port.address.octets());
    }
    key.extend([port.protocol.number(), 0, 0, 0]);
    key.extend(port.port.to_be_bytes());
    key.extend([0, 0]);
    let mut value = port.to.ip().octets().to_vec();
    value.extend(port.to.port().to_be_bytes());
    value.extend([0, 0]);
    Element { key, end: None, value: Some(value) }
}

fn elements(table: &str, set: &str, verb: u16, list: &[Element]) -> Message {
    let flags = if verb == ADD { CREATE } else { 0 };
    message(verb, flags).put_name(TABLE, table).put_name(SET, set).nest(ELEMENTS, &[], |all| {
        list.iter().fold(all, |all, element| {
            all.nest(ITEM, &[], |item| {
                let item = item.nest(KEY, &[], |data| data.put(VALUE, &element.key));
                let item = match &element.end {
                    Some(end) => item.nest(KEY_END, &[], |data| data.put(VALUE, end)),
                    None => item,
                };
                match &element.value {
                    Some(value) => item.nest(DATA, &[], |data| data.put(VALUE, value)),
                    None => item,
                }
            })
        })
    })
}
