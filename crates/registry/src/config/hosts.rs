//! containerd's `hosts.toml`: which hosts serve a registry's content, in which order, and how to speak with each.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_types::time::parse_duration;
use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::{
    ConfigError,
    certs::{Tls, is_trusted},
};

/// The longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// What a host is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Capabilities {
    /// Content by digest.
    pub(crate) pull: bool,
    /// What a tag stands for.
    pub(crate) resolve: bool,
    pub(crate) push: bool,
}

impl Capabilities {
    pub(crate) const ALL: Self = Self { pull: true, resolve: true, push: true };
    /// What a mirror of Docker's kind is for.
    pub(crate) const MIRROR: Self = Self { pull: true, resolve: true, push: false };
}

/// One host of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostEntry {
    /// Up to and including `/v2/`.
    pub(crate) base: Url,
    pub(crate) capabilities: Capabilities,
    pub(crate) tls: Tls,
    /// Sent with every request to this host; may hold secrets.
    pub(crate) headers: Vec<(String, String)>,
    /// How long a connection may take to be made, where the file says so.
    pub(crate) dial: Option<Duration>,
}

/// A file, read: mirrors in their order, then the registry itself if the file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostsFile {
    pub(crate) mirrors: Vec<HostEntry>,
    pub(crate) server: Option<HostEntry>,
}

#[derive(Deserialize)]
struct RawFile {
    server: Option<String>,
    #[serde(default)]
    host: BTreeMap<Spanned<String>, RawHost>,
    #[serde(flatten)]
    own: RawHost,
}

#[derive(Deserialize, Default)]
struct RawHost {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<RawClient>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: BTreeMap<String, OneOrMany>,
    dial_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawClient {
    One(String),
    Many(Vec<String>),
    Pairs(Vec<Vec<String>>),
}

/// Finds and reads the file of `host`, with its port if it has one, in the first of `dirs` that has one.
pub(crate) fn find(dirs: &[PathBuf], host: &str) -> Result<Option<HostsFile>, ConfigError> {
    // containerd's spelling of a port, because not every file system takes a colon.
    let spelled = host.rsplit_once(':').map(|(name, port)| format!("{name}_{port}_"));
    let names = spelled.iter().map(String::as_str).chain([host, "_default"]);
    for name in names {
        for dir in dirs {
            let path = dir.join(name).join("hosts.toml");
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                Err(error) => return Err(ConfigError::File { path, message: error.to_string() }),
            };
            if !is_trusted(&path) || !path.parent().is_some_and(is_trusted) {
                continue;
            }
            if length > MAX_FILE {
                return Err(ConfigError::File { path, message: format!("is larger than {MAX_FILE} bytes") });
            }
            let text = fs::read_to_string(&path)
                .map_err(|error| ConfigError::File { path: path.clone(), message: error.to_string() })?;
            return read(&text, &path).map(Some);
        }
    }
    Ok(None)
}

/// Reads `text` of the file at `path`; paths in it are relative to its directory.
pub(crate) fn read(text: &str, path: &Path) -> Result<HostsFile, ConfigError> {
    let fail = |message: String| ConfigError::File { path: path.to_owned(), message };
    let raw: RawFile = toml::from_str(text).map_err(|error| fail(error.message().to_owned()))?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut hosts: Vec<_> = raw.host.iter().collect();
    // The order of the file is the order of asking.
    hosts.sort_by_key(|(name, _)| name.span().start);
    let mirrors = hosts.into_iter().map(|(name, host)| entry(name.get_ref(), host, dir).map_err(fail));
    let server = raw.server.as_deref().map(|server| entry(server, &raw.own, dir).map_err(fail));
    Ok(HostsFile { mirrors: mirrors.collect::<Result<_, _>>()?, server: server.transpose()? })
}

fn entry(address: &str, raw: &RawHost, dir: &Path) -> Result<HostEntry, String> {
    let base = base(address, raw.override_path)?;
    let capabilities = match &raw.capabilities {
        None => Capabilities::ALL,
        Some(list) => capabilities(list)?,
    };
    let authorities = raw.ca.iter().flat_map(OneOrMany::list).map(|file| dir.join(file)).collect();
    let identity = match &raw.client {
        None => None,
        Some(RawClient::One(file)) => Some((dir.join(file), dir.join(file))),
        Some(RawClient::Many(files)) => files.first().map(|file| (dir.join(file), dir.join(file))),
        Some(RawClient::Pairs(pairs)) => match pairs.first().map(Vec::as_slice) {
            Some([cert, key]) => Some((dir.join(cert), dir.join(key))),
            Some([file]) => Some((dir.join(file), dir.join(file))),
            _ => return Err(format!("client of {address:?} is no pair of certificate and key")),
        },
    };
    let headers = raw.header.iter().flat_map(|(name, values)| {
        values.list().iter().map(|value| (name.to_ascii_lowercase(), value.clone()))
    });
    let dial = raw.dial_timeout.as_deref().map(|text| {
        let nanos =
            parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
        nanos
            .map(Duration::from_nanos)
            .ok_or_else(|| format!("dial_timeout {text:?} of {address:?} is no duration, as in \"5s\""))
    });
    Ok(HostEntry {
        base,
        capabilities,
        tls: Tls { authorities, identity, skip_verify: raw.skip_verify },
        headers: headers.collect(),
        dial: dial.transpose()?,
    })
}

