//! Every directive of dockerd's: its flag, its key in the file, and what becomes of it here.

use serde_json::Value;

use Becomes::{Honoured, Ignored, Network, Refused, Reloaded};
use Shape::{Flag, List, Number, Pairs, Text};

/// What a directive's value looks like on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `--debug`, `--debug=false`.
    Flag,
    Text,
    Number,
    /// May be repeated; a list in the file.
    List,
    /// May be repeated, `key=value`; an object in the file.
    Pairs,
}

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    Honoured,
    /// Honoured, and again at SIGHUP.
    Reloaded,
    /// Handed to networks.
    Network,
    /// Taken and warned of: the reason.
    Ignored(&'static str),
    /// Refused, as whoever asks for it relies on it: the reason.
    Refused(&'static str),
}

/// A directive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directive {
    /// Empty when it is for the file alone.
    pub(super) flag: &'static str,
    pub(super) short: Option<char>,
    /// Empty when it is for the command line alone.
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) becomes: Becomes,
    pub(super) help: &'static str,
}

const fn row(
    flag: &'static str,
    key: &'static str,
    shape: Shape,
    becomes: Becomes,
    help: &'static str,
) -> Directive {
    Directive { flag, short: None, key, shape, becomes, help }
}

const fn short(letter: char, directive: Directive) -> Directive {
    Directive { short: Some(letter), ..directive }
}

const OTHER_BUILDER: &str = "images are built without it";
const NO_CONTAINERD: &str = "there is no containerd";
const NO_SWARM: &str = "there is no swarm mode";
const ONE_DRIVER: &str = "overlay mounts are the only storage";
const UNKNOWN: &str = "not supported yet";

