//! A server of others' making that lives as long as a test, and no longer.
//!
//! A small shell is the server's parent. It ends the server as soon as the pipe from us closes, so
//! that nothing listens any more once the test is gone, however it went. The server is ready when a
//! line of its log says so.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Starts the server, waits for the end of standard input, ends the server and waits for it.
const SCRIPT: &str = r#"
"$@" </dev/null &
exec >/dev/null 2>&1
read -r _
kill $!
wait
"#;

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    log: Arc<Mutex<String>>,
}

impl Keeper {
    /// Starts `args` and returns when `is_ready` is true of a line of its standard error.
    ///
    /// # Panics
    /// If it ends before, with what it said.
    pub(crate) fn start(args: &[&str], mut is_ready: impl FnMut(&str) -> bool) -> Keeper {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut shell = command.spawn().expect("a shell");
        let stderr = shell.stderr.take().expect("it is a pipe");
        let keeper = Keeper { shell, log: Arc::default() };

        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = String::new();
        loop {
            let Some(line) = lines.next() else { panic!("{args:?} does not start:\n{said}") };
            writeln!(said, "{line}").expect("a string");
            if is_ready(&line) {
                break;
            }
        }
        let log = Arc::clone(&keeper.log);
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&said);
        std::thread::spawn(move || {
            for line in lines {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        keeper
    }

    /// What the server has written to its log.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the shell that we started");
    }
}
