//! The upstream as the last requests saw it.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Cause, Fault, Record, time::rfc3339};

/// The upstream as the last requests saw it.
#[derive(Debug, Default)]
pub struct UpstreamSeen(Mutex<Seen>);

#[derive(Clone, Debug, Default)]
struct Seen {
    /// The last response: when, and its status.
    response: Option<(SystemTime, u16)>,
    /// The last failure: when, and why, in words too.
    failure: Option<(SystemTime, Cause, String)>,
}

impl UpstreamSeen {
    /// Notes what a record says of the upstream.
    pub fn observe(&self, record: &Record) {
        if let Some(status) = record.upstream_status {
            self.0.lock().response = Some((SystemTime::now(), status.as_u16()));
        }
        if let Some(cause) = record.cause.filter(|cause| cause.fault() == Fault::Upstream) {
            let error = record.error.clone().unwrap_or_default();
            self.0.lock().failure = Some((SystemTime::now(), cause, error));
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let seen = self.0.lock().clone();
        let at = |time: SystemTime| rfc3339(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64);
        json!({
            "lastResponse": seen.response.map(|(time, status)| json!({ "at": at(time), "status": status })),
            "lastFailure": seen.failure.map(|(time, cause, error)| json!({
                "at": at(time),
                "cause": <&str>::from(cause),
                "error": error,
            })),
        })
    }
}