/// All of them, by name.
pub(super) const DIRECTIVES: &[Directive] = &[
    row("add-runtime", "runtimes", Pairs, Reloaded, "Register another OCI runtime: NAME=PATH"),
    row(
        "allow-direct-routing",
        "allow-direct-routing",
        Flag,
        Network,
        "Allow routed access to published ports",
    ),
    row(
        "allow-nondistributable-artifacts",
        "allow-nondistributable-artifacts",
        List,
        Ignored("removed in Docker 28"),
        "Ignored",
    ),
    row("api-cors-header", "api-cors-header", Text, Ignored("browsers are not let in"), "Ignored"),
    row(
        "authorization-plugin",
        "authorization-plugins",
        List,
        Refused("there are no plugins, and nobody would be asked: use TLS with clients' certificates"),
        "Refused",
    ),
    row("bip", "bip", Text, Network, "Address and prefix of the default bridge"),
    row("bip6", "bip6", Text, Network, "IPv6 address and prefix of the default bridge"),
    short('b', row("bridge", "bridge", Text, Network, "Attach containers to this bridge; none for none")),
    row("", "builder", Text, Ignored(OTHER_BUILDER), ""),
    row("bridge-accept-fwmark", "bridge-accept-fwmark", Text, Ignored(UNKNOWN), "Ignored"),
    row("cdi-spec-dir", "cdi-spec-dirs", List, Honoured, "Directories that describe devices (CDI)"),
    row("cgroup-parent", "cgroup-parent", Text, Honoured, "Parent cgroup of containers"),
    row("config-file", "", Text, Honoured, "File of settings"),
    row("containerd", "containerd", Text, Ignored(NO_CONTAINERD), "Ignored"),
    row("containerd-namespace", "containerd-namespace", Text, Ignored(NO_CONTAINERD), "Ignored"),
    row(
        "containerd-plugins-namespace",
        "containerd-plugin-namespace",
        Text,
        Ignored(NO_CONTAINERD),
        "Ignored",
    ),
    row("cpu-rt-period", "cpu-rt-period", Number, Ignored(UNKNOWN), "Ignored"),
    row("cpu-rt-runtime", "cpu-rt-runtime", Number, Ignored(UNKNOWN), "Ignored"),
    row("cri-containerd", "cri-containerd", Flag, Ignored(NO_CONTAINERD), "Ignored"),
    row("data-root", "data-root", Text, Honoured, "Where images, containers and volumes are kept"),
    short('D', row("debug", "debug", Flag, Reloaded, "Log more")),
    row(
        "default-address-pool",
        "default-address-pools",
        List,
        Network,
        "Address pool of new networks: base=CIDR,size=N",
    ),
    row(
        "default-cgroupns-mode",
        "default-cgroupns-mode",
        Text,
        Reloaded,
        "Cgroup namespace of containers: host or private",
    ),
    row("default-gateway", "default-gateway", Text, Network, "IPv4 gateway of the default bridge"),
    row("default-gateway-v6", "default-gateway-v6", Text, Network, "IPv6 gateway of the default bridge"),
    row(
        "default-ipc-mode",
        "default-ipc-mode",
        Text,
        Reloaded,
        "IPC mode of containers: shareable or private",
    ),
    row("default-network-opt", "default-network-opts", Pairs, Network, "Options of new networks"),
    row("default-runtime", "default-runtime", Text, Reloaded, "OCI runtime of containers"),
    row("default-shm-size", "default-shm-size", Text, Reloaded, "Size of /dev/shm"),
    row(
        "default-stop-timeout",
        "default-stop-timeout",
        Number,
        Reloaded,
        "Seconds that containers have to end when they are asked to",
    ),
    row("default-ulimit", "default-ulimits", Pairs, Honoured, "Limits of containers: NAME=SOFT[:HARD]"),
    row("", "deprecated-key-path", Text, Ignored("manifests are not signed"), ""),
    row("dns", "dns", List, Honoured, "DNS servers of containers"),
    row("dns-opt", "dns-opts", List, Honoured, "DNS options of containers"),
    row("dns-search", "dns-search", List, Honoured, "DNS search domains of containers"),
    row("exec-opt", "exec-opts", List, Ignored("the cgroup driver is cgroupfs"), "Ignored"),
    row("exec-root", "exec-root", Text, Honoured, "Where what lasts until the next boot is kept"),
    row("experimental", "experimental", Flag, Ignored("nothing is experimental"), "Ignored"),
    row("feature", "features", Pairs, Reloaded, "Features: NAME=true"),
    row("firewall-backend", "firewall-backend", Text, Network, "nftables, or iptables"),
    row("fixed-cidr", "fixed-cidr", Text, Network, "IPv4 subnet of fixed addresses"),
    row("fixed-cidr-v6", "fixed-cidr-v6", Text, Network, "IPv6 subnet of fixed addresses"),
    short('G', row("group", "group", Text, Honoured, "Group of the Unix socket")),
    short(
        'H',
        row("host", "hosts", List, Honoured, "Sockets to listen on: unix://PATH, tcp://HOST:PORT, fd://"),
    ),
    row("host-gateway-ip", "host-gateway-ips", List, Network, "Addresses of host-gateway in --add-host"),
    row("http-proxy", "http-proxy", Text, Honoured, "Proxy of HTTP requests"),
    row("https-proxy", "https-proxy", Text, Honoured, "Proxy of HTTPS requests"),
    row("icc", "icc", Flag, Network, "Containers of the default bridge reach each other"),
    row("init", "init", Flag, Honoured, "Run an init in containers"),
    row("init-path", "init-path", Text, Honoured, "The program of --init"),
    row("insecure-registry", "insecure-registries", List, Reloaded, "Registries without valid TLS"),
    row("ip", "ip", Text, Network, "Address of published ports"),
    row("ip-forward", "ip-forward", Flag, Network, "Turn IP forwarding on"),
    row("ip-forward-no-drop", "ip-forward-no-drop", Flag, Network, "Leave the policy of forwarding alone"),
    row("ip-masq", "ip-masq", Flag, Network, "Masquerade what containers send"),
    row("ip6tables", "ip6tables", Flag, Network, "Filter IPv6"),
    row("iptables", "iptables", Flag, Network, "Filter IPv4"),
    row("ipv6", "ipv6", Flag, Network, "IPv6 on the default bridge"),
    row("label", "labels", List, Reloaded, "Labels of the daemon"),
    row("live-restore", "live-restore", Flag, Reloaded, "Containers outlive the daemon; always on here"),
    row("log-driver", "log-driver", Text, Honoured, "Log driver of containers"),
    row("log-format", "log-format", Text, Honoured, "Format of the daemon's log: text or json"),
    short('l', row("log-level", "log-level", Text, Honoured, "debug, info, warn, error or fatal")),
    row("log-opt", "log-opts", Pairs, Honoured, "Options of the log driver"),
    row(
        "max-concurrent-downloads",
        "max-concurrent-downloads",
        Number,
        Reloaded,
        "Layers that are pulled at once",
    ),
    row(
        "max-concurrent-uploads",
        "max-concurrent-uploads",
        Number,
        Reloaded,
        "Layers that are pushed at once",
    ),
    row("max-download-attempts", "max-download-attempts", Number, Reloaded, "Attempts for a layer"),
    row("metrics-addr", "metrics-addr", Text, Honoured, "Address of metrics: 127.0.0.1:9323"),
    row("", "min-api-version", Text, Ignored("all versions from 1.24 on are served, always"), ""),
    row("mtu", "mtu", Number, Network, "MTU of containers"),
    row("network-diagnostic-port", "network-diagnostic-port", Number, Ignored(UNKNOWN), "Ignored"),
    row("nri-opts", "nri-opts", Pairs, Ignored("there is no NRI"), "Ignored"),
    row("network-control-plane-mtu", "network-control-plane-mtu", Number, Ignored(NO_SWARM), "Ignored"),
    row("no-new-privileges", "no-new-privileges", Flag, Honoured, "Containers gain no privileges"),
    row("no-proxy", "no-proxy", Text, Honoured, "Hosts that are reached without a proxy"),
    row("node-generic-resource", "node-generic-resources", List, Ignored(NO_SWARM), "Ignored"),
    row("oom-score-adjust", "oom-score-adjust", Number, Ignored("removed in Docker 25"), "Ignored"),
    short('p', row("pidfile", "pidfile", Text, Honoured, "Where to write this process's ID")),
    row("", "proxies", Text, Honoured, ""),
    row("raw-logs", "raw-logs", Flag, Honoured, "No colours and times in the log"),
    row("registry-mirror", "registry-mirrors", List, Reloaded, "Mirrors of Docker Hub"),
    row("", "resolv-conf", Text, Ignored("the host's own is used"), ""),
    row("rootless", "rootless", Flag, Refused("the daemon runs as root"), "Refused"),
    row(
        "seccomp-profile",
        "seccomp-profile",
        Text,
        Honoured,
        "Seccomp profile: a path, builtin or unconfined",
    ),
    row(
        "selinux-enabled",
        "selinux-enabled",
        Flag,
        Refused(
            "containers get no SELinux labels: leave it out, and confine them by seccomp and capabilities",
        ),
        "Refused",
    ),
    row(
        "shutdown-timeout",
        "shutdown-timeout",
        Number,
        Ignored("containers outlive the daemon: none is stopped at its end"),
        "Ignored",
    ),
    short('s', row("storage-driver", "storage-driver", Text, Ignored(ONE_DRIVER), "Ignored")),
    row("storage-opt", "storage-opts", List, Ignored(ONE_DRIVER), "Ignored"),
    row("", "swarm-raft-election-tick", Number, Ignored(NO_SWARM), ""),
    row("", "swarm-raft-heartbeat-tick", Number, Ignored(NO_SWARM), ""),
    row("swarm-default-advertise-addr", "swarm-default-advertise-addr", Text, Ignored(NO_SWARM), "Ignored"),
    row("tls", "tls", Flag, Honoured, "TLS on TCP; implied by --tlsverify"),
    row("tlscacert", "tlscacert", Text, Honoured, "Certificates of those who sign clients' certificates"),
    row("tlscert", "tlscert", Text, Honoured, "Certificate of the daemon"),
    row("tlskey", "tlskey", Text, Honoured, "Key of the daemon"),
    row("tlsverify", "tlsverify", Flag, Honoured, "TLS on TCP, for clients with a certificate"),
    row("userland-proxy", "userland-proxy", Flag, Network, "Proxy for published ports on loopback"),
    row("userland-proxy-path", "userland-proxy-path", Text, Ignored("there is no program for it"), "Ignored"),
    row(
        "userns-remap",
        "userns-remap",
        Text,
        Refused("not supported yet: root of a container would be root of the host all the same"),
        "Refused",
    ),
    row("validate", "", Flag, Honoured, "Check the settings and exit"),
];

/// Values that ask for what is so anyway, of directives that are taken and warned of.
const SO_ANYWAY: [(&str, &str); 4] = [
    ("storage-driver", "overlay2"),
    ("storage-driver", "overlayfs"),
    ("exec-opts", "native.cgroupdriver=cgroupfs"),
    ("min-api-version", "1.24"),
];

/// Whether a value asks for nothing: a switch that is off, an empty list, or what is so anyway.
pub(super) fn asks_for_nothing(key: &str, value: &Value) -> bool {
    let is_so = |text: &str| text.is_empty() || SO_ANYWAY.contains(&(key, text));
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => is_so(text),
        Value::Array(items) => items.iter().all(|item| item.as_str().is_some_and(is_so)),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The directive with this key in the file.
pub(super) fn by_key(key: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| directive.key == key)
}
