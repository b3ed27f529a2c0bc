//! Whether the token server that a registry names may be asked, and with what.

use url::Url;

use crate::config::insecure::{Insecure, Verdict, is_link_local, literal};

/// What is known of the registry that names a realm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealmRules<'a> {
    /// The registry as it was reached.
    pub(crate) registry: &'a Url,
    pub(crate) insecure: &'a Insecure,
}

impl RealmRules<'_> {
    /// Reads `realm`, or says why it is refused.
    ///
    /// Over verified TLS a registry may name any other host: Docker Hub does. Plain http is for registries that are
    /// spoken to in plain http themselves, and only to a host that the user allowed that for.
    pub(crate) fn check(&self, realm: &str) -> Result<Url, &'static str> {
        let url = Url::parse(realm).map_err(|_| "it is no URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds credentials of its own");
        }
        let Some(host) = url.host_str() else { return Err("it names no host") };
        let same_host = self.registry.host_str() == Some(host);
        if literal(host).is_some_and(is_link_local) && !same_host {
            return Err("it is an address of the local link, where metadata services are");
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.registry.scheme() != "http" => Err("it is plain http while the registry is https"),
            "http" => {
                let port = url.port_or_known_default().unwrap_or(80);
                let allowed = self.insecure.judge(host, port) == Verdict::Insecure;
                let same = same_host && url.port_or_known_default() == self.registry.port_or_known_default();
                if allowed || same {
                    Ok(url)
                } else {
                    Err("it is plain http on a host not named under insecure-registries")
                }
            }
            _ => Err("it is neither https nor http"),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::RealmRules;
    use crate::config::insecure::Insecure;

    #[test]
    fn a6_119_realms() {
        let insecure = Insecure::read(&["plain.example:5000".into(), "auth.example".into()]).unwrap();
        for (registry, realm, taken) in [
            ("https://reg.example/v2/", "https://reg.example/token", true),
            ("https://reg.example/v2/", "https://auth.other.example/token?x=y", true),
            ("https://reg.example/v2/", "http://reg.example/token", false),
            ("https://reg.example/v2/", "http://127.0.0.1/token", false),
            ("https://reg.example/v2/", "https://169.254.169.254/token", false),
            ("https://reg.example/v2/", "https://[fe80::1]/token", false),
            ("https://reg.example/v2/", "https://user:pw@reg.example/token", false),
            ("https://reg.example/v2/", "file:///etc/passwd", false),
            ("https://reg.example/v2/", "/token", false),
            ("https://reg.example/v2/", "", false),
            ("http://plain.example:5000/v2/", "http://plain.example:5000/token", true),
            ("http://plain.example:5000/v2/", "http://auth.example/token", true),
            ("http://plain.example:5000/v2/", "http://evil.example/token", false),
            ("http://plain.example:5000/v2/", "http://plain.example/token", false),
            ("http://plain.example:5000/v2/", "https://evil.example/token", true),
            ("http://127.0.0.1:5000/v2/", "http://localhost:5001/token", true),
            ("http://169.254.1.1:5000/v2/", "http://169.254.1.1:5000/token", true),
        ] {
            let registry = Url::parse(registry).unwrap();
            let found = RealmRules { registry: &registry, insecure: &insecure }.check(realm);
            assert_eq!(found.is_ok(), taken, "{registry} {realm}: {found:?}");
        }
    }
}
