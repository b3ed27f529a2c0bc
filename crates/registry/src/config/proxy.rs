//! Which proxy a URL goes through: the rules of Go's `httpproxy`, because Docker's users wrote their settings for it.

use std::{fmt, net::IpAddr};

use url::Url;

use super::{
    ConfigError,
    insecure::{Network, is_loopback, literal},
};

/// Proxies for http and https, and for whom there is none. Addresses may hold passwords, so `Debug` hides them.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    exceptions: String,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |proxy: &Option<String>| if proxy.is_some() { "set" } else { "none" };
        let Self { http, https, exceptions } = self;
        write!(f, "Proxies {{ http: {}, https: {}, exceptions: {exceptions:?} }}", set(http), set(https))
    }
}

impl Proxies {
    /// Takes `http-proxy`, `https-proxy` and `no-proxy` of the daemon's settings.
    #[must_use]
    pub fn new(http: Option<String>, https: Option<String>, exceptions: &str) -> Self {
        let set = |proxy: Option<String>| proxy.filter(|proxy| !proxy.is_empty());
        Self { http: set(http), https: set(https), exceptions: exceptions.to_owned() }
    }

    /// Takes `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or the same in lower case.
    #[must_use]
    pub fn from_environment() -> Self {
        let get = |name: &str| {
            let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            value(name).or_else(|| value(&name.to_ascii_lowercase()))
        };
        Self::new(get("HTTP_PROXY"), get("HTTPS_PROXY"), &get("NO_PROXY").unwrap_or_default())
    }

    /// Reads the addresses.
    pub(crate) fn read(&self) -> Result<Rules, ConfigError> {
        Ok(Rules {
            http: self.http.as_deref().map(|text| address(text, "http-proxy")).transpose()?,
            https: self.https.as_deref().map(|text| address(text, "https-proxy")).transpose()?,
            exceptions: exceptions(&self.exceptions),
        })
    }
}

fn address(text: &str, variable: &'static str) -> Result<Url, ConfigError> {
    let fail = |message: String| ConfigError::Proxy { variable, message };
    let known = |url: &Url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host();
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) if known(&url) => Ok(url),
        // `proxy:3128` is read as a scheme; what people mean is a host.
        _ if !text.contains("://") => {
            Url::parse(&format!("http://{text}")).map_err(|error| fail(error.to_string()))
        }
        Ok(url) => Err(fail(format!("scheme {:?} is not http, https, socks5 or socks5h", url.scheme()))),
        Err(error) => Err(fail(error.to_string())),
    }
}

/// What was read, ready to be asked for each URL.
#[derive(Clone)]
pub(crate) struct Rules {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("exceptions", &self.exceptions).finish_non_exhaustive()
    }
}

/// For whom there is no proxy. A port of `None` is any port.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everyone,
    Network(Network),
    Address(IpAddr, Option<u16>),
    /// A name with its leading dot; `itself` says whether the name without it counts too.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

fn exceptions(text: &str) -> Vec<Exception> {
    text.split(',').filter_map(|entry| exception(&entry.trim().to_ascii_lowercase())).collect()
}

fn exception(text: &str) -> Option<Exception> {
    if text == "*" {
        return Some(Exception::Everyone);
    }
    if let Some(network) = Network::parse(text) {
        return Some(Exception::Network(network));
    }
    let (host, port) = split_port(text)?;
    if let Some(address) = literal(host) {
        return Some(Exception::Address(address, port));
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    if host.is_empty() {
        return None;
    }
    let itself = !host.starts_with('.');
    let suffix = if itself { format!(".{host}") } else { host.to_owned() };
    Some(Exception::Domain { suffix, itself, port })
}

/// Host and port; an IPv6 address has a port only in brackets. Nothing for an entry that makes no sense.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !text.ends_with(']') => {
            Some((host, Some(port.parse().ok()?)))
        }
        Some(("", _)) => None,
        _ => Some((text, None)),
    }
}

impl Rules {
    /// The proxy for `url`.
    pub(crate) fn proxy(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
        let port = url.port_or_known_default()?;
        let address = literal(&host);
        if host == "localhost" || address.is_some_and(is_loopback) {
            return None;
        }
        let excepted = self.exceptions.iter().any(|exception| exception.covers(&host, address, port));
        (!excepted).then_some(proxy)
    }
}

impl Exception {
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::Everyone => true,
            Self::Network(network) => address.is_some_and(|address| network.has(address)),
            Self::Address(ours, only) => {
                address.is_some_and(|theirs| ours.to_canonical() == theirs.to_canonical())
                    && only.is_none_or(|only| only == port)
            }
            Self::Domain { suffix, itself, port: only } => {
                let named = host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..]);
                named && only.is_none_or(|only| only == port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::Proxies;

    fn uses(exceptions: &str, url: &str) -> bool {
        let set = Some("http://proxy.example:3128".to_owned());
        let rules = Proxies::new(set.clone(), set, exceptions).read().unwrap();
        rules.proxy(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for (exceptions, url, proxied) in [
            ("", "https://reg.example/v2/", true),
            ("*", "https://reg.example/", false),
            ("example", "https://reg.example/", false),
            ("reg.example", "https://reg.example/", false),
            ("reg.example", "https://sub.reg.example/", false),
            ("reg.example", "https://xreg.example/", true),
            (".reg.example", "https://reg.example/", true),
            (".reg.example", "https://sub.reg.example/", false),
            ("*.reg.example", "https://sub.reg.example/", false),
            ("*.reg.example", "https://reg.example/", true),
            ("REG.example", "https://reg.EXAMPLE/", false),
            ("reg.example:5000", "https://reg.example:5000/", false),
            ("reg.example:5000", "https://reg.example/", true),
            ("reg.example:443", "https://reg.example/", false),
            (" a.example , reg.example ", "https://reg.example/", false),
            ("10.0.0.0/8", "https://10.1.2.3:5000/", false),
            ("10.0.0.0/8", "https://11.1.2.3:5000/", true),
            ("10.1.2.3", "https://10.1.2.3/", false),
            ("10.1.2.3:5000", "https://10.1.2.3/", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]/", false),
            ("2001:db8::1", "https://[2001:db8::1]/", false),
            ("2001:db8::/32", "https://[2001:db8::1]/", false),
            (":5000,,", "https://reg.example:5000/", true),
            ("", "http://localhost:5000/", false),
            ("", "http://127.0.0.1:5000/", false),
            ("", "http://[::1]:5000/", false),
        ] {
            assert_eq!(uses(exceptions, url), proxied, "{exceptions:?} {url}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let rules = Proxies::new(None, Some("proxy:3128".into()), "").read().unwrap();
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(rules.proxy(&url("https://a.example/")), Some(&url("http://proxy:3128")));
        assert_eq!(rules.proxy(&url("http://a.example/")), None);
        assert!(Proxies::new(Some("ftp://proxy".into()), None, "").read().is_err());
        assert!(Proxies::new(Some("socks5://proxy:1080".into()), None, "").read().is_ok());
    }

    #[test]
    fn passwords_are_not_shown() {
        let proxies = Proxies::new(Some("http://user:hunter2@proxy".into()), None, "a");
        assert!(!format!("{proxies:?}{:?}", proxies.read().unwrap()).contains("hunter2"));
    }
}
