//! Logging, to stderr. Nothing that logs waits for whoever reads the log.

use std::{
    io::{IsTerminal, stderr},
    panic,
};

use tracing::{Level, error};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use super::{
    json_log::JsonLog,
    log_queue::{Flush, LogQueue},
    output::Failure,
};
use crate::{
    admin,
    config::{Log, LogFormat},
};

/// Begins to log. What is logged is written at the latest when the first value is dropped; the second changes the level.
pub fn init(log: Log) -> Result<(Flush, admin::LogLevel), Failure> {
    let (queue, flush) = LogQueue::start(stderr()).map_err(Failure::failed)?;
    let level = begin(log, queue);
    panic::set_hook(Box::new(log_panic));
    Ok((flush, level))
}

/// Begins to log to a queue.
pub fn begin(log: Log, queue: LogQueue) -> admin::LogLevel {
    let layer = if !is_json(log) {
        let colours = super::output::has_colours(&stderr());
        fmt::layer()
            .with_writer(queue)
            .with_target(false)
            .with_ansi(colours)
            .boxed()
    } else {
        JsonLog(queue).boxed()
    };
    let level: Level = log.level.into();
    let (levels, handle) = reload::Layer::new(targets(level));
    tracing_subscriber::registry().with(levels).with(layer).init();
    // It fails only once the subscriber is gone.
    let change = move |level| drop(handle.reload(targets(level)));
    admin::LogLevel::new(level, change)
}

/// Whether the lines of the log are JSON.
pub fn is_json(log: Log) -> bool {
    match log.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    }
}

/// What ends a server: an event, if the lines of the log are JSON, and a message otherwise.
pub fn ending(log: Log, failure: Failure) -> Failure {
    match is_json(log) {
        true => failure.log(),
        false => failure,
    }
}

/// What is logged at a level.
fn targets(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    // A dependency's own steps say nothing about a request, and some would show its bytes.
    let of_others = level.min(LevelFilter::WARN);
    Targets::new()
        .with_default(of_others)
        .with_target(env!("CARGO_CRATE_NAME"), level)
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
