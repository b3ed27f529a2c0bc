//! A container made by `create`, deleted when dropped.

use crate::bed::Bed;
use crate::bundle::Bundle;
use crate::invocation::{Invocation, Output};
use crate::wait;
use serde_json::Value;
use std::cell::RefCell;
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A created container. Its standard output comes through a pipe, line by line.
#[derive(Debug)]
pub struct Container<'b> {
    bed: &'b Bed,
    id: String,
    stdout: RefCell<(PipeReader, Vec<u8>)>,
    init: Option<OwnedFd>,
}

impl<'b> Container<'b> {
    pub(crate) fn create(bed: &'b Bed, bundle: &Bundle, options: &[&str]) -> Result<Container<'b>, Output> {
        let id = bed.container_id();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let create = bed.runtime(&["create"]).args(options).arg("--bundle").arg(bundle.dir()).arg(&id);
        let output = create.stdout(writer).output();
        if output.code != 0 {
            return Err(output);
        }
        let mut container = Container { bed, id, stdout: RefCell::new((reader, Vec::new())), init: None };
        container.init = wait::handle(container.pid());
        Ok(container)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A runtime command with the id as its last argument: `kill`, with `["--all"]`, and so on.
    pub fn call(&self, command: &str, options: &[&str]) -> Invocation {
        self.bed.runtime(&[command]).args(options).arg(&self.id)
    }

    /// `start`.
    pub fn start(&self) -> Output {
        self.call("start", &[]).output()
    }

    /// `state`, which has to succeed.
    #[track_caller]
    pub fn state(&self) -> Value {
        self.call("state", &[]).output().ok().json()
    }

    /// The status that `state` gives.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Pid of its init, as the host sees it.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let state = self.state();
        let pid = state["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {state}"));
        i32::try_from(pid).expect("a pid")
    }

    /// `kill`.
    pub fn kill(&self, signal: &str) -> Output {
        self.call("kill", &[]).arg(signal).output()
    }

    /// `exec` of arguments.
    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_with(&[], args)
    }

    /// `exec` with options before the id.
    pub fn exec_with(&self, options: &[&str], args: &[&str]) -> Output {
        self.call("exec", options).args(args).output()
    }

    /// `exec --detach`: a process that goes on. It is killed and collected when dropped.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn exec_detached(&self, options: &[&str], args: &[&str]) -> Detached {
        let pid_file = self.bed.dir().join(format!("{}-exec-pid", self.id));
        let call = self.bed.runtime(&["exec", "--detach", "--pid-file"]).arg(&pid_file).args(options);
        call.arg(&self.id).args(args).output().ok();
        let text = std::fs::read_to_string(&pid_file).expect("the pid file");
        let pid = text.parse().expect("a pid");
        Detached { pid, handle: wait::handle(pid).expect("a process of ours, uncollected") }
    }

    /// `delete`.
    pub fn delete(&self) -> Output {
        self.call("delete", &[]).output()
    }

    /// `delete --force`.
    pub fn delete_force(&self) -> Output {
        self.call("delete", &["--force"]).output()
    }

    /// The next line of its standard output, without the end of line.
    ///
    /// # Panics
    /// If none comes in time or the output ends before.
    #[track_caller]
    pub fn line(&self) -> String {
        let mut guard = self.stdout.borrow_mut();
        let (reader, buffer) = &mut *guard;
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(wait::readable(reader.as_fd(), wait::patience()), "{} wrote nothing more", self.id);
            let mut chunk = [0; 65536];
            let count = reader.read(&mut chunk).expect("read a pipe");
            assert_ne!(count, 0, "{} closed its output after {:?}", self.id, String::from_utf8_lossy(buffer));
            buffer.extend_from_slice(&chunk[..count]);
        }
    }

    /// Waits until its init has ended and collects it: exit code, or 128 and the signal.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        self.wait_within(wait::patience()).unwrap_or_else(|| panic!("{} did not end", self.id))
    }

    /// Like [`Container::wait`], with a limit of the caller's.
    pub fn wait_within(&self, limit: Duration) -> Option<i32> {
        let init = self.init.as_ref().expect("an init");
        wait::wait_for_exit(init, limit).then(|| wait::collect(init).unwrap_or(-1))
    }
}

/// A process that `exec --detach` left running.
#[derive(Debug)]
pub struct Detached {
    /// Its pid, as the host sees it.
    pub pid: i32,
    handle: OwnedFd,
}

impl Drop for Detached {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = rustix::process::pidfd_send_signal(&self.handle, rustix::process::Signal::KILL);
        if wait::wait_for_exit(&self.handle, wait::patience() / 6) {
            wait::collect(&self.handle);
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.delete_force();
        if let Some(init) = &self.init
            && wait::wait_for_exit(init, wait::patience() / 6)
        {
            wait::collect(init);
        }
    }
}
