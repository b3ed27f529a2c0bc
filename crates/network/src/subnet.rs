//! Ranges of addresses, and addresses of interfaces.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A range of IPv4 addresses: `172.17.0.0/16`. No bit behind the prefix is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

/// Why a text is no subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    #[error("invalid CIDR address: {text}")]
    Form { text: String },
    #[error("invalid subnet {text}: it should be {masked}")]
    HostBits { text: String, masked: Subnet },
}

impl Subnet {
    /// The subnet of this size that an address is in.
    #[must_use]
    pub fn containing(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { address: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// Reads an address and its subnet: `172.17.0.1/16`.
    pub fn parse_with_host(text: &str) -> Result<(Ipv4Addr, Self), SubnetError> {
        let form = || SubnetError::Form { text: text.into() };
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let prefix: u8 = prefix.parse().map_err(|_| form())?;
        if prefix > 32 {
            return Err(form());
        }
        Ok((address, Self::containing(address, prefix)))
    }

    /// Its first address, which names it.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Bits that its addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its last address.
    #[must_use]
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !mask(self.prefix))
    }

    /// How many addresses it has.
    #[must_use]
    pub fn size(self) -> u64 {
        1 << (32 - self.prefix)
    }

    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.address.to_bits()
    }

    /// Whether they share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether all of the other is in it.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Its parts of `prefix` bits, in order.
    pub fn parts(self, prefix: u8) -> impl Iterator<Item = Self> {
        let prefix = prefix.clamp(self.prefix, 32);
        let count = 1_u64 << (prefix - self.prefix);
        let first = u64::from(self.address.to_bits());
        (0..count).filter_map(move |index| {
            let address = u32::try_from(first + (index << (32 - prefix))).ok()?;
            Some(Self { address: Ipv4Addr::from_bits(address), prefix })
        })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, subnet) = Self::parse_with_host(text)?;
        if address == subnet.address {
            Ok(subnet)
        } else {
            Err(SubnetError::HostBits { text: text.into(), masked: subnet })
        }
    }
}

impl TryFrom<String> for Subnet {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The address of an Ethernet interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A random one of those that no maker gave out.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 6];
        fastrand::fill(&mut bytes);
        bytes[0] = (bytes[0] & 0xfe) | 0x02;
        Self(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mac, Subnet, SubnetError};

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_reads_and_writes_itself() {
        for text in ["172.17.0.0/16", "0.0.0.0/0", "10.1.2.3/32"] {
            assert_eq!(subnet(text).to_string(), text);
        }
        for text in ["", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3/8", "::/64", "1.2.3.4/-1"] {
            let error = SubnetError::Form { text: text.into() };
            assert_eq!(text.parse::<Subnet>(), Err(error));
        }
        let masked = SubnetError::HostBits { text: "10.1.2.3/8".into(), masked: subnet("10.0.0.0/8") };
        assert_eq!("10.1.2.3/8".parse::<Subnet>(), Err(masked));
    }

    #[test]
    fn edges_are_inside() {
        let net = subnet("10.1.0.0/20");
        assert_eq!(net.last().to_string(), "10.1.15.255");
        assert!(net.contains(net.last()) && !net.contains("10.1.16.0".parse().unwrap()));
        assert!(net.overlaps(subnet("10.0.0.0/8")) && subnet("10.0.0.0/8").includes(net));
        assert!(!net.includes(subnet("10.0.0.0/8")) && !net.overlaps(subnet("10.1.16.0/20")));
        assert_eq!(subnet("0.0.0.0/0").size(), 1 << 32);
    }

    #[test]
    fn parts_are_in_order() {
        let parts: Vec<_> = subnet("172.20.0.0/14").parts(16).map(|part| part.to_string()).collect();
        assert_eq!(parts, ["172.20.0.0/16", "172.21.0.0/16", "172.22.0.0/16", "172.23.0.0/16"]);
        assert_eq!(subnet("255.255.255.0/24").parts(25).count(), 2);
    }

    #[test]
    fn addresses_of_interfaces() {
        let mac: Mac = "02:42:AC-11:00:02".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        for text in ["", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "2:42:ac:11:00:02", "gg:42:ac:11:00:02"] {
            assert_eq!(text.parse::<Mac>(), Err(()), "{text}");
        }
        assert_eq!(Mac::random().0[0] & 3, 2);
    }
}
