use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use longshore_types::Kind;

use crate::{Subnet, Subnet6, port::Protocol};

/// What a call on networks may return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a network is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{operation} {object}")]
    Io { operation: &'static str, object: String, source: io::Error },
    #[error("the kernel's answer to {operation} {object} cannot be read")]
    Answer { operation: &'static str, object: String },
    #[error("all predefined address pools have been fully subnetted: remove a network, or name a subnet")]
    PoolsExhausted,
    #[error("no available IPv4 addresses on this network's address pools: {subnet}")]
    SubnetExhausted { subnet: Subnet },
    #[error("Address already in use")]
    AddressTaken { address: Ipv4Addr },
    #[error("no available IPv6 addresses on this network's address pools: {subnet}")]
    SubnetExhausted6 { subnet: Subnet6 },
    #[error("Address already in use")]
    AddressTaken6 { address: Ipv6Addr },
    #[error("address {address} is not in subnet {subnet}")]
    OutOfSubnet6 { address: Ipv6Addr, subnet: Subnet6 },
    #[error("address {address} is not in subnet {subnet}")]
    OutOfSubnet { address: Ipv4Addr, subnet: Subnet },
    #[error("Bind for {address}:{port} failed: port is already allocated{holder}")]
    PortAllocated { address: Ipv4Addr, port: u16, holder: String },
    #[error("failed to bind host port {address}:{port}/{protocol}: address already in use{holder}")]
    PortInUse { address: Ipv4Addr, port: u16, protocol: Protocol, holder: String },
    #[error("failed to bind host port {address}:{port}/{protocol}")]
    Bind { address: Ipv4Addr, port: u16, protocol: Protocol, source: io::Error },
    #[error("no free port between {first} and {last} on {address}")]
    PortsExhausted { address: Ipv4Addr, first: u16, last: u16 },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::OutOfSubnet { .. } | Self::OutOfSubnet6 { .. } => Kind::InvalidInput,
            Self::AddressTaken { .. } | Self::AddressTaken6 { .. } => Kind::PermissionDenied,
            Self::PoolsExhausted
            | Self::SubnetExhausted { .. }
            | Self::SubnetExhausted6 { .. }
            | Self::PortsExhausted { .. } => Kind::ResourceExhausted,
            Self::Io { .. }
            | Self::Answer { .. }
            | Self::PortAllocated { .. }
            | Self::PortInUse { .. }
            | Self::Bind { .. } => Kind::Internal,
        }
    }

    /// The kernel's error, if it was one.
    pub(crate) fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::Io { source, .. } => rustix::io::Errno::from_io_error(source),
            _ => None,
        }
    }
}

/// Turns an error of the kernel into one that names the object.
pub(crate) fn io<E: Into<io::Error>>(
    operation: &'static str,
    object: impl Into<String>,
) -> impl FnOnce(E) -> Error {
    let object = object.into();
    move |source| Error::Io { operation, object, source: source.into() }
}
