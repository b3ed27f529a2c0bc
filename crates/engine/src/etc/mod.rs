//! Files of `/etc` that a container has of its host: `hosts`, `hostname` and `resolv.conf`, in the container's
//! directory.
//!
//! Each is written anew at a start, in one step. What comes from users has been checked for line breaks when the
//! container was made; what is written is checked again, so that a record from elsewhere adds no lines.

mod hosts;
mod resolv;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use longshore_types::Kind;
use rustix::fs::{CWD, Mode, OFlags};

pub use crate::spec::EtcPaths;
use crate::{container::Record, spec::mode};

/// What else they are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcInputs {
    /// Names that are resolved by `hosts`, links and own names among them, in their order.
    pub hosts: Vec<(String, IpAddr)>,
    /// Names and addresses of linked containers.
    pub links: Vec<(String, IpAddr)>,
    /// What `host-gateway` means.
    pub gateways: Vec<IpAddr>,
    /// The nameservers of the container's network (`127.0.0.11`), instead of those of the host.
    pub nameservers: Vec<IpAddr>,
    /// The daemon's, for containers that name none.
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// The directory of the container whose network is shared: its files are this one's too.
    pub shared: Option<PathBuf>,
}

/// Why they could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EtcError {
    #[error("{operation} {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("unable to derive the IP value for host-gateway: the container's network has no gateway")]
    NoGateway,
}

impl EtcError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Internal,
            Self::NoGateway => Kind::InvalidInput,
        }
    }
}

/// Where they are in a container's directory.
#[must_use]
pub fn paths(directory: &Path) -> EtcPaths {
    let at = |name: &str| Some(directory.join(name));
    EtcPaths { hosts: at("hosts"), hostname: at("hostname"), resolv_conf: at("resolv.conf") }
}

/// Writes the files of a container that starts into its `directory`. Blocks.
pub fn write(record: &Record, directory: &Path, inputs: &EtcInputs) -> Result<EtcPaths, EtcError> {
    if let Some(shared) = &inputs.shared {
        return Ok(paths(shared));
    }
    let of_host = record.host.network_mode == "host";
    let gateways = &inputs.gateways;
    let extra = hosts::extra(record.host.extra_hosts.as_deref().unwrap_or_default(), gateways)?;
    let names = if of_host { read("/etc/hosts") } else { hosts::own(&inputs.hosts) };
    let extra = extra + &hosts::own(&inputs.links);
    put(directory, "hosts", &hosts::file(of_host, &names, &extra))?;
    put(directory, "hostname", &format!("{}\n", one_line(&record.config.hostname)))?;
    let settings = resolv::Settings::of(record, inputs);
    put(directory, "resolv.conf", &resolv::file(&resolv::host(), &settings, of_host))?;
    debug_assert!(mode::network_of(&record.host.network_mode).is_none(), "its files are another's");
    Ok(paths(directory))
}

/// Takes lines from a running container's `hosts` and adds others, each a name and its address. What the container
/// has written itself stays. In place, since what is mounted is the file and not its name. Blocks.
pub fn rewrite_hosts(
    directory: &Path,
    gone: &[(String, IpAddr)],
    new: &[(String, IpAddr)],
) -> Result<(), EtcError> {
    let path = directory.join("hosts");
    let text = std::fs::read_to_string(&path).map_err(|source| EtcError::Io {
        operation: "read",
        path: path.clone(),
        source,
    })?;
    let rewritten = hosts::change(&text, gone, new);
    if rewritten == text {
        return Ok(());
    }
    std::fs::write(&path, rewritten).map_err(|source| EtcError::Io { operation: "write", path, source })
}

/// Gives names in a running container's `hosts` another address. Blocks.
pub fn rename_host(directory: &Path, line: &(String, IpAddr)) -> Result<(), EtcError> {
    let gone: Vec<(String, IpAddr)> = read(&directory.join("hosts").to_string_lossy())
        .lines()
        .filter_map(|text| text.split_once('\t'))
        .filter(|(_, names)| *names == line.0)
        .filter_map(|(address, names)| Some((names.to_owned(), address.parse().ok()?)))
        .collect();
    rewrite_hosts(directory, &gone, std::slice::from_ref(line))
}

/// Writes a running container's `resolv.conf` anew, unless somebody else has changed it since it was made from
/// `before`. Blocks.
pub fn rewrite_resolv(
    record: &Record,
    directory: &Path,
    before: &EtcInputs,
    now: &EtcInputs,
) -> Result<(), EtcError> {
    let path = directory.join("resolv.conf");
    let host = resolv::host();
    let text = |inputs| resolv::file(&host, &resolv::Settings::of(record, inputs), false);
    if read(&path.to_string_lossy()) != text(before) {
        return Ok(());
    }
    std::fs::write(&path, text(now)).map_err(|source| EtcError::Io { operation: "write", path, source })
}

/// A word without what would end its line.
fn one_line(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Puts a file in the place of an earlier one, in one step.
fn put(directory: &Path, name: &str, text: &str) -> Result<(), EtcError> {
    use std::io::Write;
    let path = directory.join(name);
    let new = directory.join(format!(".{name}.new"));
    let fail = |operation| {
        let path = path.clone();
        move |source| EtcError::Io { operation, path, source }
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(CWD, &new, flags, mode).map_err(|errno| fail("write")(errno.into()))?;
    rustix::fs::fchmod(&file, mode).map_err(|errno| fail("write")(errno.into()))?;
    std::fs::File::from(file).write_all(text.as_bytes()).map_err(fail("write"))?;
    std::fs::rename(&new, &path).map_err(fail("write"))
}
