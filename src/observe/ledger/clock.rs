//! The time of day that never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system's time of day at the start, and from there on a clock that nobody sets.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    at: Duration,
}

/// Milliseconds since 1970-01-01T00:00Z.
pub type Millis = u64;

/// An hour, in milliseconds.
pub const HOUR: Millis = 3_600_000;

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Millis {
        (self.at + self.began.elapsed()).as_millis() as Millis
    }
}
