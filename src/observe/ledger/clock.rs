//! The two clocks of the ledger: one that nobody sets, for ages, and the time of day, for hours and for what is shown.

use std::time::{Instant, SystemTime};

use crate::observe::time::unix_millis;

/// Milliseconds: on the ledger's own clock, or since 1970-01-01T00:00Z where the time of day is meant.
pub type Millis = u64;

/// An hour.
pub const HOUR: Millis = 3_600_000;

/// A clock that nobody sets. It begins with the time of day, and then differs from it by what the system's clock is
/// corrected by, or stood still for.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    at: Millis,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            at: time_of_day(),
        }
    }
}

impl Clock {
    /// The time on the clock that nobody sets.
    pub fn now(&self) -> Millis {
        self.at(Instant::now())
    }

    /// The time on the clock that nobody sets, of an instant.
    pub fn at(&self, instant: Instant) -> Millis {
        self.at + (instant - self.began).as_millis() as Millis
    }

    /// How far the time of day is from this clock, now.
    pub fn offset(&self) -> Offset {
        Offset(time_of_day().cast_signed() - self.now().cast_signed())
    }
}

/// How far the time of day is from the clock that nobody sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offset(i64);

impl Offset {
    /// In milliseconds.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The time of day of a time on the clock that nobody sets.
    pub fn time_of_day(self, at: Millis) -> Millis {
        at.saturating_add_signed(self.0)
    }

    /// The time on the clock that nobody sets, of a time of day.
    pub fn on_clock(self, time_of_day: Millis) -> Millis {
        time_of_day.saturating_sub_signed(self.0)
    }
}

/// The hour since 1970, by the time of day.
pub fn hour() -> u64 {
    time_of_day() / HOUR
}

/// The time of day.
pub fn time_of_day() -> Millis {
    unix_millis(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The system's clock goes on by an hour: what was a minute ago stays a minute ago.
    #[test]
    fn times_of_day_follow_the_systems_clock() {
        let began = Instant::now();
        let behind = Clock {
            began,
            at: time_of_day() - HOUR,
        };
        let minute_ago = behind.now() - 60_000;
        let shown = behind.offset().time_of_day(minute_ago);
        assert!(time_of_day().abs_diff(shown + 60_000) < 10_000, "{shown}");
        assert_eq!(behind.at(began + Duration::from_secs(1)), behind.at + 1_000);
    }
}
