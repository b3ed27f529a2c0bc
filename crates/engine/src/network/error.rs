use longshore_network::SubnetError;
use longshore_types::Kind;

use crate::db::DbError;

/// What a call on networks may return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done with a network. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("network {word} not found")]
    NoSuchNetwork { word: String },
    #[error("network {word} is ambiguous ({count} matches found on {by})")]
    Ambiguous { word: String, count: usize, by: &'static str },
    #[error("network with name {name} already exists")]
    Exists { name: String },
    #[error("operation is not permitted on predefined {name} network")]
    PredefinedCreate { name: String },
    #[error("{name} is a pre-defined network and cannot be removed")]
    PredefinedRemove { name: String },
    #[error("error while removing network: network {name} has active endpoints ({endpoints})")]
    ActiveEndpoints { name: String, endpoints: String },
    #[error("configuration network {name:?} is in use")]
    ConfigInUse { name: String },
    #[error("invalid network name: {name:?}: use letters, digits, '_', '.' and '-'")]
    BadName { name: String },
    #[error("could not find plugin {driver} in v1 plugin registry: plugin not found")]
    NoSuchDriver { driver: String },
    #[error("network driver {driver} is not supported here: use bridge, host or none")]
    UnsupportedDriver { driver: String },
    #[error("only one instance of {name:?} network is allowed")]
    OneInstance { name: String },
    #[error("networks without IPv4 are not supported: leave EnableIPv4 out")]
    Ipv6Alone,
    #[error("unknown ipam driver {driver:?}: use default")]
    NoSuchIpam { driver: String },
    #[error("invalid network config: invalid subnet {text}")]
    BadSubnet { text: String, source: SubnetError },
    #[error("invalid network config: {reason}")]
    BadConfig { reason: String },
    #[error("invalid pool request: Pool overlaps with other one on this address space: {with} has {subnet}")]
    Overlap { subnet: String, with: String },
    #[error(
        "all predefined address pools have been fully subnetted: remove a network or name a subnet; networks {holders} hold them, and routes of the host"
    )]
    PoolsExhausted { holders: String },
    #[error("invalid value of option {option}: {value:?}")]
    BadOption { option: String, value: String },
    #[error("You specified -b & --bip, mutually exclusive options. Please specify only one")]
    BridgeAndAddress,
    #[error("the requested parent interface {name} was not found on the host")]
    NoParent { name: String },
    #[error("bridge device with non default name {name} must be created manually")]
    NoGivenBridge { name: String },
    #[error("ports cannot be published without rules: iptables is false in the daemon's settings")]
    NoRules,
    #[error("bridge name {name} is in use by network {network}")]
    BridgeTaken { name: String, network: String },
    #[error(
        "unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
    )]
    BadSysctl { text: String },
    #[error("invalid IP address: {text}")]
    BadAddress { text: String },
    #[error("invalid MAC address: {text}")]
    BadMac { text: String },
    #[error(
        "invalid endpoint settings:\nuser-specified IP address is supported on user-defined networks only"
    )]
    AddressOnDefault,
    #[error(
        "user specified IP address is supported only when connecting to networks with user configured subnets"
    )]
    AddressWithoutSubnet,
    #[error("invalid endpoint settings: no configured subnet contains IP address {address}")]
    AddressOutside { address: String },
    #[error(
        "invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks"
    )]
    AliasOnDefault,
    #[error("invalid port specification: {text:?}")]
    BadPort { text: String },
    #[error("port {port} cannot be published on {address}: only IPv4 addresses are supported")]
    PublishIpv6 { port: String, address: String },
    #[error(
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    )]
    PrivateMode,
    #[error("cannot connect container to host network - container must be created in host network mode")]
    HostMode,
    #[error("container cannot be disconnected from host network or connected to host network")]
    LeaveHost,
    #[error(
        "container sharing network namespace with another container or host cannot be connected to any other network"
    )]
    SharedMode,
    #[error("cannot join network of a non running container: {id}")]
    JoinStopped { id: String },
    #[error("endpoint with name {container} already exists in network {network}")]
    Connected { container: String, network: String },
    #[error("container {id} is not connected to network {network}")]
    NotConnected { id: String, network: String },
    #[error("driver failed programming external connectivity on endpoint {name} ({endpoint})")]
    Publish { name: String, endpoint: String, source: longshore_network::Error },
    #[error(transparent)]
    Network(#[from] longshore_network::Error),
    #[error("{operation} {object}")]
    Io { operation: &'static str, object: String, source: std::io::Error },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchNetwork { .. } | Self::NoSuchDriver { .. } => Kind::NotFound,
            Self::Exists { .. } | Self::JoinStopped { .. } | Self::BridgeTaken { .. } => Kind::Conflict,
            Self::Ambiguous { .. }
            | Self::BadName { .. }
            | Self::NoSuchIpam { .. }
            | Self::BadSubnet { .. }
            | Self::BadConfig { .. }
            | Self::BadOption { .. }
            | Self::BadAddress { .. }
            | Self::BadMac { .. }
            | Self::BadSysctl { .. }
            | Self::AddressOnDefault
            | Self::AddressWithoutSubnet
            | Self::AddressOutside { .. }
            | Self::AliasOnDefault
            | Self::BadPort { .. }
            | Self::UnsupportedDriver { .. }
            | Self::BridgeAndAddress
            | Self::NoGivenBridge { .. }
            | Self::NoParent { .. }
            | Self::NoRules
            | Self::Ipv6Alone
            | Self::PublishIpv6 { .. } => Kind::InvalidInput,
            Self::PredefinedCreate { .. }
            | Self::PredefinedRemove { .. }
            | Self::ActiveEndpoints { .. }
            | Self::ConfigInUse { .. }
            | Self::OneInstance { .. }
            | Self::Overlap { .. }
            | Self::PrivateMode
            | Self::HostMode
            | Self::LeaveHost
            | Self::SharedMode
            | Self::Connected { .. }
            | Self::NotConnected { .. } => Kind::PermissionDenied,
            Self::PoolsExhausted { .. } => Kind::ResourceExhausted,
            Self::Publish { source, .. } => source.kind(),
            Self::Network(error) => error.kind(),
            Self::Db(error) => error.kind(),
            Self::Io { .. } => Kind::Internal,
        }
    }
}
