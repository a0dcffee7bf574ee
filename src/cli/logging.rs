//! Logging, to stderr. Nothing that logs waits for whoever reads the log.

use std::{
    io::{IsTerminal, stderr},
    panic,
};

use tracing::error;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    json_log::JsonLog,
    log_queue::{Flush, LogQueue},
    output::Failure,
};
use crate::config::{Log, LogFormat};

/// Begins to log. What is logged is written at the latest when the returned value is dropped.
pub fn init(log: Log) -> Result<Flush, Failure> {
    let (queue, flush) = LogQueue::start(stderr()).map_err(Failure::failed)?;
    let is_pretty = match log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let layer = if is_pretty {
        let colours = super::output::has_colours(&stderr());
        fmt::layer()
            .with_writer(queue)
            .with_target(false)
            .with_ansi(colours)
            .boxed()
    } else {
        JsonLog(queue).boxed()
    };
    let level = LevelFilter::from_level(log.level.into());
    // A dependency's own steps say nothing about a request, and some would show its bytes.
    let of_others = level.min(LevelFilter::WARN);
    let levels = Targets::new()
        .with_default(of_others)
        .with_target(env!("CARGO_CRATE_NAME"), level);
    tracing_subscriber::registry().with(levels).with(layer).init();
    panic::set_hook(Box::new(log_panic));
    Ok(flush)
}

/// The standard library's hook would write to stderr, on the thread that panicked. Its message is left out: it can hold a
/// part of a request.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    error!(
        place,
        "a thread panicked: this is a bug in the gateway, please report it"
    );
}
