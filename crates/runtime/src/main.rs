//! `longshore-runtime`: the OCI runtime's command line.

mod cmd;

use std::process::ExitCode;

fn main() -> ExitCode {
    cmd::main(std::env::args_os().skip(1))
}
