//! Who is given each record.

use super::{Record, log::Log, metrics::Metrics, misdirected::Misdirected};

/// All observers. To add one, add it here.
#[derive(Debug, Default)]
pub struct Observers {
    log: Log,
    pub metrics: Metrics,
    misdirected: Misdirected,
}

impl Observers {
    /// Gives a record to every observer. Called once per request.
    pub fn observe(&self, record: &Record) {
        self.log.observe(record);
        self.metrics.observe(record);
        self.misdirected.observe(record);
    }
}
