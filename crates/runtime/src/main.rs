//! `longshore-runtime`: the OCI runtime's command line. Under the name `docker-init`, a container's init.

#![cfg_attr(not(test), no_main)]

mod cmd;

#[cfg(not(test))]
longshore_sys::entry!(start);

/// The exit code of this call.
#[cfg_attr(test, expect(dead_code, reason = "the tests have an entry point of their own"))]
fn start() -> u8 {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    if cmd::reaper::is_called(&own) {
        return cmd::reaper::run(words);
    }
    cmd::main(words)
}
