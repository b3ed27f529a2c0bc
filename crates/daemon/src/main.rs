//! `longshored`: serves Docker's Engine API on sockets.

mod app;
mod config;
mod http;
mod listen;
mod log;
mod metrics;
mod pidfile;
mod reload;
mod system;

use std::{io::Write, sync::Arc, time::Duration};

use anyhow::Context;
use rustix::process::{Resource, Rlimit};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    app::App,
    config::{Config, ConfigError},
    listen::{Address, Group, Listener},
    log::Level,
    pidfile::PidFile,
};

/// The socket of `unix://` alone.
const SOCKET: &str = "/run/longshore/longshore.sock";
/// How long requests under way have to be answered when the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<()> {
    let settings = match config::Read::new(std::env::args_os()) {
        Ok(settings) => settings,
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(error) => return Err(error.into()),
    };
    if settings.config.validate {
        writeln!(std::io::stderr(), "configuration OK")?;
        return Ok(());
    }
    let level = log::start(&settings.config);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let pidfile = settings.config.pidfile.as_deref().map(PidFile::write).transpose()?;
    let (listeners, tls) = listeners(&settings.config)?;
    raise_limit();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let served = runtime.block_on(serve(settings, level, listeners, tls));
    // What still blocks a thread ends with the process.
    runtime.shutdown_background();
    drop(pidfile);
    served
}

/// Every connection is a descriptor.
fn raise_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_some() && limit.current != limit.maximum {
        // The limit stays as it is when this is not allowed.
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    }
}

type Tls = Option<Arc<rustls::ServerConfig>>;

/// Binds all sockets, while the process has one thread.
fn listeners(config: &Config) -> anyhow::Result<(Vec<Listener>, Tls)> {
    let verify = config.tlsverify == Some(true);
    let tls = verify || config.tls == Some(true);
    let said = config.tlsverify == Some(false) || config.tls == Some(false);
    let group = config.group.clone().map_or(Group::Default, Group::Named);
    let default = ["unix://".to_owned()];
    let hosts = if config.hosts.is_empty() { &default[..] } else { &config.hosts };
    let mut listeners = Vec::new();
    for host in hosts {
        match Address::parse(host, tls, SOCKET)? {
            Address::Unix(path) => listeners.push(Listener::unix(&path, &group)?),
            Address::Tcp(address) => listeners.extend(Listener::tcp(&address, verify || said)?),
            Address::Inherited(which) => listeners.extend(Listener::inherited(which.as_deref())?),
        }
    }
    if !tls {
        return Ok((listeners, None));
    }
    let at = |file: &Option<std::path::PathBuf>, name: &str| {
        file.clone().unwrap_or_else(|| std::path::Path::new("/etc/longshore").join(name))
    };
    let files = listen::tls::Files {
        cert: at(&config.tlscert, "cert.pem"),
        key: at(&config.tlskey, "key.pem"),
        ca: verify.then(|| at(&config.tlscacert, "ca.pem")),
    };
    Ok((listeners, Some(listen::tls::config(&files)?)))
}

async fn serve(
    settings: config::Read,
    level: Level,
    listeners: Vec<Listener>,
    tls: Tls,
) -> anyhow::Result<()> {
    let kinds =
        (SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::user_defined1());
    let (mut terminate, mut interrupt) = (signal(kinds.0)?, signal(kinds.1)?);
    let (mut hangup, mut user) = (signal(kinds.2)?, signal(kinds.3)?);
    let own = std::env::current_exe().context("find this program")?;
    let app = App::open(settings.config.clone(), own.with_file_name("longshore-runtime")).await?;
    for listener in &listeners {
        tracing::info!("API listen on {}", listener.name());
    }
    let end = watch::Sender::new(false);
    if let Some(address) = &settings.config.metrics_addr {
        let listeners = Listener::tcp(address, true)?;
        let router = metrics::router(app.clone());
        tokio::spawn(listen::serve(listeners, None, router, end.subscribe(), Duration::ZERO));
    }
    let router = http::router(app.clone());
    let serving = tokio::spawn(listen::serve(listeners, tls, router, end.subscribe(), GRACE));
    notify(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break tracing::info!("ending: SIGTERM"),
            _ = interrupt.recv() => break tracing::info!("ending: SIGINT"),
            _ = hangup.recv() => reload::reload(&settings, &app, &level),
            _ = user.recv() => {
                let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
                tracing::info!(tasks, "SIGUSR1");
            }
        }
    }
    notify(&[NotifyState::Stopping]);
    end.send_replace(true);
    serving.await??;
    // Without running containers the host is as it was before.
    Ok(tokio::task::spawn_blocking(move || app.networks.close()).await??)
}

/// Tells systemd, if it has started us.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
