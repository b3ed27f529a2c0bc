use std::net::IpAddr;

use super::{EtcError, one_line};

/// What every container's file begins with.
const LOCAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// The whole file: with the host's network its own names are the host's file.
pub(super) fn file(of_host: bool, names: &str, extra: &str) -> String {
    if of_host {
        let end = if names.is_empty() || names.ends_with('\n') { "" } else { "\n" };
        return format!("{names}{end}{extra}");
    }
    format!("{LOCAL}{extra}{names}")
}

/// Lines for names and addresses.
pub(super) fn own(names: &[(String, IpAddr)]) -> String {
    names.iter().map(|(name, address)| format!("{address}\t{}\n", one_line(name))).collect()
}

/// Lines for `ExtraHosts`.
pub(super) fn extra(hosts: &[String], gateways: &[IpAddr]) -> Result<String, EtcError> {
    let mut lines = String::new();
    for text in hosts {
        let Some((name, address)) = text.split_once(':') else { continue };
        let name = one_line(name);
        if address == "host-gateway" {
            if gateways.is_empty() {
                return Err(EtcError::NoGateway);
            }
            for gateway in gateways {
                lines.push_str(&format!("{gateway}\t{name}\n"));
            }
            continue;
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        // What is no address was refused when the container was made.
        if let Ok(address) = bare.parse::<IpAddr>() {
            lines.push_str(&format!("{address}\t{name}\n"));
        }
    }
    Ok(lines)
}

/// The text without some lines and with others.
pub(super) fn change(text: &str, gone: &[(String, IpAddr)], new: &[(String, IpAddr)]) -> String {
    let (gone, new) = (own(gone), own(new));
    let mut kept: String = text
        .split_inclusive('\n')
        .filter(|line| !gone.split_inclusive('\n').any(|own| own == *line))
        .collect();
    if !kept.is_empty() && !kept.ends_with('\n') {
        kept.push('\n');
    }
    for line in new.split_inclusive('\n').filter(|line| !kept.contains(*line)).collect::<Vec<_>>() {
        kept.push_str(line);
    }
    kept
}
