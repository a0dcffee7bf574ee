//! What closes that were observed say of how long the upstream lets a connection rest.

use std::time::{Duration, Instant};

/// How long an observation is remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// Closes within this time are one event.
const EVENT: Duration = Duration::from_secs(1);

/// By how much rests may differ that one limit ended.
const SLACK: Duration = Duration::from_millis(100);

/// The observations.
#[derive(Debug, Default)]
pub struct Closes {
    /// The shortest rest that a limit ended before the latest event, and when that was.
    shortest: Option<(Duration, Instant)>,
    event: Option<Event>,
}

/// Closes at one time.
#[derive(Clone, Copy, Debug)]
struct Event {
    began: Instant,
    /// The shortest and the longest of the rests that it ended.
    rests: (Duration, Duration),
}

impl Event {
    /// The rest after which the upstream closes. An upstream that restarts closes what rested for long and what hardly rested,
    /// which says nothing of its limit.
    fn limit(&self) -> Option<(Duration, Instant)> {
        let (shortest, longest) = self.rests;
        (longest <= 2 * shortest + SLACK).then_some((longest, self.began))
    }
}

impl Closes {
    /// Notes that the upstream closed a connection that had rested so long.
    pub fn note(&mut self, rested: Duration, now: Instant) {
        match &mut self.event {
            Some(Event { began, rests }) if now - *began <= EVENT => {
                *rests = (rests.0.min(rested), rests.1.max(rested));
            }
            event => {
                let ended = event.replace(Event {
                    began: now,
                    rests: (rested, rested),
                });
                if let Some((limit, at)) = ended.and_then(|ended| ended.limit()) {
                    let known = self.shortest.filter(|(_, at)| now - *at <= MEMORY);
                    if known.is_none_or(|(known, _)| limit <= known) {
                        self.shortest = Some((limit, at));
                    }
                }
            }
        }
    }

    /// The shortest rest after which the upstream is known to close.
    pub fn shortest(&self, now: Instant) -> Option<Duration> {
        let latest = self.event.and_then(|event| event.limit());
        let known = [self.shortest, latest].into_iter().flatten();
        let fresh = known.filter(|(_, at)| now - *at <= MEMORY);
        fresh.map(|(rest, _)| rest).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_event_counts_and_is_forgotten() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let rest = Duration::from_secs;
        let mut closes = Closes::default();
        assert_eq!(closes.shortest(at(0)), None);
        closes.note(rest(15), at(0));
        assert_eq!(closes.shortest(at(0)), Some(rest(15)));
        closes.note(rest(5), at(10));
        closes.note(rest(15), at(20));
        assert_eq!(closes.shortest(at(20)), Some(rest(5)));
        assert_eq!(closes.shortest(at(609)), Some(rest(5)));
        assert_eq!(closes.shortest(at(615)), Some(rest(15)));
        assert_eq!(closes.shortest(at(700)), None);
    }

    #[test]
    fn a_restart_says_nothing() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut closes = Closes::default();
        for (rested, when) in [(3, 0), (9_000, 90), (700, 97), (0, 97)] {
            closes.note(Duration::from_millis(rested), at(when));
        }
        assert_eq!(closes.shortest(at(97)), None);
        // One limit ends rests that are alike, and what a restart ends later takes nothing back.
        for (rested, when) in [(5_000, 3_000), (5_020, 3_010), (0, 20_000), (4_000, 20_001)] {
            closes.note(Duration::from_millis(rested), at(when));
        }
        assert_eq!(closes.shortest(at(20_001)), Some(Duration::from_millis(5_020)));
        // One that closes after each answer shows at once.
        closes.note(Duration::ZERO, at(30_000));
        closes.note(Duration::from_millis(2), at(30_400));
        assert_eq!(closes.shortest(at(30_400)), Some(Duration::from_millis(2)));
    }
}
