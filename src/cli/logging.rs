//! Logging, to stderr.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Begins to log.
pub fn init(log: Log) {
    let is_pretty = match log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let layer = if is_pretty {
        fmt::layer()
            .with_writer(stderr)
            .with_target(false)
            .with_ansi(super::output::has_colours(&stderr()))
            .boxed()
    } else {
        fmt::layer()
            .with_writer(stderr)
            .with_target(false)
            .json()
            .flatten_event(true)
            .boxed()
    };
    tracing_subscriber::registry()
        .with(LevelFilter::from_level(log.level.into()))
        .with(layer)
        .init();
}
