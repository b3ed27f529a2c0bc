//! Debian's `docker-registry` on a loopback port of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use longshore_registry::{Client, Config, Credentials, Repository};
use longshore_types::Reference;
use tempfile::TempDir;

/// What a registry asks of its users.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands {
    /// User `user` with password `secret-password`.
    pub(crate) password: bool,
    /// TLS with a certificate of the CA in `tests/registry/certs`, for `localhost` and 127.0.0.1.
    pub(crate) tls: bool,
}

/// A running registry; ends with the value.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    pub(crate) host: String,
}

/// `user:secret-password`, hashed with bcrypt.
const HTPASSWD: &str = "user:$2b$05$Csl3MHPM2dwFRSyhCMyfVOSuRO0zq8ymFQ1dCHnnNAksNgHXEzkG2\n";

/// A file of `tests/registry/certs`.
pub(crate) fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/registry/certs").join(name)
}

impl Server {
    pub(crate) fn start(demands: Demands) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, formatter: text}}\nstorage:\n  filesystem: {{rootdirectory: {root}/data}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: 127.0.0.1:0\n"
        );
        if demands.tls {
            let (certificate, key) = (certificate("server.crt"), certificate("server.key"));
            let tls = format!("  tls: {{certificate: {}, key: {}}}\n", certificate.display(), key.display());
            config.push_str(&tls);
        }
        if demands.password {
            fs::write(dir.path().join("htpasswd"), HTPASSWD).expect("write");
            config.push_str(&format!("auth:\n  htpasswd: {{realm: test, path: {root}/htpasswd}}\n"));
        }
        let path = dir.path().join("config.yml");
        fs::write(&path, config).expect("write");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed (scripts/setup.sh)");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok()
        });
        // It blocks when nobody reads what it says.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let port = port.expect("docker-registry says where it listens");
        Self { child, dir, host: format!("127.0.0.1:{port}") }
    }

    /// A directory that lives as long as the registry.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Runs skopeo; the registry's certificate goes unverified.
    pub(crate) fn skopeo(&self, arguments: &[&str]) -> String {
        let output = Command::new("skopeo")
            .arg("--insecure-policy")
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .output()
            .expect("skopeo is installed (scripts/setup.sh)");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A repository here, for a client that knows nothing.
    pub(crate) fn repository(&self, name: &str) -> Repository {
        let client = Client::new(Config::bare()).expect("a client");
        self.repository_of(&client, name, Credentials::Anonymous)
    }

    pub(crate) fn repository_of(&self, client: &Client, name: &str, credentials: Credentials) -> Repository {
        let reference = Reference::parse(&format!("{}/{name}", self.host)).expect("a reference");
        client.repository(&reference, credentials).expect("a repository")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