fn capabilities(list: &[String]) -> Result<Capabilities, String> {
    let mut found = Capabilities { pull: false, resolve: false, push: false };
    for name in list {
        match name.as_str() {
            "pull" => found.pull = true,
            "resolve" => found.resolve = true,
            "push" => found.push = true,
            "referrers" => {}
            other => return Err(format!("capability {other:?} is not pull, resolve or push")),
        }
    }
    Ok(found)
}

/// The URL up to `/v2/`; with `as_is` the path is complete already.
pub(crate) fn base(address: &str, as_is: bool) -> Result<Url, String> {
    let has_scheme = address.contains("://");
    let text = if has_scheme { address.to_owned() } else { format!("https://{address}") };
    let mut url = Url::parse(&text).map_err(|error| format!("{address:?} is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("{address:?} is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name or password: log in to the host instead".to_owned());
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    let path = if as_is || path.ends_with("/v2") { format!("{path}/") } else { format!("{path}/v2/") };
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Capabilities, base, find, read};

    const FILE: &str = r#"
server = "https://registry-1.docker.io"
ca = "/etc/own.crt"

[host."https://z.example"]
  capabilities = ["pull", "resolve"]
  ca = ["a.crt", "/b.crt"]
  client = [["c.cert", "c.key"]]
[host."https://z.example".header]
  x-token = ["one", "two"]
  X-Other = "three"

[host."http://a.example:5000/prefix"]
  capabilities = ["pull"]
  skip_verify = true
  override_path = true
  dial_timeout = "1m30s"
"#;

    #[test]
    fn reads_hosts_in_the_order_of_the_file() {
        let file = read(FILE, Path::new("/dir/hosts.toml")).unwrap();
        let bases: Vec<_> = file.mirrors.iter().map(|host| host.base.as_str()).collect();
        assert_eq!(bases, ["https://z.example/v2/", "http://a.example:5000/prefix/"]);
        let [z, a] = &file.mirrors[..] else { panic!("{file:?}") };
        assert_eq!(z.capabilities, Capabilities::MIRROR);
        assert_eq!(z.tls.authorities, [Path::new("/dir/a.crt"), Path::new("/b.crt")]);
        assert_eq!(z.tls.identity, Some(("/dir/c.cert".into(), "/dir/c.key".into())));
        let headers: Vec<_> = z.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("x-other", "three"), ("x-token", "one"), ("x-token", "two")]);
        assert!(a.tls.skip_verify && a.capabilities.pull && !a.capabilities.resolve);
        assert_eq!((z.dial, a.dial), (None, Some(std::time::Duration::from_secs(90))));
        let server = file.server.unwrap();
        assert_eq!(server.base.as_str(), "https://registry-1.docker.io/v2/");
        assert_eq!(server.tls.authorities, [Path::new("/etc/own.crt")]);
        assert_eq!(server.capabilities, Capabilities::ALL);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for text in [
            "server = 7",
            "server = \"ftp://a\"",
            "server = \"https://user:hunter2@a\"",
            "[host.\"https://a\"]\ncapabilities = [\"fly\"]",
            "[host.\"https://a\"]\nclient = [[\"a\", \"b\", \"c\"]]",
            "[host.\"https://a\"]\ndial_timeout = \"soon\"",
            "[host.\"https://a\"]\ndial_timeout = \"0s\"",
            "[host",
        ] {
            let error = read(text, Path::new("/d/hosts.toml")).unwrap_err().to_string();
            assert!(error.starts_with("/d/hosts.toml: ") && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(read("", Path::new("/d/hosts.toml")).unwrap(), super::HostsFile::default());
    }

    #[test]
    fn bases_end_in_v2() {
        for (address, as_is, expected) in [
            ("a.example", false, "https://a.example/v2/"),
            ("http://a.example:80/", false, "http://a.example/v2/"),
            ("https://a.example/v2", false, "https://a.example/v2/"),
            ("https://a.example/p/", false, "https://a.example/p/v2/"),
            ("https://a.example/p?x#y", true, "https://a.example/p/"),
            ("[::1]:5000", false, "https://[::1]:5000/v2/"),
        ] {
            assert_eq!(base(address, as_is).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn looks_where_containerd_looks() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().join("absent"), dir.path().to_owned()];
        let write = |name: &str, server: &str| {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
            let text = format!("server = \"https://{server}\"");
            std::fs::write(dir.path().join(name).join("hosts.toml"), text).unwrap();
        };
        let found = |host: &str| {
            let file = find(&dirs, host).unwrap()?;
            Some(file.server.unwrap().base.host_str().unwrap().to_owned())
        };
        assert_eq!(found("reg.example:5000"), None);
        write("_default", "default");
        assert_eq!(found("reg.example:5000").as_deref(), Some("default"));
        write("reg.example:5000", "colon");
        assert_eq!(found("reg.example:5000").as_deref(), Some("colon"));
        write("reg.example_5000_", "underscore");
        assert_eq!(found("reg.example:5000").as_deref(), Some("underscore"));
        assert_eq!(found("other.example").as_deref(), Some("default"));
    }
}
