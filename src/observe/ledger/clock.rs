//! The time of day that never goes back.

use std::time::{Instant, SystemTime};

use crate::observe::time::unix_millis;

/// The system's time of day at the start, and from there on a clock that nobody sets.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    at: Millis,
}

/// Milliseconds since 1970-01-01T00:00Z.
pub type Millis = u64;

/// An hour, in milliseconds.
pub const HOUR: Millis = 3_600_000;

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            at: unix_millis(SystemTime::now()),
        }
    }
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Millis {
        self.at + self.began.elapsed().as_millis() as Millis
    }
}
