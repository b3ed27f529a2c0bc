//! The place of one test: its id, directory, runtime and what must be gone in the end.

use crate::bundle::Bundle;
use crate::container::Container;
use crate::invocation::{self, Invocation, Output};
use crate::ledger::Ledger;
use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The place of one test. Dropping it deletes all containers and checks the ledger.
#[derive(Debug)]
pub struct Bed {
    id: String,
    dir: PathBuf,
    program: PathBuf,
    ledger: Ledger,
    calls: AtomicUsize,
    containers: AtomicUsize,
    features: OnceLock<Value>,
}

impl Bed {
    /// Makes a place for the test `name` (a few letters).
    ///
    /// # Panics
    /// If the machine cannot run black-box tests, with the reason.
    pub fn new(name: &str) -> Bed {
        static BEDS: AtomicUsize = AtomicUsize::new(0);

        crate::require!(rustix::process::geteuid().is_root(), "it needs root");
        // Orphans of the runtime, the containers above all, come to us, and we collect them.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("any process may");
        let id = format!("ls-{name}-{}-{}", std::process::id(), BEDS.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(&id);
        fs::create_dir_all(dir.join("root")).expect("directory of the test");
        let ledger = Ledger::new(&id, &dir);
        Bed {
            id,
            dir,
            program: program_under_test(),
            ledger,
            calls: AtomicUsize::new(0),
            containers: AtomicUsize::new(0),
            features: OnceLock::new(),
        }
    }

    /// The id that every name of this test carries.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A directory of this test's own.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The runtime's state directory.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whether the program under test is the product and not a reference.
    pub fn is_product(&self) -> bool {
        self.program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("longshore"))
    }

    /// Prints a line of the test's own.
    #[expect(clippy::print_stderr, reason = "what a person reads of a test")]
    pub fn say(&self, text: fmt::Arguments<'_>) {
        eprintln!("{}: {text}", self.id);
    }

    /// A bundle with the default identity and a root file system of its own.
    pub fn bundle(&self) -> Bundle {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        Bundle::new(&self.dir.join(format!("bundle-{number}")), self)
    }

    /// A fresh container id.
    pub fn container_id(&self) -> String {
        format!("{}-c{}", self.id, self.containers.fetch_add(1, Ordering::Relaxed))
    }

    /// A call of any program in this test's place.
    pub fn call(&self, program: impl AsRef<Path>) -> Invocation {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.dir.join(format!("call-{number}.{kind}"));
        let mut command = Command::new(program.as_ref());
        command.env("LONGSHORE_TEST_ID", &self.id);
        Invocation::new(command, file("out"), file("err"))
    }

    /// A call of the runtime with this test's state directory.
    pub fn runtime(&self, args: &[&str]) -> Invocation {
        self.call(&self.program).arg("--root").arg(self.root()).args(args)
    }

    /// `run`, in the foreground, of a container that ends by itself.
    pub fn run(&self, bundle: &Bundle) -> Output {
        self.run_with(bundle, &[])
    }

    /// `run` with more options.
    pub fn run_with(&self, bundle: &Bundle, options: &[&str]) -> Output {
        let id = self.container_id();
        self.runtime(&["run"]).args(options).arg("--bundle").arg(bundle.dir()).arg(&id).output()
    }

    /// Runs the probe with these arguments as the bundle's process.
    #[track_caller]
    pub fn probe(&self, bundle: &Bundle, args: &[&str]) -> Output {
        let mut bundle = bundle.clone();
        bundle.args(&[&["/probe"], args].concat());
        self.run(&bundle)
    }

    /// `create`.
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub fn create(&self, bundle: &Bundle) -> Container<'_> {
        match Container::create(self, bundle, &[]) {
            Ok(container) => container,
            Err(output) => panic!("create: {output:?}"),
        }
    }

    /// `create` with more options, which may fail.
    pub fn try_create(&self, bundle: &Bundle, options: &[&str]) -> Result<Container<'_>, Output> {
        Container::create(self, bundle, options)
    }

    /// `create` and `start`.
    ///
    /// # Panics
    /// If one of them fails.
    #[track_caller]
    pub fn start(&self, bundle: &Bundle) -> Container<'_> {
        let container = self.create(bundle);
        container.start().ok();
        container
    }

    /// What the runtime says it can do.
    pub fn features(&self) -> &Value {
        self.features.get_or_init(|| self.runtime(&["features"]).output().ok().json())
    }

    /// Whether the runtime says that it knows this kind of namespace.
    pub fn has_namespace(&self, kind: &str) -> bool {
        let features = self.features();
        let kinds = features["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
        kinds.iter().any(|known| known == kind)
    }

    /// Waits for the processes that the runtime left to their end, and collects them.
    ///
    /// # Panics
    /// If one of them goes on.
    #[track_caller]
    pub fn settle(&self) {
        let left = self.ledger.settled_processes();
        assert!(left.is_empty(), "{} still run: {left:?}", self.id);
    }

    /// Deletes every container that the state directory holds.
    fn delete_all(&self) {
        for entry in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            if id.starts_with(&self.id) {
                self.runtime(&["delete", "--force", &id]).output();
            }
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.delete_all();
        let left = self.ledger.left();
        if std::thread::panicking() {
            self.say(format_args!("kept {} of the failed test", self.dir.display()));
            if !left.is_empty() {
                self.say(format_args!("and it left {left:#?}"));
            }
            match invocation::failed() {
                story if story.is_empty() => {}
                story => self.say(format_args!("the call that failed:{story}")),
            }
            self.ledger.clean();
            return;
        }
        if !left.is_empty() {
            self.ledger.clean();
            panic!("{} left behind: {left:#?}", self.id);
        }
        fs::remove_dir_all(&self.dir).expect("directory of the test");
    }
}

/// The directory with the programs of the profile that this test was built in.
pub(crate) fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let deps = test.parent().expect("a directory");
    if deps.ends_with("deps") { deps.parent().expect("a directory").to_owned() } else { deps.to_owned() }
}

fn program_under_test() -> PathBuf {
    let chosen = std::env::var_os("LONGSHORE_TEST_RUNTIME").map(PathBuf::from);
    let program = chosen.unwrap_or_else(|| profile_dir().join("longshore-runtime"));
    crate::require!(
        program.is_file(),
        "{} is not there: build it, or name another one in LONGSHORE_TEST_RUNTIME",
        program.display()
    );
    program.canonicalize().expect("a file")
}
