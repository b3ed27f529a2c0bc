//! The daemon's own log: on standard error, as text or as JSON, at a level that can be changed.

use std::io::IsTerminal;

use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::Config;

/// Changes the level of the log.
#[derive(Clone, Debug)]
pub(crate) struct Level(reload::Handle<LevelFilter, Registry>);

/// Begins to log.
pub(crate) fn start(config: &Config) -> Level {
    let (filter, handle) = reload::Layer::new(level(config));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = if config.log_format == "json" {
        layer.json().flatten_event(true).boxed()
    } else if config.raw_logs {
        layer.without_time().with_ansi(false).boxed()
    } else {
        layer.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(filter).with(layer).init();
    Level(handle)
}

impl Level {
    /// Takes the level of other settings.
    pub(crate) fn set(&self, config: &Config) {
        // It fails once nobody logs any more.
        self.0.reload(level(config)).ok();
    }
}

fn level(config: &Config) -> LevelFilter {
    config.level().parse().unwrap_or(LevelFilter::INFO)
}
