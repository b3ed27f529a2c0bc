//! `longshored`: serves Docker's Engine API on sockets.

mod app;
mod http;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

use crate::app::App;

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
    /// Sockets to listen on
    #[arg(short = 'H', long = "host", default_value = "unix:///run/longshore/longshore.sock")]
    hosts: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(flags))
}

async fn serve(flags: Flags) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    let runtime = own.with_file_name("longshore-runtime");
    let app = App::open(&flags.data_root, &flags.exec_root, runtime).await?;
    let host = flags.hosts.first().context("no socket to listen on")?;
    let path = host.strip_prefix("unix://").with_context(|| format!("cannot listen on {host}"))?;
    let listener = tokio::net::UnixListener::bind(path).with_context(|| format!("listen on {path}"))?;
    axum::serve(listener, http::router(app)).await?;
    Ok(())
}
