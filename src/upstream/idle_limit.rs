//! How long the upstream keeps an idle connection, learned from its closes.

use std::time::{Duration, Instant};

/// How long an observation is remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// Closes within this time are one event.
const EVENT: Duration = Duration::from_secs(1);

/// How much idle times may differ that one limit ended: a busy machine sees a close late.
const SLACK: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Closes {
    /// The shortest idle time that a limit ended before the latest event, and when that was.
    shortest: Option<(Duration, Instant)>,
    event: Option<Event>,
}

/// Closes at about the same time.
#[derive(Clone, Copy, Debug)]
struct Event {
    began: Instant,
    /// The shortest and the longest of the idle times that it ended.
    idle_times: (Duration, Duration),
}

impl Event {
    /// The idle time after which the upstream closes. An upstream that restarts closes connections of long and of short
    /// idle times at once, which says nothing about its limit.
    fn limit(&self) -> Option<(Duration, Instant)> {
        let (shortest, longest) = self.idle_times;
        (longest <= 2 * shortest + SLACK).then_some((longest, self.began))
    }
}

impl Closes {
    /// Records that the upstream closed a connection that had been idle for this long after its first response. No limit is
    /// shorter than `SLACK`: then the close came with the response, and was seen a moment later.
    pub fn note_first(&mut self, idle_time: Duration, now: Instant) {
        self.note(if idle_time < SLACK { Duration::ZERO } else { idle_time }, now);
    }

    /// Records that the upstream closed a connection that had been idle for this long.
    pub fn note(&mut self, idle_time: Duration, now: Instant) {
        match &mut self.event {
            Some(Event { began, idle_times }) if now - *began <= EVENT => {
                *idle_times = (idle_times.0.min(idle_time), idle_times.1.max(idle_time));
            }
            event => {
                let ended = event.replace(Event {
                    began: now,
                    idle_times: (idle_time, idle_time),
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

    /// The shortest idle time after which the upstream is known to close a connection.
    pub fn shortest(&self, now: Instant) -> Option<Duration> {
        let latest = self.event.and_then(|event| event.limit());
        let known = [self.shortest, latest].into_iter().flatten();
        let fresh = known.filter(|(_, at)| now - *at <= MEMORY);
        fresh.map(|(idle_time, _)| idle_time).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_that_comes_with_the_response_leaves_nothing_to_reuse() {
        let now = Instant::now();
        let mut closes = Closes::default();
        closes.note_first(Duration::from_millis(7), now);
        closes.note_first(Duration::from_millis(320), now);
        assert_eq!(closes.shortest(now), Some(Duration::ZERO));
    }

    #[test]
    fn the_shortest_event_counts_and_is_forgotten() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut closes = Closes::default();
        assert_eq!(closes.shortest(at(0)), None);
        closes.note(seconds(15), at(0));
        assert_eq!(closes.shortest(at(0)), Some(seconds(15)));
        closes.note(seconds(5), at(10));
        closes.note(seconds(15), at(20));
        assert_eq!(closes.shortest(at(20)), Some(seconds(5)));
        assert_eq!(closes.shortest(at(609)), Some(seconds(5)));
        assert_eq!(closes.shortest(at(615)), Some(seconds(15)));
        assert_eq!(closes.shortest(at(700)), None);
    }

    #[test]
    fn a_restart_teaches_nothing() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut closes = Closes::default();
        for (idle_time, when) in [(3, 0), (9_000, 90), (700, 97), (0, 97)] {
            closes.note(Duration::from_millis(idle_time), at(when));
        }
        assert_eq!(closes.shortest(at(97)), None);
        // One limit ends similar idle times, and a later restart does not change what was learned.
        for (idle_time, when) in [(5_000, 3_000), (5_020, 3_010), (0, 20_000), (4_000, 20_001)] {
            closes.note(Duration::from_millis(idle_time), at(when));
        }
        assert_eq!(closes.shortest(at(20_001)), Some(Duration::from_millis(5_020)));
        // An upstream that closes after each response is recognised at once.
        closes.note(Duration::ZERO, at(30_000));
        closes.note(Duration::from_millis(2), at(30_400));
        assert_eq!(closes.shortest(at(30_400)), Some(Duration::from_millis(2)));
    }
}
