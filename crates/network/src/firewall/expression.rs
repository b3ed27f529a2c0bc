//! What rules are made of: each expression loads a register, compares one, or decides.
//!
//! Registers are of 4 bytes and begin at 8; an interface's name takes four of them, and the fields of a key that is
//! several lie behind each other.

use std::net::Ipv4Addr;

use crate::{netlink::Message, port::Protocol};

const LIST_ITEM: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

/// The first register.
pub(super) const R0: u32 = 8;
/// What the kernel calls the register of the verdict.
const VERDICT_REGISTER: u32 = 0;

pub(super) const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;

/// Keys of `meta`.
pub(super) const IIFNAME: u32 = 6;
pub(super) const OIFNAME: u32 = 7;
const NFPROTO: u32 = 15;
const L4PROTO: u32 = 16;

/// `NF_INET_*` families.
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// `NF_CT_STATE_BIT` of established and related.
const ANSWERS: u32 = 2 | 4;
/// `IPS_DST_NAT`.
const DESTINATION_NAT: u32 = 1 << 5;

/// The expressions of a rule.
#[derive(Debug)]
pub(super) struct Rule(pub(super) Message);

/// A name as registers hold it.
pub(super) fn name16(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bytes
}

impl Rule {
    fn add(self, name: &str, data: impl FnOnce(Message) -> Message) -> Self {
        Self(self.0.nest(LIST_ITEM, &[], |item| {
            item.put_name(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, &[], data)
        }))
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.add("meta", |data| data.put(1, &register.to_be_bytes()).put(2, &key.to_be_bytes()))
    }

    /// Bytes of the packet. Base 1 is the network's header, 2 the transport's.
    fn payload(self, base: u32, offset: u32, length: u32, register: u32) -> Self {
        self.add("payload", |data| {
            data.put(1, &register.to_be_bytes())
                .put(2, &base.to_be_bytes())
                .put(3, &offset.to_be_bytes())
                .put(4, &length.to_be_bytes())
        })
    }

