//! Who is called what on a network.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// The names of a network's containers. They are in small letters here.
#[derive(Debug, Default)]
pub(in crate::network) struct Names {
    by_name: HashMap<String, Vec<Holder>>,
    /// What an address is called.
    by_address: BTreeMap<IpAddr, String>,
}

#[derive(Debug)]
struct Holder {
    /// The ID of its end.
    endpoint: String,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Gives an end its names; its addresses are called by the first.
    pub(in crate::network) fn add(&mut self, endpoint: &str, names: &[String], addresses: &[IpAddr]) {
        for name in names {
            let holders = self.by_name.entry(name.to_ascii_lowercase()).or_default();
            if holders.iter().all(|holder| holder.endpoint != endpoint) {
                holders.push(Holder { endpoint: endpoint.into(), addresses: addresses.to_vec() });
            }
        }
        if let Some(name) = names.first() {
            self.by_address.extend(addresses.iter().map(|address| (*address, name.clone())));
        }
    }

    /// Takes the names of an end.
    pub(in crate::network) fn remove(&mut self, endpoint: &str, names: &[String], addresses: &[IpAddr]) {
        for name in names.iter().map(|name| name.to_ascii_lowercase()) {
            if let Some(holders) = self.by_name.get_mut(&name) {
                holders.retain(|holder| holder.endpoint != endpoint);
                if holders.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
        for address in addresses {
            self.by_address.remove(address);
        }
    }

    /// The addresses of all who are called so; none if nobody is. The name is in small letters.
    pub(super) fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let holders = self.by_name.get(name)?;
        Some(holders.iter().flat_map(|holder| holder.addresses.iter().copied()).collect())
    }

    /// What an address is called.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.by_address.get(&address).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Names;

    #[test]
    fn a_name_may_have_several_holders() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut all = Names::default();
        all.add("e1", &names(&["Web1", "web", "web"]), &[address(2)]);
        all.add("e2", &names(&["web2", "web"]), &[address(3)]);
        assert_eq!(all.find("web"), Some(vec![address(2), address(3)]));
        assert_eq!(all.find("web1"), Some(vec![address(2)]));
        assert_eq!(all.name_of(address(2)), Some("Web1"));
        all.remove("e1", &names(&["Web1", "web", "web"]), &[address(2)]);
        assert_eq!((all.find("web"), all.find("web1")), (Some(vec![address(3)]), None));
        assert_eq!(all.name_of(address(2)), None);
    }
}
