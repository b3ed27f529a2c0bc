//! What daemons are asked to do, through the API.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use longshore_benches::{served::Served, wire::Connection};
use serde_json::{Value, json};

/// The name that podman gives an import, whatever it is asked.
pub(crate) const IMAGE: &str = "busybox:latest";
/// How many requests are under way in a burst.
const PARALLEL: usize = 16;

/// Makes the root file system of the image in `rootfs`, and gives its tar archive.
pub(crate) fn image(rootfs: &Path) -> io::Result<Vec<u8>> {
    for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(directory))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.ok_or_else(|| io::Error::other("no busybox: install busybox-static"))?;
    fs::copy(busybox, rootfs.join("bin/busybox"))?;
    for applet in ["true", "sh", "sleep", "yes", "head"] {
        symlink("busybox", rootfs.join("bin").join(applet))?;
    }
    let output = Command::new("tar").arg("-C").arg(rootfs).args(["-c", "."]).output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(io::Error::other("tar failed")) }
}

/// Imports the image.
pub(crate) fn import(connection: &mut Connection, tar: &[u8]) -> io::Result<()> {
    let path = "/images/create?fromSrc=-&repo=busybox&tag=latest";
    connection.call("POST", path, Some(("application/x-tar", tar)))?;
    connection.ask("GET", &format!("/images/{IMAGE}/json"))?;
    Ok(())
}

/// A container without a network.
pub(crate) fn config(command: &[&str]) -> Value {
    json!({ "Image": IMAGE, "Cmd": command, "HostConfig": { "NetworkMode": "none" } })
}

/// Makes a container, and gives its ID.
pub(crate) fn create(connection: &mut Connection, config: &Value) -> io::Result<String> {
    text(&connection.post("/containers/create", config)?, "Id")
}

pub(crate) fn start(connection: &mut Connection, id: &str) -> io::Result<()> {
    connection.ask("POST", &format!("/containers/{id}/start")).map(drop)
}

/// Waits for the end, which must be a good one.
pub(crate) fn wait(connection: &mut Connection, id: &str) -> io::Result<()> {
    let answer = connection.ask("POST", &format!("/containers/{id}/wait"))?;
    let answer: Value = serde_json::from_slice(&answer)?;
    if answer["StatusCode"] == 0 { Ok(()) } else { Err(io::Error::other(format!("wait: {answer}"))) }
}

pub(crate) fn remove(connection: &mut Connection, id: &str) -> io::Result<()> {
    connection.ask("DELETE", &format!("/containers/{id}?force=1")).map(drop)
}

/// Create, start, wait, remove.
pub(crate) fn life_cycle(connection: &mut Connection) -> io::Result<()> {
    let id = create(connection, &config(&["true"]))?;
    start(connection, &id)?;
    wait(connection, &id)?;
    remove(connection, &id)
}

/// Create, start with its output (on a connection of its own, as clients do), inspect until it has ended.
pub(crate) fn exec(daemon: &Served, connection: &mut Connection, container: &str) -> io::Result<()> {
    let asked = json!({ "Cmd": ["true"], "AttachStdout": true, "AttachStderr": true });
    let id = text(&connection.post(&format!("/containers/{container}/exec"), &asked)?, "Id")?;
    let body = br#"{"Detach":false,"Tty":false}"#;
    let path = format!("/exec/{id}/start");
    daemon.connect()?.call("POST", &path, Some(("application/json", body)))?;
    loop {
        let state: Value = serde_json::from_slice(&connection.ask("GET", &format!("/exec/{id}/json"))?)?;
        match (state["Running"].as_bool(), state["ExitCode"].as_i64()) {
            (Some(true), _) => thread::yield_now(),
            (Some(false), Some(0)) => return Ok(()),
            _ => return Err(io::Error::other(format!("inspect of an exec: {state}"))),
        }
    }
}

/// `docker run --rm` with the stock client.
pub(crate) fn run(daemon: &Served) -> io::Result<()> {
    let output = daemon.docker(&["run", "--rm", "--network", "none", IMAGE, "true"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(io::Error::other(said.trim().to_owned())) }
}

/// Does something for each ID, 16 at a time, each on a connection of its own; what it took.
pub(crate) fn in_parallel(
    daemon: &Served,
    ids: &[String],
    work: impl Fn(&mut Connection, &str) -> io::Result<()> + Sync,
) -> io::Result<Duration> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let one = || -> io::Result<()> {
        let mut connection = daemon.connect()?;
        while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&mut connection, id)?;
        }
        Ok(())
    };
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                if let (Err(error), Ok(mut failed)) = (one(), failed.lock()) {
                    *failed = Some(error);
                }
            });
        }
    });
    let took = began.elapsed();
    match failed.into_inner() {
        Ok(None) => Ok(took),
        Ok(Some(error)) => Err(error),
        Err(_) => Err(io::Error::other("a thread of the burst panicked")),
    }
}

fn text(answer: &Value, field: &str) -> io::Result<String> {
    let text = answer[field].as_str().ok_or_else(|| io::Error::other(format!("no {field}: {answer}")))?;
    Ok(text.to_owned())
}
