//! Metrics of what others count, set when the page is asked for.

use std::sync::atomic::Ordering;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The metrics of what others count.
#[derive(Debug, Default)]
pub struct Gauges {
    in_flight: Gauge,
    connections: Gauge,
    rules: Gauge,
    idle: Gauge,
    ledger_file_failing: Gauge,
    opened: Counter,
    reused: Counter,
    log_lines_dropped: Counter,
}

/// What others count, as of now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Requests in flight.
    pub in_flight: usize,
    /// Open connections of clients.
    pub connections: usize,
    /// Rules in force.
    pub rules: usize,
    /// Idle connections to the upstream.
    pub idle: usize,
    /// Whether the ledger cannot be saved in its file.
    pub is_ledger_failing: bool,
    /// Connections to the upstream that were made.
    pub opened: u64,
    /// How often one was used again.
    pub reused: u64,
    /// Log lines that nobody could read.
    pub log_lines_dropped: u64,
}

impl Gauges {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "in_flight",
            "Requests in flight, of [server] max_in_flight",
            self.in_flight.clone(),
        );
        registry.register(
            "connections",
            "Open connections of clients, of [server] max_connections",
            self.connections.clone(),
        );
        registry.register(
            "upstream_idle_connections",
            "Idle connections to the upstream",
            self.idle.clone(),
        );
        registry.register(
            "upstream_connections_opened",
            "Connections to the upstream that were made",
            self.opened.clone(),
        );
        registry.register(
            "upstream_connections_reused",
            "Requests on a connection to the upstream that was there already",
            self.reused.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that were dropped, because nobody read the log",
            self.log_lines_dropped.clone(),
        );
        registry.register(
            "ledger_file_failing",
            "1 as long as the ledger cannot be saved in [ledger] file, else 0",
            self.ledger_file_failing.clone(),
        );
        registry.register("rules", "Rules in force", self.rules.clone());
    }

    /// Sets them to what is counted now.
    pub fn set(&self, now: &Now) {
        for (gauge, value) in [
            (&self.in_flight, now.in_flight),
            (&self.connections, now.connections),
            (&self.rules, now.rules),
            (&self.idle, now.idle),
            (&self.ledger_file_failing, usize::from(now.is_ledger_failing)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        for (counter, value) in [
            (&self.opened, now.opened),
            (&self.reused, now.reused),
            (&self.log_lines_dropped, now.log_lines_dropped),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
    }
}
