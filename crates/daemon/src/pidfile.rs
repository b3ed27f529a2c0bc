//! The file with this process's ID.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file, removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    #[error("process with PID {pid} is still running: it is the daemon of {}, or remove that file", path.display())]
    Running { pid: u32, path: PathBuf },
    #[error("write the PID to {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl PidFile {
    /// Writes it, unless it names a process that is alive.
    pub(crate) fn write(path: &Path) -> Result<Self, PidFileError> {
        let named = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(pid) = named.filter(|pid| *pid != std::process::id())
            && Path::new(&format!("/proc/{pid}")).exists()
        {
            return Err(PidFileError::Running { pid, path: path.into() });
        }
        let failed = |source| PidFileError::Write { path: path.into(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(path, std::process::id().to_string()).map_err(failed)?;
        Ok(Self(path.into()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}
