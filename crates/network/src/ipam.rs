//! Addresses: which range a network gets, and which address a container.

use std::{collections::BTreeSet, net::Ipv4Addr};

use crate::{Error, Result, Subnet};

/// Ranges that networks are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub base: Subnet,
    /// Bits of the prefix of each network.
    pub size: u8,
}

/// Docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 to 192.168.240.0/20.
#[must_use]
pub fn default_pools() -> Vec<Pool> {
    let sixteen = (17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16, 16));
    let pools = sixteen.chain([(Ipv4Addr::new(192, 168, 0, 0), 16, 20)]);
    pools.map(|(address, prefix, size)| Pool { base: Subnet::containing(address, prefix), size }).collect()
}

/// The first range that nobody uses.
pub fn choose(pools: &[Pool], taken: &[Subnet]) -> Result<Subnet> {
    let mut candidates = pools.iter().flat_map(|pool| pool.base.parts(pool.size));
    let free = |subnet: &Subnet| !taken.iter().any(|other| subnet.overlaps(*other));
    candidates.find(free).ok_or(Error::PoolsExhausted)
}

/// The addresses of a network.
#[derive(Clone, Debug)]
pub struct Addresses {
    subnet: Subnet,
    /// Where containers get theirs from, unless they ask.
    range: Subnet,
    used: BTreeSet<u32>,
    /// Below it, none in the range is free.
    hint: u32,
}

impl Addresses {
    /// All free, but for those that mean the network itself and everybody in it.
    #[must_use]
    pub fn new(subnet: Subnet, range: Option<Subnet>) -> Self {
        let range = range.unwrap_or(subnet);
        let mut used = BTreeSet::new();
        if subnet.prefix() < 31 {
            used.insert(subnet.address().to_bits());
            used.insert(subnet.last().to_bits());
        }
        Self { subnet, range, used, hint: range.address().to_bits() }
    }

    #[must_use]
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// How many are in use, with those that nobody can have.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.len() as u64
    }

    /// How many are free for whoever asks for none in particular.
    #[must_use]
    pub fn available(&self) -> u64 {
        let (first, last) = (self.range.address().to_bits(), self.range.last().to_bits());
        self.range.size() - self.used.range(first..=last).count() as u64
    }

    /// Takes this one.
    pub fn reserve(&mut self, address: Ipv4Addr) -> Result<()> {
        if !self.subnet.contains(address) {
            return Err(Error::OutOfSubnet { address, subnet: self.subnet });
        }
        if self.used.insert(address.to_bits()) { Ok(()) } else { Err(Error::AddressTaken { address }) }
    }

    /// Takes the lowest that is free.
    pub fn take(&mut self) -> Result<Ipv4Addr> {
        let last = self.range.last().to_bits();
        let mut candidate = self.hint;
        for used in self.used.range(self.hint..=last) {
            if *used != candidate {
                break;
            }
            candidate = candidate.saturating_add(1);
        }
        let address = Ipv4Addr::from_bits(candidate);
        if candidate > last || !self.used.insert(candidate) {
            return Err(Error::SubnetExhausted { subnet: self.range });
        }
        self.hint = candidate;
        Ok(address)
    }

    /// Gives one back.
    pub fn release(&mut self, address: Ipv4Addr) {
        let bits = address.to_bits();
        if self.used.remove(&bits) && self.range.contains(address) {
            self.hint = self.hint.min(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, choose, default_pools};
    use crate::{Error, Subnet};

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn networks_get_the_first_range_that_nobody_uses() {
        let pools = default_pools();
        let mut taken = vec![subnet("172.17.4.0/24"), subnet("172.18.0.0/15")];
        assert_eq!(choose(&pools, &taken).unwrap(), subnet("172.20.0.0/16"));
        let mut count = 0;
        while let Ok(next) = choose(&pools, &taken) {
            taken.push(next);
            count += 1;
        }
        // 172.20 to 172.31, and sixteen of 192.168.
        assert_eq!(count, 12 + 16);
        assert_eq!(taken.last(), Some(&subnet("192.168.240.0/20")));
    }

    #[test]
    fn containers_get_the_lowest_address_that_is_free() {
        let mut addresses = Addresses::new(subnet("10.0.0.0/29"), None);
        addresses.reserve("10.0.0.1".parse().unwrap()).unwrap();
        addresses.reserve("10.0.0.3".parse().unwrap()).unwrap();
        let mut take = || addresses.take().map(|address| address.octets()[3]);
        assert_eq!([take().unwrap(), take().unwrap(), take().unwrap(), take().unwrap()], [2, 4, 5, 6]);
        assert!(matches!(take(), Err(Error::SubnetExhausted { .. })));
        addresses.release("10.0.0.4".parse().unwrap());
        addresses.release("10.0.0.2".parse().unwrap());
        assert_eq!(addresses.take().unwrap().octets()[3], 2);
        assert_eq!(addresses.take().unwrap().octets()[3], 4);
        assert!(addresses.take().is_err());
    }

    #[test]
    fn a_range_binds_those_who_did_not_ask() {
        let mut addresses = Addresses::new(subnet("10.0.0.0/24"), Some(subnet("10.0.0.128/31")));
        assert_eq!(addresses.take().unwrap().octets()[3], 128);
        assert_eq!(addresses.take().unwrap().octets()[3], 129);
        assert!(matches!(addresses.take(), Err(Error::SubnetExhausted { .. })));
        addresses.reserve("10.0.0.7".parse().unwrap()).unwrap();
        let again = addresses.reserve("10.0.0.7".parse().unwrap());
        assert!(matches!(again, Err(Error::AddressTaken { .. })));
        let outside = addresses.reserve("10.0.1.7".parse().unwrap());
        assert!(matches!(outside, Err(Error::OutOfSubnet { .. })));
        assert_eq!(addresses.available(), 0);
        addresses.release("10.0.0.129".parse().unwrap());
        assert_eq!((addresses.available(), addresses.used()), (1, 4));
        assert_eq!(addresses.take().unwrap().octets()[3], 129);
    }
}
