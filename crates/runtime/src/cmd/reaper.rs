//! The first process of a container that asked for an init: `docker-init [--] program [argument…]`.
//!
//! This program, mounted into the container under that name. It runs the program in a process group of its own, hands
//! signals on to it, reaps whoever became an orphan, and ends as the program did. Nothing of the host is read, and no
//! flag but `--` is known: what follows is the container's.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command},
};

use longshore_sys::{event, pidfd};
use rustix::{
    event::{PollFd, PollFlags},
    process::{Pid, Signal, WaitOptions},
};

/// The name under which this program is an init.
const NAME: &str = "docker-init";

/// Signals that tell a program of its own mistakes, or cannot be caught; and those of a terminal, which stop whoever
/// uses it from the background.
const OWN: [i32; 11] = [4, 5, 6, 7, 8, 9, 11, 19, 21, 22, 31];
const CHILD: i32 = 17;
const LAST: i32 = 64;
/// The C library's own.
const RESERVED: [i32; 2] = [32, 33];

/// Whether this call is one of an init.
pub(crate) fn is_called(name: &OsString) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == NAME)
}

/// Runs the program of the container. Returns the exit code.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> u8 {
    let mut words = words.skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        say("no program to run");
        return 1;
    };
    match serve(&program, words) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("exec {} failed: {error}", program.to_string_lossy()));
            match error.kind() {
                io::ErrorKind::NotFound => 127,
                io::ErrorKind::PermissionDenied => 126,
                _ => 1,
            }
        }
    }
}

fn say(text: &str) {
    writeln!(io::stderr(), "{NAME}: {text}").ok();
}

fn serve(program: &OsString, arguments: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let signals: Vec<i32> =
        (1..=LAST).filter(|signal| !OWN.contains(signal) && !RESERVED.contains(signal)).collect();
    // From here on they wait to be read; the program begins with none blocked.
    event::block_signals(&signals)?;
    event::block_signals(&[21, 22])?;
    let queue = event::signalfd(&signals)?;
    let child = Command::new(program).args(arguments).process_group(0).spawn()?;
    let Some(pid) = pid_of(&child) else { return Ok(1) };
    let handle = pidfd::open(pid.as_raw_nonzero().get())?;
    give_terminal(pid);
    loop {
        let mut ready = [PollFd::new(&queue, PollFlags::IN)];
        match rustix::event::poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Some(signal) = event::read_signal(queue.as_fd())? {
            if signal.signal != CHILD {
                pidfd::send_signal(handle.as_fd(), signal.signal).ok();
            }
        }
        if let Some(code) = reap(pid) {
            return Ok(code);
        }
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The program is in the foreground of its terminal, where it has one. Had it read before that, it was stopped.
fn give_terminal(pid: Pid) {
    if rustix::termios::tcsetpgrp(rustix::stdio::stdin(), pid).is_ok() {
        rustix::process::kill_process(pid, Signal::CONT).ok();
    }
}

/// Takes the ends of all that have ended. Says how the program did, if it is among them.
fn reap(program: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid != program {
            continue;
        }
        if let Some(exit) = status.exit_status() {
            code = u8::try_from(exit).ok();
        } else if let Some(signal) = status.terminating_signal() {
            code = u8::try_from(128 + signal).ok();
        }
    }
    code
}
