//! The upstream as the last requests saw it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    Cause, Fault, Record,
    time::{rfc3339, unix_millis},
};

/// The upstream as the last requests saw it.
#[derive(Debug, Default)]
pub struct UpstreamSeen(Mutex<Seen>);

/// When it last responded and failed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last response: when, and its status.
    pub response: Option<(Instant, u16)>,
    /// The last failure.
    pub failure: Option<Failure>,
}

/// A failure of the upstream.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When it was.
    pub at: Instant,
    /// Why.
    pub cause: Cause,
    /// Why, in words.
    pub error: String,
}

impl UpstreamSeen {
    /// Notes what a record says of the upstream.
    pub fn observe(&self, record: &Record) {
        if let Some(status) = record.upstream_status {
            self.0.lock().response = Some((record.ended(), status.as_u16()));
        }
        if let Some(cause) = record.cause.filter(|cause| cause.fault() == Fault::Upstream) {
            self.0.lock().failure = Some(Failure {
                at: record.ended(),
                cause,
                error: record.error.clone().unwrap_or_default(),
            });
        }
    }

    /// What was seen.
    pub fn seen(&self) -> Seen {
        self.0.lock().clone()
    }
}

impl Seen {
    /// Whether it failed after its last response.
    pub fn fails(&self) -> bool {
        let failed = self.failure.as_ref().map(|failure| failure.at);
        failed > self.response.map(|(at, _)| at)
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let at = |time: Instant| {
            let time = SystemTime::now().checked_sub(time.elapsed()).unwrap_or(UNIX_EPOCH);
            rfc3339(unix_millis(time))
        };
        json!({
            "lastResponse": self.response.map(|(time, status)| json!({ "at": at(time), "status": status })),
            "lastFailure": self.failure.as_ref().map(|failure| json!({
                "at": at(failure.at),
                "cause": <&str>::from(failure.cause),
                "error": failure.error,
            })),
        })
    }
}
