//! Where a reply may send us.

use url::Url;

use crate::{
    config::insecure::{Insecure, Verdict, is_link_local, is_loopback, literal},
    error::shown,
};

/// The most redirects of one request.
pub(crate) const MAX_HOPS: usize = 10;

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    #[error("redirects more than {MAX_HOPS} times")]
    TooMany,
    #[error("redirects without saying where to")]
    NoLocation,
    #[error("redirects to something that is no URL")]
    Invalid,
    #[error("redirects to {scheme}, which is neither https nor http")]
    Scheme { scheme: String },
    #[error("redirects from https to plain http at {host}")]
    Downgrade { host: String },
    #[error("redirects to {host}, which is an address of this machine or its local link")]
    Local { host: String },
}

/// The URL that `location` leads to from `current`. `registry` is where the request began.
pub(crate) fn next(
    current: &Url,
    location: &str,
    registry: &Url,
    insecure: &Insecure,
) -> Result<Url, RedirectError> {
    let mut url = current.join(location).map_err(|_| RedirectError::Invalid)?;
    let host = shown(url.host_str().unwrap_or_default());
    match url.scheme() {
        "https" => {}
        "http" if current.scheme() == "https" => return Err(RedirectError::Downgrade { host }),
        "http" => {}
        scheme => return Err(RedirectError::Scheme { scheme: shown(scheme) }),
    }
    // Credentials in a URL would become a header.
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() || host.is_empty() {
        return Err(RedirectError::Invalid);
    }
    if is_local(&url) && url.host_str() != registry.host_str() && !may_be_local(registry, insecure) {
        return Err(RedirectError::Local { host });
    }
    if literal(&host).is_some_and(is_link_local) && url.host_str() != registry.host_str() {
        return Err(RedirectError::Local { host });
    }
    url.set_fragment(None);
    Ok(url)
}

/// Whether a URL names this machine outright.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.ends_with(".localhost") || literal(host).is_some_and(is_loopback)
}

/// Whether replies of a registry may lead to this machine: only if it is on this machine itself.
pub(crate) fn may_be_local(registry: &Url, insecure: &Insecure) -> bool {
    let host = registry.host_str().unwrap_or_default();
    let port = registry.port_or_known_default().unwrap_or(443);
    is_local(registry) && insecure.judge(host, port) == Verdict::Insecure
}

/// Whether two URLs have scheme, host and port in common.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{RedirectError, next, same_origin};
    use crate::config::insecure::Insecure;

    fn go(registry: &str, current: &str, location: &str) -> Result<String, RedirectError> {
        let url = |text: &str| Url::parse(text).unwrap();
        next(&url(current), location, &url(registry), &Insecure::default()).map(String::from)
    }

    #[test]
    fn c5_68_where_redirects_may_lead() {
        let reg = "https://reg.example/v2/";
        let host = |host: &str| host.to_owned();
        for (location, expected) in [
            ("/x?y=1#z", Ok(host("https://reg.example/x?y=1"))),
            ("https://cdn.example/b", Ok(host("https://cdn.example/b"))),
            ("//cdn.example/b", Ok(host("https://cdn.example/b"))),
            ("https://user:pw@cdn.example/b", Ok(host("https://cdn.example/b"))),
            ("http://cdn.example/b", Err(RedirectError::Downgrade { host: host("cdn.example") })),
            ("http://reg.example/b", Err(RedirectError::Downgrade { host: host("reg.example") })),
            ("unix:///var/run/docker.sock", Err(RedirectError::Scheme { scheme: host("unix") })),
            ("file:///etc/passwd", Err(RedirectError::Scheme { scheme: host("file") })),
            ("https://127.0.0.1/b", Err(RedirectError::Local { host: host("127.0.0.1") })),
            ("https://2130706433/b", Err(RedirectError::Local { host: host("127.0.0.1") })),
            ("https://[::1]/b", Err(RedirectError::Local { host: host("[::1]") })),
            ("https://localhost/b", Err(RedirectError::Local { host: host("localhost") })),
            ("https://169.254.169.254/b", Err(RedirectError::Local { host: host("169.254.169.254") })),
            ("https://[::ffff:a9fe:a9fe]/b", Err(RedirectError::Local { host: host("[::ffff:a9fe:a9fe]") })),
            ("https://", Err(RedirectError::Invalid)),
            ("https://:99999/", Err(RedirectError::Invalid)),
        ] {
            assert_eq!(go(reg, reg, location), expected, "{location}");
        }
    }

    #[test]
    fn a_registry_on_this_machine_may_stay_there() {
        let reg = "http://127.0.0.1:5000/v2/";
        assert!(go(reg, reg, "http://127.0.0.1:5001/x").is_ok());
        assert!(go(reg, reg, "http://localhost:5001/x").is_ok());
        assert!(go(reg, reg, "https://cdn.example/x").is_ok());
        assert!(go(reg, reg, "http://169.254.169.254/x").is_err());
        assert!(go(reg, "https://cdn.example/x", "http://127.0.0.1:5000/x").is_err(), "a downgrade");
        let link = "http://169.254.1.1:5000/v2/";
        assert!(go(link, link, "/x").is_ok());
    }

    #[test]
    fn origins() {
        let same = |a: &str, b: &str| same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://a/x", "https://a:443/y") && same("http://a:80", "http://A/"));
        assert!(!same("https://a", "http://a") && !same("https://a", "https://a:444"));
        assert!(!same("https://a", "https://a.b"));
    }
}
