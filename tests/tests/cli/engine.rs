//! The two engines, each with a small image `box`.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;
use testkit::{dockerd::Dockerd, longshored::Longshored, tool};

/// Programs of busybox that scripts use.
const APPLETS: &str = "cat echo env false hostname id ln ls mkdir pwd rm sh sleep stat touch true tty wc";
/// Longer than any line of a script takes.
const SECONDS: &str = "120";

/// One of the two. Dropping it leaves nothing.
pub(crate) struct Engine {
    host: String,
    directory: TempDir,
    _daemon: Daemon,
}

#[expect(dead_code, reason = "they are held for their end")]
enum Daemon {
    Ours(Longshored),
    Reference(Dockerd),
}

impl Engine {
    pub(crate) fn ours() -> Self {
        let daemon = Longshored::start();
        let host = format!("unix://{}", daemon.socket().display());
        Self::with(host, Daemon::Ours(daemon))
    }

    pub(crate) fn reference() -> Self {
        let daemon = Dockerd::start();
        let host = format!("unix://{}", daemon.dir().join("sock").display());
        Self::with(host, Daemon::Reference(daemon))
    }

    fn with(host: String, daemon: Daemon) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = Self { host, directory, _daemon: daemon };
        let rootfs = engine.directory.path().join("rootfs");
        fill(&rootfs);
        let done = engine.run(
            "tar -C rootfs --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1 -c . > box.tar && docker import \
             -c 'ENV PATH=/bin' -c 'CMD [\"/bin/sh\"]' box.tar box:latest && rm -r rootfs box.tar && mkdir \"$DOCKER_CONFIG\"",
        );
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        engine
    }

    /// Runs a line with the shell.
    pub(crate) fn run(&self, line: &str) -> Output {
        testkit::require!(tool::has("docker"), "docker is not installed");
        let mut command = Command::new("timeout");
        command.args(["-k", "5", SECONDS, "sh", "-c", line]);
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("DOCKER_HOST", &self.host).env_remove("DOCKER_CONTEXT").env("TZ", "UTC");
        command.env("DOCKER_CONFIG", self.directory.path().join(".docker"));
        command.output().expect("a shell")
    }

    /// What is different in the names of the two.
    pub(crate) fn place(&self) -> &Path {
        self.directory.path()
    }
}

/// A root file system of busybox.
fn fill(root: &Path) {
    for name in ["bin", "etc", "tmp", "dev", "proc", "sys", "data"] {
        std::fs::create_dir_all(root.join(name)).expect("directories");
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("a static busybox");
    for applet in APPLETS.split(' ') {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a link");
    }
    let mut passwd = std::fs::File::create(root.join("etc/passwd")).expect("a file");
    passwd.write_all(b"root:x:0:0:root:/:/bin/sh\nwww:x:33:34::/:/bin/sh\n").expect("written");
    std::fs::write(root.join("data/file"), "data\n").expect("a file");
    std::os::unix::fs::symlink("/data", root.join("link")).expect("a link");
}
