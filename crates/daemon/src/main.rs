//! `longshored`: serves Docker's Engine API on sockets.

mod app;
mod http;
mod listen;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    app::App,
    listen::{Address, Group, Listener},
};

/// The socket of `unix://` alone.
const SOCKET: &str = "/run/longshore/longshore.sock";
/// How long requests under way have to be answered when the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

/// What the command line says.
#[derive(Debug, Parser)]
#[command(name = "longshored", version, about = "A container engine that serves Docker's API")]
struct Flags {
    /// Where images, containers and volumes are kept
    #[arg(long, default_value = "/var/lib/longshore")]
    data_root: PathBuf,
    /// Where what lasts until the next boot is kept
    #[arg(long, default_value = "/run/longshore")]
    exec_root: PathBuf,
    /// Where to write this process's ID
    #[arg(short, long)]
    pidfile: Option<PathBuf>,
    /// Settings as JSON
    #[arg(long, default_value = "/etc/longshore/daemon.json")]
    config_file: PathBuf,
    /// Group of the Unix socket
    #[arg(short = 'G', long)]
    group: Option<String>,
    /// Sockets to listen on
    #[arg(short = 'H', long = "host", default_value = "unix://")]
    hosts: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let group = flags.group.clone().map_or(Group::Default, Group::Named);
    let listener = |host: &String| -> anyhow::Result<Listener> {
        match Address::parse(host, false, SOCKET)? {
            Address::Unix(path) => Ok(Listener::unix(&path, &group)?),
            Address::Tcp(_) | Address::Inherited(_) => anyhow::bail!("cannot listen on {host}"),
        }
    };
    let listeners = flags.hosts.iter().map(listener).collect::<anyhow::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let served = runtime.block_on(serve(flags, listeners));
    // What still blocks a thread ends with the process.
    runtime.shutdown_background();
    served
}

async fn serve(flags: Flags, listeners: Vec<Listener>) -> anyhow::Result<()> {
    let end = watch::Sender::new(false);
    let own = std::env::current_exe().context("find this program")?;
    let runtime = own.with_file_name("longshore-runtime");
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::open(&flags.data_root, &flags.exec_root, runtime).await?;
    for host in &flags.hosts {
        tracing::info!("API listen on {host}");
    }
    let ended = end.subscribe();
    let serving = tokio::spawn(listen::serve(listeners, None, http::router(app), ended, GRACE));
    tokio::select! {
        _ = terminate.recv() => tracing::info!("ending: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("ending: SIGINT"),
    }
    end.send_replace(true);
    Ok(serving.await??)
}
