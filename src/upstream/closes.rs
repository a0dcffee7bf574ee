//! What closes that were observed say of how long the upstream lets a connection rest.

use std::time::{Duration, Instant};

/// How long an observation is remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// Closes within this time are one event: an upstream that restarts closes all connections, however long they rested, and only
/// the longest of these rests says something.
const EVENT: Duration = Duration::from_secs(1);

/// The observations.
#[derive(Debug, Default)]
pub struct Closes {
    /// The shortest rest that ended an earlier event, and when that was.
    shortest: Option<(Duration, Instant)>,
    /// The longest rest of the latest event, and when that began.
    event: Option<(Duration, Instant)>,
}

impl Closes {
    /// Notes that the upstream closed a connection that had rested so long.
    pub fn note(&mut self, rested: Duration, now: Instant) {
        self.event = Some(match self.event {
            Some((longest, began)) if now - began <= EVENT => (longest.max(rested), began),
            Some((longest, began)) => {
                let is_shorter = self
                    .shortest
                    .is_none_or(|(shortest, at)| longest <= shortest || now - at > MEMORY);
                if is_shorter {
                    self.shortest = Some((longest, began));
                }
                (rested, now)
            }
            None => (rested, now),
        });
    }

    /// The shortest rest after which the upstream is known to close.
    pub fn shortest(&self, now: Instant) -> Option<Duration> {
        let fresh = |observed: &Option<(Duration, Instant)>| observed.filter(|(_, at)| now - *at <= MEMORY);
        [&self.shortest, &self.event]
            .into_iter()
            .filter_map(fresh)
            .map(|(rest, _)| rest)
            .min()
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
    fn of_a_restart_only_the_longest_rest_counts() {
        let start = Instant::now();
        let mut closes = Closes::default();
        for milliseconds in [3, 9_000, 700, 0] {
            closes.note(
                Duration::from_millis(milliseconds),
                start + Duration::from_millis(milliseconds / 100),
            );
        }
        assert_eq!(closes.shortest(start), Some(Duration::from_secs(9)));
    }
}
