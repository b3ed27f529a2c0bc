//! Ranges of IPv6 addresses, and who has which.

use std::{collections::BTreeSet, fmt, net::Ipv6Addr, str::FromStr};

use crate::{Error, Result, SubnetError};

/// A range of IPv6 addresses: `fd00::/64`. No bit behind the prefix is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet6 {
    address: Ipv6Addr,
    prefix: u8,
}

impl Subnet6 {
    /// The subnet of this size that an address is in.
    #[must_use]
    pub fn containing(address: Ipv6Addr, prefix: u8) -> Self {
        let prefix = prefix.min(128);
        Self { address: Ipv6Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// Reads an address and its subnet: `fd00::1/64`.
    pub fn parse_with_host(text: &str) -> std::result::Result<(Ipv6Addr, Self), SubnetError> {
        let form = || SubnetError::Form { text: text.into() };
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv6Addr = address.parse().map_err(|_| form())?;
        let prefix: u8 = prefix.parse().map_err(|_| form())?;
        if prefix > 128 {
            return Err(form());
        }
        Ok((address, Self::containing(address, prefix)))
    }

    /// A range for nobody else, of those that are nobody's in particular: chance makes it one that is not used.
    #[must_use]
    pub fn random() -> Self {
        let global = u128::from(fastrand::u64(..1 << 40));
        Self::containing(Ipv6Addr::from_bits(0xfd << 120 | global << 80), 64)
    }

    /// Its first address, which names it.
    #[must_use]
    pub fn address(self) -> Ipv6Addr {
        self.address
    }

    /// Bits that its addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its last address.
    #[must_use]
    pub fn last(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.address.to_bits() | !mask(self.prefix))
    }

    /// The address of its gateway, unless somebody says another.
    #[must_use]
    pub fn first(self) -> Ipv6Addr {
        let base = self.address.to_bits();
        Ipv6Addr::from_bits(if self.prefix < 127 { base | 1 } else { base })
    }

    #[must_use]
    pub fn contains(self, address: Ipv6Addr) -> bool {
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
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Subnet6 {
    type Err = SubnetError;

    fn from_str(text: &str) -> std::result::Result<Self, SubnetError> {
        let (address, subnet) = Self::parse_with_host(text)?;
        // Bits behind the prefix are of no use to anybody.
        if address == subnet.address { Ok(subnet) } else { Err(SubnetError::Form { text: text.into() }) }
    }
}

impl fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The IPv6 addresses of a network.
#[derive(Clone, Debug)]
pub struct Addresses6 {
    subnet: Subnet6,
    /// Where containers get theirs from, unless they ask.
    range: Subnet6,
    used: BTreeSet<u128>,
    /// Below it, none in the range is free.
    hint: u128,
}

impl Addresses6 {
    /// All free, but for the one that means all routers.
    #[must_use]
    pub fn new(subnet: Subnet6, range: Option<Subnet6>) -> Self {
        let range = range.unwrap_or(subnet);
        let mut used = BTreeSet::new();
        if subnet.prefix < 127 {
            used.insert(subnet.address.to_bits());
        }
        Self { subnet, range, used, hint: range.address.to_bits() }
    }

    #[must_use]
    pub fn subnet(&self) -> Subnet6 {
        self.subnet
    }

    /// Takes this one.
    pub fn reserve(&mut self, address: Ipv6Addr) -> Result<()> {
        if !self.subnet.contains(address) {
            return Err(Error::OutOfSubnet6 { address, subnet: self.subnet });
        }
        if self.used.insert(address.to_bits()) { Ok(()) } else { Err(Error::AddressTaken6 { address }) }
    }

    /// Takes the lowest that is free.
    pub fn take(&mut self) -> Result<Ipv6Addr> {
        let last = self.range.last().to_bits();
        let mut candidate = self.hint;
        for used in self.used.range(self.hint..=last) {
            if *used != candidate {
                break;
            }
            candidate = candidate.saturating_add(1);
        }
        if candidate > last || !self.used.insert(candidate) {
            return Err(Error::SubnetExhausted6 { subnet: self.range });
        }
        self.hint = candidate;
        Ok(Ipv6Addr::from_bits(candidate))
    }

    /// Gives one back.
    pub fn release(&mut self, address: Ipv6Addr) {
        let bits = address.to_bits();
        if self.used.remove(&bits) && self.range.contains(address) {
            self.hint = self.hint.min(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses6, Subnet6};

    fn subnet(text: &str) -> Subnet6 {
        text.parse().unwrap()
    }

    #[test]
    fn ranges() {
        assert_eq!(subnet("fd00:1::/64").to_string(), "fd00:1::/64");
        assert_eq!(subnet("fd00:1::/64").first().to_string(), "fd00:1::1");
        assert!(subnet("fd00::/16").includes(subnet("fd00:1::/64")));
        assert!(subnet("fd00:1::/64").overlaps(subnet("fd00::/16")));
        assert!(!subnet("fd00:1::/64").overlaps(subnet("fd00:2::/64")));
        assert!(subnet("::/0").contains("fd00::1".parse().unwrap()));
        for text in ["fd00::1/64", "fd00::/129", "fd00::", "10.0.0.0/8", "x/64"] {
            assert!(text.parse::<Subnet6>().is_err(), "{text}");
        }
        let made = Subnet6::random();
        assert!(made.prefix() == 64 && made.address().octets()[0] == 0xfd && made != Subnet6::random());
    }

    #[test]
    fn the_lowest_address_that_is_free() {
        let mut addresses = Addresses6::new(subnet("fd00::/126"), None);
        addresses.reserve("fd00::2".parse().unwrap()).unwrap();
        assert!(addresses.reserve("fd00::2".parse().unwrap()).is_err());
        assert!(addresses.reserve("fd01::2".parse().unwrap()).is_err());
        assert_eq!(addresses.take().unwrap().to_string(), "fd00::1");
        assert_eq!(addresses.take().unwrap().to_string(), "fd00::3");
        assert!(addresses.take().is_err());
        addresses.release("fd00::1".parse().unwrap());
        assert_eq!(addresses.take().unwrap().to_string(), "fd00::1");
    }
}
