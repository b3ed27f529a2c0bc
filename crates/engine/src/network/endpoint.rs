//! What a container says of one of its interfaces, by options of its end of the network.

use longshore_types::container::EndpointSettings;

use super::{Error, Result};

const NAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The name of the interface.
    pub(super) name: Option<String>,
    /// Keys below `/proc/sys/net`, with `IFNAME` for the name, and values.
    pub(super) sysctls: Vec<(String, String)>,
}

impl Options {
    /// Reads those of an end.
    pub(super) fn of(settings: &EndpointSettings) -> Result<Self> {
        let get = |key: &str| {
            let value = settings.driver_opts.as_ref().and_then(|options| options.get(key));
            value.map(String::as_str).filter(|value| !value.is_empty())
        };
        let name = get(NAME).map(name).transpose()?;
        let sysctls = get(SYSCTLS).into_iter().flat_map(|list| list.split(',')).map(sysctl);
        Ok(Self { name, sysctls: sysctls.collect::<Result<_>>()? })
    }
}

fn name(text: &str) -> Result<String> {
    let letters = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
    if text.len() > 15 || !letters || matches!(text, "." | ".." | "lo" | "all" | "default") {
        return Err(Error::BadOption { option: NAME.into(), value: text.into() });
    }
    Ok(text.into())
}

/// `net.ipv4.conf.IFNAME.log_martians=1`.
fn sysctl(text: &str) -> Result<(String, String)> {
    let bad = || Error::BadSysctl { text: text.into() };
    let (key, value) = text.split_once('=').ok_or_else(bad)?;
    let parts: Vec<&str> = key.splitn(5, '.').collect();
    match parts[..] {
        ["net", family @ ("ipv4" | "ipv6" | "mpls"), kind, "IFNAME" | "ifname", setting]
            if !setting.contains(['/', '.']) && !kind.contains(['/', '.']) =>
        {
            Ok((format!("{family}/{kind}/IFNAME/{setting}"), value.into()))
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use longshore_types::container::EndpointSettings;

    use super::{NAME, Options, SYSCTLS};

    #[test]
    fn options_of_an_end() {
        let of = |key: &str, value: &str| {
            let options = [(key.to_owned(), value.to_owned())].into();
            Options::of(&EndpointSettings { driver_opts: Some(options), ..EndpointSettings::default() })
        };
        assert_eq!(of(NAME, "dmz0").unwrap().name.as_deref(), Some("dmz0"));
        assert_eq!(of("other", "x").unwrap(), Options::default());
        let two =
            of(SYSCTLS, "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2").unwrap();
        let wanted = [("ipv4/conf/IFNAME/log_martians", "1"), ("ipv6/conf/IFNAME/accept_ra", "2")];
        assert_eq!(two.sysctls, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for text in ["a/b", "lo", "0123456789abcdef", "a b"] {
            assert!(of(NAME, text).is_err(), "{text}");
        }
        for text in [
            "net.ipv4.conf.eth0.log_martians=1",
            "net.ipv4.conf.IFNAME.log_martians",
            "net.core.conf.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.../../x=1",
            "net.ipv4.IFNAME.x=1",
        ] {
            assert!(of(SYSCTLS, text).is_err(), "{text}");
        }
    }
}
