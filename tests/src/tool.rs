//! Running other people's tools.

use std::path::PathBuf;
use std::process::Command;

/// Whether a program is to be found in `PATH`.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| dir.join(program).is_file())
}

/// Runs a tool that must succeed; returns what it wrote to standard output.
///
/// # Panics
/// If it fails, with what it said.
#[track_caller]
pub fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs a tool that must succeed.
///
/// # Panics
/// If it fails, with what it said.
#[track_caller]
pub fn run(command: &mut Command) {
    output(command);
}

/// `skopeo SUBCOMMAND`, trusting every image, and every registry without TLS. What it remembers of
/// blobs is forgotten with the directory `memory`, so that it copies what is there and nothing else.
pub fn skopeo(subcommand: &str, memory: &std::path::Path) -> Command {
    crate::require!(has("skopeo"), "skopeo is not installed");
    let mut command = Command::new("skopeo");
    // Makes it look for its memory below XDG_DATA_HOME, as for any user but root.
    command.env("_CONTAINERS_ROOTLESS_UID", "1");
    command.env("XDG_DATA_HOME", memory).env("XDG_RUNTIME_DIR", memory);
    command.args(["--insecure-policy", subcommand]);
    match subcommand {
        "copy" => command.args(["--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]),
        _ => command.arg("--tls-verify=false"),
    };
    command
}
