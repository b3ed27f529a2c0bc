//! The bundle that runtimes are compared on: a static busybox and the spec that `spec` writes.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// A bundle on disk.
#[derive(Debug)]
pub struct Bundle {
    pub path: PathBuf,
}

impl Bundle {
    /// Makes a bundle in `parent` whose process is `args`, with the default spec of `runtime spec`.
    pub fn new(parent: &Path, runtime: &Path, args: &[&str]) -> io::Result<Self> {
        let path = parent.join("bundle");
        let rootfs = path.join("rootfs");
        for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(rootfs.join(directory))?;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
        let busybox = busybox.ok_or_else(|| io::Error::other("no busybox: install busybox-static"))?;
        fs::copy(busybox, rootfs.join("bin/busybox"))?;
        for applet in ["true", "sh", "sleep", "echo", "cat", "id"] {
            symlink("busybox", rootfs.join("bin").join(applet))?;
        }
        let output = Command::new(runtime).arg("spec").current_dir(&path).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("spec: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let bundle = Self { path };
        bundle.change(|spec| {
            spec["process"]["args"] = json!(args);
            spec["process"]["terminal"] = json!(false);
            // Older runtimes refuse the version of a newer specification.
            spec["ociVersion"] = json!("1.0.2");
        })?;
        Ok(bundle)
    }

    /// Changes its `config.json`.
    pub fn change(&self, change: impl FnOnce(&mut Value)) -> io::Result<()> {
        let file = self.path.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file)?)?;
        change(&mut spec);
        fs::write(file, serde_json::to_vec_pretty(&spec)?)
    }
}
