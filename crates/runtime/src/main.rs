//! `longshore-runtime`: the OCI runtime's command line.

#![cfg_attr(not(test), no_main)]

mod cmd;

#[cfg(not(test))]
longshore_sys::entry!(start);

/// The exit code of this call.
#[cfg_attr(test, expect(dead_code, reason = "the tests have an entry point of their own"))]
fn start() -> u8 {
    cmd::main(std::env::args_os().skip(1))
}
