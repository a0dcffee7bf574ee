//! When a repeated failure is worth a warning: the first one, and then once a minute with a count.

use std::time::{Duration, Instant};

/// How often a lasting failure is reported, and how long it takes without a failure until the next counts as the first.
const PERIOD: Duration = Duration::from_secs(60);

/// A failure that may last.
#[derive(Debug, Default)]
pub struct Outage(Option<Ongoing>);

#[derive(Debug)]
struct Ongoing {
    began: Instant,
    latest: Instant,
    reported: Instant,
    failures: u64,
    unreported: u64,
}

/// What a failure calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is the first: a warning about itself.
    First,
    /// Nothing: it is counted.
    Counted,
    /// A warning about this many failures since the last warning.
    Summary { failures: u64 },
}

/// An outage that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How many failures there were.
    pub failures: u64,
    /// From the first failure to the first success.
    pub lasted: Duration,
}

impl Outage {
    /// Counts a failure.
    pub fn fail(&mut self, now: Instant) -> Report {
        match &mut self.0 {
            Some(ongoing) if now - ongoing.latest < PERIOD => {
                ongoing.latest = now;
                ongoing.failures += 1;
                ongoing.unreported += 1;
                if now - ongoing.reported < PERIOD {
                    return Report::Counted;
                }
                ongoing.reported = now;
                Report::Summary {
                    failures: std::mem::take(&mut ongoing.unreported),
                }
            }
            outage => {
                // After a quiet time without a success the counts go on.
                let before = outage.as_ref();
                *outage = Some(Ongoing {
                    began: before.map_or(now, |before| before.began),
                    latest: now,
                    reported: now,
                    failures: before.map_or(0, |before| before.failures) + 1,
                    unreported: before.map_or(0, |before| before.unreported),
                });
                Report::First
            }
        }
    }

    /// Ends the outage, if there is one.
    pub fn succeed(&mut self, now: Instant) -> Option<Ended> {
        let ongoing = self.0.take()?;
        Some(Ended {
            failures: ongoing.failures,
            lasted: now - ongoing.began,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_reported_and_then_one_summary_a_minute() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut outage = Outage::default();
        assert_eq!(outage.succeed(at(0)), None);
        assert_eq!(outage.fail(at(0)), Report::First);
        for second in 1..60 {
            assert_eq!(outage.fail(at(second)), Report::Counted);
        }
        assert_eq!(outage.fail(at(60)), Report::Summary { failures: 60 });
        assert_eq!(outage.fail(at(61)), Report::Counted);
        assert_eq!(outage.fail(at(120)), Report::Summary { failures: 2 });
        let ended = Ended {
            failures: 63,
            lasted: Duration::from_secs(130),
        };
        assert_eq!(outage.succeed(at(130)), Some(ended));
        assert_eq!(outage.succeed(at(131)), None);
        // A failure long after the last is a first one.
        assert_eq!(outage.fail(at(200)), Report::First);
        assert_eq!(outage.fail(at(210)), Report::Counted);
        assert_eq!(outage.fail(at(300)), Report::First);
        assert_eq!(outage.fail(at(350)), Report::Counted);
        assert_eq!(outage.fail(at(361)), Report::Summary { failures: 3 });
    }
}
