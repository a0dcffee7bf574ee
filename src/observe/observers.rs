//! Who is given each record.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

use super::{
    Ledger, Record, activity::Activity, clients::Clients, ledger, log::Log, metrics::Metrics, misdirected::Misdirected,
    upstream_seen::UpstreamSeen,
};

/// All observers. To add one, add it here.
#[derive(Debug)]
pub struct Observers {
    log: Log,
    pub metrics: Metrics,
    misdirected: Misdirected,
    pub ledger: Arc<Ledger>,
    pub upstream_seen: UpstreamSeen,
    pub activity: Activity,
    pub clients: Clients,
    /// What others count, for the metrics.
    pub counted: Counted,
}

/// What others count, for the metrics.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Open connections of clients.
    pub connections: Arc<AtomicUsize>,
    /// Log lines that nobody could read.
    pub log_lines_dropped: Arc<AtomicU64>,
}

impl Observers {
    /// Observers that have seen nothing yet.
    pub fn new(ledger: &ledger::Settings, counted: Counted) -> Self {
        Self {
            log: Log::default(),
            metrics: Metrics::default(),
            misdirected: Misdirected::default(),
            ledger: Arc::new(Ledger::new(ledger)),
            upstream_seen: UpstreamSeen::default(),
            activity: Activity::default(),
            clients: Clients::default(),
            counted,
        }
    }

    /// Gives a record to every observer. Called once per request.
    pub fn observe(&self, record: &Record) {
        self.log.observe(record);
        self.metrics.observe(record);
        self.misdirected.observe(record);
        self.ledger.observe(record);
        self.upstream_seen.observe(record);
        self.activity.observe(record);
        if let Some(habit) = self.clients.observe(record) {
            self.metrics.warned(habit);
        }
    }
}
