use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::netlink::{Request, attributes, flag, kind, u32_at};

const INET: u8 = 2;
const INET6: u8 = 10;
/// Bytes of the fixed part: family, prefix length, flags, scope, and the device's number.
const FIXED: usize = 8;
const UNIVERSE: u8 = 0;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const FLAGS: u16 = 8;
const METRIC: u16 = 9;
/// What stays with an address. Not its label, which has the device's old name in it.
const KEPT: [u16; 4] = [ADDRESS, LOCAL, BROADCAST, METRIC];

const PERMANENT: u32 = 0x80;
/// The flags that a user sets (no duplicate detection, home address, no prefix route, join multicast):
/// the rest tell the address's state.
const USERS_FLAGS: u32 = 0x2 | 0x10 | 0x200 | 0x400;

/// An IP address of a device, without the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Reads one of device `index` that has to be kept: permanent and of global scope.
    pub(super) fn parse(payload: &[u8], index: u32) -> Option<Self> {
        let (&[family, prefix, short_flags, scope, ..], rest) = payload.split_first_chunk::<FIXED>()?;
        let flags = attributes(rest).find(|(kind, _)| *kind == FLAGS);
        let flags = flags.map_or(Some(u32::from(short_flags)), |(_, value)| u32_at(value, 0))?;
        let keep = u32_at(payload, 4)? == index
            && matches!(family, INET | INET6)
            && scope == UNIVERSE
            && flags & PERMANENT != 0;
        let attributes = attributes(rest).filter(|(kind, _)| KEPT.contains(kind));
        keep.then(|| Self {
            family,
            prefix,
            flags: flags & USERS_FLAGS,
            attributes: attributes.map(|(kind, value)| (kind, value.to_vec())).collect(),
        })
    }

    /// The request that gives it to device `index`.
    pub(super) fn request(&self, index: u32) -> Request {
        let [a, b, c, d] = index.to_ne_bytes();
        let fixed = [self.family, self.prefix, 0, UNIVERSE, a, b, c, d];
        let request = Request::new(kind::NEW_ADDRESS, flag::ACK | flag::CREATE | flag::EXCLUSIVE, &fixed)
            .with(FLAGS, &self.flags.to_ne_bytes());
        self.attributes.iter().fold(request, |request, (kind, value)| request.with(*kind, value))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On a point-to-point link, ADDRESS is the other end's.
        let value = |wanted| self.attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let bytes = value(LOCAL).or(value(ADDRESS)).map_or(&[][..], Vec::as_slice);
        if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
            write!(f, "{}/{}", Ipv4Addr::from(bytes), self.prefix)
        } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
            write!(f, "{}/{}", Ipv6Addr::from(bytes), self.prefix)
        } else {
            write!(f, "{bytes:02x?}/{}", self.prefix)
        }
    }
}

#[cfg(test)]
mod tests;
