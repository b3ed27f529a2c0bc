//! The start of a program without the standard library's.
//!
//! That one asks the kernel for the stack's bounds (it reads `/proc/self/maps`), installs handlers that tell
//! of an overflown stack, and makes a stack for those: a tenth of a millisecond for a program that is
//! executed twice per call. What it does besides stays done: descriptors 0 to 2 are open, and a broken pipe is an
//! error, no signal. An overflow of the stack ends the program all the same, by the kernel's guard page.

use std::io::Write;

/// Defines the program's `main` as a call of a `fn() -> u8`, which gives the exit code. The crate has to
/// be `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: the one definition of `main` in this program, of the type that the C library calls.
        #[unsafe(no_mangle)]
        extern "C" fn main() -> ::core::ffi::c_int {
            let main: fn() -> u8 = $main;
            $crate::entry::run(main)
        }
    };
}

/// Runs `main` in a process that was set up for it.
pub fn run(main: fn() -> u8) -> i32 {
    open_standard_descriptors();
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let code = main();
    // Nobody is left to tell.
    std::io::stdout().flush().ok();
    code.into()
}

/// Opens `/dev/null` in place of standard descriptors that are closed: what is opened first would take
/// their numbers, and get what is meant for them.
fn open_standard_descriptors() {
    for number in 0..=2 {
        // SAFETY: integers alone.
        while unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
            // SAFETY: a C string and an integer. It gets the lowest number, which is this one or below.
            if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } < 0 {
                std::process::abort();
            }
        }
    }
}
