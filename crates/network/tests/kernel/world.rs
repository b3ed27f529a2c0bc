//! A host with bridges, and who is connected to it.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    time::Duration,
};

use longshore_network::{
    Subnet,
    bridge::{Bridge, Links, enable_forwarding},
    endpoint::Interface,
    namespace::{Inside, Namespace},
};

/// Long enough for a packet that will come. One that is dropped takes so long to be missed.
const MISSED: Duration = Duration::from_millis(400);

/// A network namespace with links of its own.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    pub(crate) links: Links,
}

/// A namespace on a bridge.
pub(crate) struct Guest {
    pub(crate) namespace: Namespace,
    pub(crate) inside: Inside,
    pub(crate) interface: Interface,
}

pub(crate) fn address(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

pub(crate) fn at(text: &str, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address(text), port)
}

impl Host {
    pub(crate) fn new() -> Self {
        let (namespace, _) = Namespace::create().expect("a namespace");
        let links = namespace.enter(Links::open).expect("enter").expect("links");
        Self { namespace, links }
    }

    /// Does something on it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(work).expect("enter")
    }

    /// A bridge with the first address of the subnet.
    pub(crate) fn bridge(&self, name: &str, subnet: &str) {
        let subnet: Subnet = subnet.parse().expect("a subnet");
        let gateway = Ipv4Addr::from_bits(subnet.address().to_bits() + 1);
        let bridge = Bridge {
            name: name.into(),
            owner: "test".into(),
            gateway: Some((gateway, subnet)),
            gateway6: None,
            mtu: 1500,
            is_given: false,
        };
        self.run(|| {
            self.links.ensure_bridge(&bridge).expect("a bridge");
            enable_forwarding().expect("forwarding");
        });
    }

    /// A container on a bridge, with a route out.
    pub(crate) fn guest(&self, bridge: &str, own: &str) -> Guest {
        let (namespace, mut inside) = Namespace::create().expect("a namespace");
        let interface = self.interface(bridge, own, "eth0");
        interface.plug(&self.links, &namespace, &mut inside).expect("an interface");
        let gateway = Ipv4Addr::from_bits(interface.subnet.address().to_bits() + 1);
        inside.set_default_route(gateway).expect("a route");
        Guest { namespace, inside, interface }
    }

    pub(crate) fn interface(&self, bridge: &str, own: &str, name: &str) -> Interface {
        let address = address(own);
        let tail = address.octets();
        Interface {
            name: name.into(),
            host_name: format!("veth{}.{}", tail[2], tail[3]),
            bridge: bridge.into(),
            macvlan: None,
            mac: Interface::mac_of(address),
            address,
            subnet: Subnet::containing(address, 24),
            address6: None,
            mtu: 1500,
            isolated: false,
            sysctls: Vec::new(),
        }
    }
}

/// Answers every connection with the address it came from, while the test runs.
pub(crate) fn serve(namespace: &Namespace, port: u16) {
    let listener =
        namespace.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("listen")).expect("enter");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
            // Who asked may have gone.
            stream.write_all(peer.as_bytes()).ok();
        }
    });
}

/// Who the server at `to` thinks we are; none if nobody answers.
pub(crate) fn ask(namespace: &Namespace, to: SocketAddrV4) -> Option<IpAddr> {
    let answer = || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::V4(to), MISSED).ok()?;
        stream.set_read_timeout(Some(MISSED * 5)).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.parse().ok()
    };
    namespace.enter(answer).expect("enter")
}
