//! A real registry for one test: the distribution's own server (`docker-registry`) on a free port
//! of the loopback, with storage of its own.
//!
//! The port is the kernel's choice: the server says in its log which one it got, and that line is
//! also the sign of readiness.

use crate::keeper::Keeper;
use crate::tool;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The user of a registry with a login.
pub const USER: &str = "user";
/// That user's password.
pub const PASSWORD: &str = "secret";
/// The hash of that password (bcrypt), as the server wants it.
const HASH: &str = "$2y$04$IdjLKP2mBUsa7tVuUoFETurxkIoXl1shfdmqG7W2/OHkqaNmfXAJa";

/// The server's certificate, and a client's, below one authority.
const CERTIFICATES: &str = r#"
set -e
cd "$1"
cat >openssl.cnf <<END
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[server]
basicConstraints = critical,CA:false
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[client]
basicConstraints = critical,CA:false
extendedKeyUsage = clientAuth
END
make() {
    openssl req -x509 -config openssl.cnf -extensions "$1" -days 3650 -subj "/CN=test $1" -nodes \
        -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$1.key" -out "$1.crt" "${@:2}" 2>&1
}
make authority
make server -CA authority.crt -CAkey authority.key
make client -CA authority.crt -CAkey authority.key
"#;

/// Makes `authority`, `server` and `client`, each `.crt` and `.key`, in a directory.
pub fn make_certificates(dir: &Path) {
    tool::run(Command::new("bash").args(["-c", CERTIFICATES, "bash"]).arg(dir));
}

/// What kind of registry a test wants.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only [`USER`] with [`PASSWORD`] may use it (basic authentication).
    pub login: bool,
    /// Speaks TLS, with a certificate that [`Registry::authority`] signed.
    pub tls: bool,
    /// With `tls`: wants a client's certificate as well.
    pub client_certificate: bool,
    /// A directory with images, in the server's own format. It is copied.
    pub storage: Option<PathBuf>,
}

/// A registry that runs. Dropping it ends it and removes its storage.
#[derive(Debug)]
pub struct Registry {
    options: Options,
    /// Before the directory: what is dropped first.
    keeper: Option<Keeper>,
    dir: TempDir,
    host: String,
}

impl Registry {
    /// An empty registry, plain HTTP, open to all.
    pub fn start() -> Registry {
        Registry::with(Options::default())
    }

    /// A registry as the options say.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn with(options: Options) -> Registry {
        crate::require!(tool::has("docker-registry"), "docker-registry is not installed");
        let dir = tempfile::Builder::new().prefix("ls-registry-").tempdir().expect("a temporary directory");
        match &options.storage {
            Some(storage) => {
                tool::run(Command::new("cp").arg("-a").arg(storage).arg(dir.path().join("storage")))
            }
            None => fs::create_dir(dir.path().join("storage")).expect("the registry's storage"),
        }
        if options.login {
            fs::write(dir.path().join("htpasswd"), format!("{USER}:{HASH}\n")).expect("the file of users");
        }
        if options.tls {
            make_certificates(dir.path());
        }
        let mut registry = Registry { options, keeper: None, dir, host: "127.0.0.1:0".into() };
        registry.resume();
        registry
    }

    /// Where it listens: `127.0.0.1:PORT`, the first part of an image's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The full name of an image in it: `image("lib/oci:1")` is `127.0.0.1:PORT/lib/oci:1`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// The address with its scheme, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.options.tls { "https" } else { "http" }, self.host)
    }

    /// Where it keeps what was pushed (`docker/registry/v2/…`).
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    /// The file of a blob, by the hexadecimal digits of its SHA-256.
    pub fn blob(&self, hex: &str) -> PathBuf {
        self.storage().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// With `tls`: the certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.crt")
    }

    /// With `tls`: the certificate and the key of a client that it accepts.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.dir.path().join("client.crt"), self.dir.path().join("client.key"))
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        self.keeper.as_ref().map(Keeper::log).unwrap_or_default()
    }

    /// Ends the server; its storage stays. Nobody listens any more when this returns.
    pub fn stop(&mut self) {
        drop(self.keeper.take());
    }

    /// Starts the server again after [`Registry::stop`], at the same address.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn resume(&mut self) {
        self.stop();
        let configuration = self.dir.path().join("config.yml");
        fs::write(&configuration, self.configuration()).expect("the registry's configuration");
        let configuration = configuration.display().to_string();
        let host = &mut self.host;
        self.keeper = Some(Keeper::start(&["docker-registry", "serve", &configuration], |line| {
            let Some((_, rest)) = line.split_once("listening on ") else { return false };
            *host = rest.split(['"', ',']).next().unwrap_or_default().to_owned();
            true
        }));
    }

    fn configuration(&self) -> String {
        let dir = self.dir.path().display();
        let mut text = format!(
            "version: 0.1\n\
             log: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: {dir}/storage}}\n  delete: {{enabled: true}}\n"
        );
        if self.options.login {
            write!(text, "auth:\n  htpasswd: {{realm: test, path: {dir}/htpasswd}}\n").expect("a string");
        }
        write!(text, "http:\n  addr: {}\n  secret: test\n", self.host).expect("a string");
        if self.options.tls {
            write!(text, "  tls:\n    certificate: {dir}/server.crt\n    key: {dir}/server.key\n")
                .expect("a string");
            if self.options.client_certificate {
                writeln!(text, "    clientcas: [{dir}/authority.crt]").expect("a string");
            }
        }
        text
    }
}
