//! Bundles: a root file system with the probe and busybox, and a spec to edit.

use crate::bed::{Bed, profile_dir};
use crate::identity;
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A bundle on disk. Every edit of the spec is written at once.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    spec: Value,
}

const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "chown", "cp", "dd", "echo", "env", "false", "find", "grep", "head", "hostname",
    "id", "kill", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount", "mv", "ps", "readlink", "rm", "rmdir",
    "sed", "setsid", "sh", "sleep", "stat", "stty", "sync", "test", "touch", "tr", "true", "tty", "umount",
    "wc",
];

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n1000:x:0:0:trap:/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n";

impl Bundle {
    pub(crate) fn new(dir: &Path, bed: &Bed) -> Bundle {
        let rootfs = dir.join("rootfs");
        for name in ["bin", "dev", "etc", "home/user", "mnt", "proc", "root", "sys", "tmp", "var"] {
            fs::create_dir_all(rootfs.join(name)).expect("root file system");
        }
        let busybox = Path::new("/bin/busybox");
        crate::require!(busybox.is_file(), "no /bin/busybox: install the package busybox-static");
        copy_program(busybox, &rootfs.join("bin/busybox"));
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).expect("link to busybox");
        }
        let probe = profile_dir().join("probe");
        crate::require!(probe.is_file(), "{} is not there: build package testkit", probe.display());
        copy_program(&probe, &rootfs.join("probe"));
        fs::write(rootfs.join("etc/passwd"), PASSWD).expect("root file system");
        fs::write(rootfs.join("etc/group"), GROUP).expect("root file system");
        let mut bundle = Bundle { dir: dir.to_owned(), spec: identity::spec(bed.has_namespace("time")) };
        bundle.set("/linux/cgroupsPath", json!(format!("/{}-{}", bed.id(), file_name(dir))));
        bundle
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path inside its root file system, as the host sees it.
    pub fn rootfs(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path.trim_start_matches('/'))
    }

    /// The spec.
    pub fn spec(&self) -> &Value {
        &self.spec
    }

    /// Replaces what a JSON pointer names, making objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Bundle {
        *self.at(pointer) = value;
        self.write();
        self
    }

    /// Appends to the array that a JSON pointer names, making it if there is none.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Bundle {
        match self.at(pointer) {
            Value::Array(list) => list.push(value),
            other => *other = json!([value]),
        }
        self.write();
        self
    }

    /// Removes the member that a JSON pointer names.
    pub fn remove(&mut self, pointer: &str) -> &mut Bundle {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        if let Value::Object(members) = self.at(parent) {
            members.remove(name);
        }
        self.write();
        self
    }

    /// Keeps the entries of an array for which `keep` holds.
    pub fn retain(&mut self, pointer: &str, keep: impl Fn(&Value) -> bool) -> &mut Bundle {
        if let Value::Array(list) = self.at(pointer) {
            list.retain(keep);
        }
        self.write();
        self
    }

    /// Sets the process's arguments.
    pub fn args(&mut self, args: &[&str]) -> &mut Bundle {
        self.set("/process/args", json!(args))
    }

    /// Makes the process a shell script.
    pub fn sh(&mut self, script: &str) -> &mut Bundle {
        self.args(&["/bin/sh", "-c", script])
    }

    /// Leaves a namespace out: the container stays in the caller's.
    pub fn without_namespace(&mut self, kind: &str) -> &mut Bundle {
        self.retain("/linux/namespaces", |namespace| namespace["type"] != kind)
    }

    /// Joins a namespace by path.
    pub fn join_namespace(&mut self, kind: &str, path: impl AsRef<Path>) -> &mut Bundle {
        self.without_namespace(kind);
        self.push("/linux/namespaces", json!({ "type": kind, "path": path.as_ref() }))
    }

    /// Adds a mount.
    pub fn mount(
        &mut self,
        destination: &str,
        kind: &str,
        source: impl AsRef<Path>,
        options: &[&str],
    ) -> &mut Bundle {
        let mount = json!({ "destination": destination, "type": kind, "source": source.as_ref(), "options": options });
        self.push("/mounts", mount)
    }

    /// Removes the mount at a destination.
    pub fn without_mount(&mut self, destination: &str) -> &mut Bundle {
        self.retain("/mounts", |mount| mount["destination"] != destination)
    }

    /// Its cgroup, relative to the root of each hierarchy.
    pub fn cgroup(&self) -> &str {
        self.spec["linux"]["cgroupsPath"].as_str().unwrap_or_default()
    }

    /// Replaces the file `config.json` by any text, until the next edit.
    pub fn write_raw(&self, text: impl AsRef<[u8]>) {
        fs::write(self.dir.join("config.json"), text).expect("write the spec");
    }

    fn write(&self) {
        self.write_raw(serde_json::to_vec_pretty(&self.spec).expect("a JSON value"));
    }

    fn at(&mut self, pointer: &str) -> &mut Value {
        let mut value = &mut self.spec;
        for name in pointer.split('/').skip(1) {
            value = match value {
                Value::Array(list) => {
                    let index: usize = name.parse().expect("an index");
                    list.get_mut(index).expect("an entry of the array")
                }
                Value::Object(members) => members.entry(name).or_insert(Value::Null),
                other => {
                    *other = Value::Object(Map::new());
                    other.as_object_mut().expect("just made").entry(name).or_insert(Value::Null)
                }
            };
        }
        value
    }
}

fn copy_program(from: &Path, to: &Path) {
    crate::write_programs(|| fs::copy(from, to)).expect("copy a program");
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}
