//! Which polls come too early. The vendor locks a key if a task is polled more often than every 2 seconds, or more than 120
//! times (<https://docs.capmonster.cloud/docs/api/methods/get-task-result/>).

use std::collections::VecDeque;

use super::{book::Task, clock::Millis};

/// Whether a poll is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It is.
    Send,
    /// It came too early.
    Wait,
}

/// The least time between two polls of a task. A client that waits 2 seconds is a little early at times.
const SPACING: Millis = 1_800;
/// The longest that a poll is held back.
const LONGEST: Millis = 10_000;
/// From so many polls on the rest is spread over the time that a task has.
const MANY: u32 = 80;
/// So many are sent at most in that time.
const MOST: u32 = 118;
/// How long the vendor works on a task.
const LIFE: Millis = 300_000;

/// How long the last tasks for a site took.
#[derive(Clone, Debug, Default)]
pub struct LastSolved(VecDeque<Millis>);

impl LastSolved {
    const COUNT: usize = 100;
    const ENOUGH: usize = 20;

    /// Adds one.
    pub fn add(&mut self, time: Millis) {
        if self.0.len() == Self::COUNT {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The time that only one in twenty was quicker than; `None` of too few.
    fn quick(&self) -> Option<Millis> {
        if self.0.len() < Self::ENOUGH {
            return None;
        }
        let mut times: Vec<Millis> = self.0.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 20).copied()
    }
}

/// Whether a poll of a task comes too early: too soon after the last, before any like it was ever solved, or so that the
/// rest of the polls would not last.
pub fn is_early(task: &Task, now: Millis, solved: Option<&LastSolved>) -> bool {
    let age = now.saturating_sub(task.created);
    if task.sent == 0 {
        let quick = solved.filter(|_| task.is_set).and_then(LastSolved::quick);
        return quick.is_some_and(|quick| age < (quick * 4 / 5).min(LONGEST));
    }
    let spacing = match task.sent {
        0..MANY => SPACING,
        MANY..MOST => (LIFE.saturating_sub(age) / u64::from(MOST - task.sent)).clamp(SPACING, LONGEST),
        MOST.. => LONGEST,
    };
    now.saturating_sub(task.last_sent) < spacing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;

    fn task(sent: u32, last_sent: Millis) -> Task {
        Task {
            id: TaskId::of("1").unwrap(),
            arm: ("a.example".into(), Some(true)),
            is_set: true,
            captcha: "recaptcha-v2",
            rule: None,
            created: 0,
            hour: 0,
            polls: 0,
            end: None,
            report: None,
            sent,
            last_sent,
        }
    }

    #[test]
    fn polls_are_spaced() {
        for (sent, last_sent, now, is_early_then) in [
            (1, 1_000, 2_799, true),
            (1, 1_000, 2_800, false),
            // 300 s less 200 s of age, over 38 polls: 2.6 s.
            (80, 197_500, 200_000, true),
            (80, 197_000, 200_000, false),
            (118, 291_000, 300_000, true),
            (118, 290_000, 300_000, false),
            // After the vendor has given up, too.
            (100, 399_000, 400_000, true),
            (100, 398_000, 400_000, false),
        ] {
            let is_early = is_early(&task(sent, last_sent), now, None);
            assert_eq!(is_early, is_early_then, "{sent} {last_sent} {now}");
        }
    }

    #[test]
    fn the_first_poll_waits_for_what_solving_takes() {
        let mut solved = LastSolved::default();
        (0..19).for_each(|_| solved.add(8_000));
        assert!(!is_early(&task(0, 0), 1_000, Some(&solved)), "too few to tell");
        (0..200).for_each(|_| solved.add(8_000));
        assert!(is_early(&task(0, 0), 6_399, Some(&solved)));
        assert!(!is_early(&task(0, 0), 6_400, Some(&solved)));
        let by_client = Task {
            is_set: false,
            ..task(0, 0)
        };
        assert!(
            !is_early(&by_client, 1_000, Some(&solved)),
            "that client knows of nocache"
        );
        (0..200).for_each(|_| solved.add(60_000));
        assert!(!is_early(&task(0, 0), 10_000, Some(&solved)), "10 s at most");
        assert_eq!(solved.0.len(), 100);
    }

    /// Whoever polls every 100 ms for five minutes stays below the vendor's limits.
    #[test]
    fn no_client_earns_a_ban() {
        let mut task = task(0, 0);
        for now in (0..300_000).step_by(100) {
            if !is_early(&task, now, None) {
                assert!(task.sent == 0 || now - task.last_sent >= SPACING, "{now}");
                task.sent += 1;
                task.last_sent = now;
            }
        }
        assert!((100..=120).contains(&task.sent), "{}", task.sent);
    }
}