    /// Goes on if the register is (operation 0), or is not (1), this.
    fn compare(self, operation: u32, value: &[u8]) -> Self {
        self.add("cmp", |data| {
            data.put(1, &R0.to_be_bytes())
                .put(2, &operation.to_be_bytes())
                .nest(3, &[], |inner| inner.put(VALUE, value))
        })
    }

    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or(0);
        self.add("bitwise", |data| {
            data.put(1, &R0.to_be_bytes())
                .put(2, &R0.to_be_bytes())
                .put(3, &length.to_be_bytes())
                .nest(4, &[], |inner| inner.put(VALUE, mask))
                .nest(5, &[], |inner| inner.put(VALUE, &vec![0; mask.len()]))
        })
    }

    fn lookup(self, set: &str, inverted: bool) -> Self {
        self.add("lookup", |data| {
            let data = data.put_name(1, set).put(2, &R0.to_be_bytes());
            if inverted { data.put(5, &1_u32.to_be_bytes()) } else { data }
        })
    }

    fn connection(self, key: u32, bits: u32) -> Self {
        self.add("ct", |data| data.put(1, &R0.to_be_bytes()).put(2, &key.to_be_bytes()))
            .mask(&bits.to_ne_bytes())
            .compare(1, &[0; 4])
    }

    /// It is IPv4.
    pub(super) fn ipv4(self) -> Self {
        self.meta(NFPROTO, R0).compare(0, &[IPV4])
    }

    /// It is IPv6.
    pub(super) fn ipv6(self) -> Self {
        self.meta(NFPROTO, R0).compare(0, &[IPV6])
    }

    /// Its source is in 127.0.0.0/8.
    pub(super) fn source_is_loopback(self) -> Self {
        self.ipv4().payload(1, 12, 1, R0).compare(0, &[127])
    }

    /// Its destination is in 127.0.0.0/8.
    pub(super) fn destination_is_loopback(self) -> Self {
        self.ipv4().payload(1, 16, 1, R0).compare(0, &[127])
    }

    /// Its destination is an address of this host.
    pub(super) fn for_this_host(self) -> Self {
        // Result 3 is the kind of the address, flag 2 asks for the destination's; kind 2 is local.
        self.add("fib", |data| {
            data.put(1, &R0.to_be_bytes()).put(2, &3_u32.to_be_bytes()).put(3, &2_u32.to_be_bytes())
        })
        .compare(0, &2_u32.to_ne_bytes())
    }

    /// It answers something, or belongs to it.
    pub(super) fn answers(self) -> Self {
        self.connection(0, ANSWERS)
    }

    /// Its connection came by a published port.
    pub(super) fn published(self) -> Self {
        self.connection(2, DESTINATION_NAT)
    }

    /// Its interface ([`IIFNAME`] or [`OIFNAME`]) is in the set.
    pub(super) fn interface(self, which: u32, set: &str) -> Self {
        self.meta(which, R0).lookup(set, false)
    }

    /// It stays on one bridge, or (`inverted`) does not.
    pub(super) fn same(self, set: &str, inverted: bool) -> Self {
        self.meta(IIFNAME, R0).meta(OIFNAME, R0 + 4).lookup(set, inverted)
    }

    /// It goes to the bridge that its source is on. Unlike [`Rule::same`] also where a bridge asks for itself, which
    /// tells `postrouting` of no input.
    pub(super) fn near(self, set: &str) -> Self {
        self.payload(1, 12, 4, R0).meta(OIFNAME, R0 + 1).lookup(set, false)
    }

    /// Leads it where the map says, if that knows its port.
    pub(super) fn lead(self, map: &str, with_address: bool) -> Self {
        let (rule, next) = if with_address { (self.payload(1, 16, 4, R0), R0 + 1) } else { (self, R0) };
        rule.meta(L4PROTO, next)
            .payload(2, 2, 2, next + 1)
            .add("lookup", |data| data.put_name(1, map).put(2, &R0.to_be_bytes()).put(3, &R0.to_be_bytes()))
            .translate()
    }

    /// It is for a port of an address.
    pub(super) fn asks_for(self, address: Ipv4Addr, protocol: Protocol, port: u16) -> Self {
        self.payload(1, 16, 4, R0)
            .compare(0, &address.octets())
            .meta(L4PROTO, R0)
            .compare(0, &[protocol.number()])
            .payload(2, 2, 2, R0)
            .compare(0, &port.to_be_bytes())
    }

    fn load(self, register: u32, value: &[u8]) -> Self {
        self.add("immediate", |data| {
            data.put(1, &register.to_be_bytes()).nest(2, &[], |inner| inner.put(VALUE, value))
        })
    }

    /// Leads it to a port of an address.
    pub(super) fn redirect(self, address: Ipv4Addr, port: u16) -> Self {
        self.load(R0, &address.octets()).load(R0 + 1, &port.to_be_bytes()).translate()
    }

    /// Leads it to the address and the port in the first registers.
    fn translate(self) -> Self {
        self.add("nat", |data| {
            data.put(1, &1_u32.to_be_bytes())
                .put(2, &u32::from(IPV4).to_be_bytes())
                .put(3, &R0.to_be_bytes())
                .put(5, &(R0 + 1).to_be_bytes())
        })
    }

    /// Gives it the host's address.
    pub(super) fn masquerade(self) -> Self {
        self.add("masq", |data| data)
    }

    /// Ends with [`DROP`] or [`ACCEPT`].
    pub(super) fn verdict(self, code: u32) -> Self {
        self.add("immediate", |data| {
            data.put(1, &VERDICT_REGISTER.to_be_bytes())
                .nest(2, &[], |inner| inner.nest(VERDICT, &[], |verdict| verdict.put(1, &code.to_be_bytes())))
        })
    }
}
