//! `longshore-runtime`: the OCI runtime's command line. Under the name `docker-init`, a container's init.

#![cfg_attr(not(test), no_main)]

mod cmd;

#[cfg(not(test))]
longshore_sys::entry!(start);

/// The exit code of this call.
#[cfg_attr(test, expect(dead_code, reason = "the tests have an entry point of their own"))]
fn start() -> u8 {
    // Between a fork and an exec nobody may go on after a panic, and a monitor that lost its thread is to be found dead.
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    if cmd::reaper::is_called(&own) {
        return cmd::reaper::run(words);
    }
    cmd::main(words)
}
