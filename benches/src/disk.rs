//! A fresh ext4 in a preallocated file, mounted by loop device.
//!
//! The root file system of a machine that has run for a while may search long for a free inode; two
//! runtimes compared on it would be measured by their order.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The mounted file system; unmounted and deleted when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    path: PathBuf,
}

impl Disk {
    /// Makes one of `megabytes` in the temporary directory.
    pub fn new(name: &str, megabytes: u32) -> io::Result<Self> {
        let base = std::env::temp_dir().join(format!("longshore-bench-{name}-{}", std::process::id()));
        let image = base.with_extension("img");
        std::fs::create_dir_all(&base)?;
        let disk = Self { image: image.clone(), path: base.clone() };
        run(Command::new("fallocate").arg("-l").arg(format!("{megabytes}M")).arg(&image))?;
        run(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&base))?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(&self.path)).ok();
        std::fs::remove_file(&self.image).ok();
        std::fs::remove_dir(&self.path).ok();
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}", text.trim())))
}
