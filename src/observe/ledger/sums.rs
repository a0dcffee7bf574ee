//! Sums per hour, site and arm.

use std::{collections::HashMap, sync::Arc};

use super::{
    clock::{HOUR, Millis},
    solve_times::SolveTimes,
};
use crate::task::ErrorCode;

/// How long hours are kept.
const KEPT: Millis = 24 * HOUR;

/// How many sites have rows of their own in an hour; the rest of that hour is [`OTHER`].
pub const MAX_SITES: usize = 10_000;

/// How many rows are held of all hours together; beyond it an hour's new sites are [`OTHER`].
const MAX_ROWS: usize = 60_000;

/// The site of everything that has no row of its own.
const OTHER: &str = "other";

/// A site and an arm: whether nocache was on as sent upstream; `None` if that is not known.
pub type Arm = (Arc<str>, Option<bool>);

/// What became of the submissions of an hour, for one site and arm. What happens to a task later is added to the hour in
/// which it was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Tasks that were created.
    pub created: u32,
    /// Submissions that the vendor refused, by its code.
    pub refused: Counts,
    /// Tasks that were solved.
    pub solved: u32,
    /// Tasks that ended in an error, by its code.
    pub errors: Counts,
    /// Polls of the tasks.
    pub polls: u32,
    /// Tasks whose token a site took, as the client says.
    pub reported_good: u32,
    /// Tasks whose token a site did not take, as the client says.
    pub reported_bad: u32,
    /// From the creation of a task to the poll that found it solved.
    pub solve_times: SolveTimes,
}

/// Counts by the vendor's code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<(ErrorCode, u32)>);

impl Counts {
    /// Adds to a code.
    pub fn add(&mut self, code: ErrorCode, count: u32) {
        match self.0.iter_mut().find(|(known, _)| *known == code) {
            Some((_, known)) => *known += count,
            None => self.0.push((code, count)),
        }
    }

    /// Takes one back.
    pub fn take(&mut self, code: ErrorCode) {
        if let Some(index) = self.0.iter().position(|(known, _)| *known == code) {
            self.0[index].1 -= 1;
            if self.0[index].1 == 0 {
                self.0.swap_remove(index);
            }
        }
    }

    /// All codes with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (ErrorCode, u32)> {
        self.0.iter().copied()
    }

    /// The sum of all codes.
    pub fn total(&self) -> u32 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Sum {
    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.created += other.created;
        self.solved += other.solved;
        self.polls += other.polls;
        self.reported_good += other.reported_good;
        self.reported_bad += other.reported_bad;
        self.solve_times.merge(&other.solve_times);
        for (mine, theirs) in [(&mut self.refused, &other.refused), (&mut self.errors, &other.errors)] {
            theirs.iter().for_each(|(code, count)| mine.add(code, count));
        }
    }
}

/// The rows of an hour.
pub type Rows = HashMap<Arm, Sum>;

/// The sums of the last hours.
#[derive(Debug, Default)]
pub struct Sums {
    /// By the number of the hour since 1970. There are few.
    hours: Vec<(u64, Rows)>,
}

impl Sums {
    /// The site of an hour's row for `site`: itself, or [`OTHER`] where there are too many. It is held once for all hours.
    pub fn site(&mut self, now: Millis, site: &str) -> Arc<str> {
        self.forget(now);
        let is_room = self.hours.iter().map(|(_, rows)| rows.len()).sum::<usize>() < MAX_ROWS;
        let arms = [None, Some(false), Some(true)];
        let known = |rows: &Rows, name: &Arc<str>| {
            arms.iter()
                .find_map(|arm| rows.get_key_value(&(name.clone(), *arm)))
                .map(|((site, _), _)| site.clone())
        };
        let name: Arc<str> = site.into();
        let current = self.hour(now / HOUR);
        if let Some(site) = known(current, &name) {
            return site;
        }
        match is_room && current.len() < 2 * MAX_SITES {
            // Another hour has its name already, so that it is held once.
            true => self
                .hours
                .iter()
                .rev()
                .find_map(|(_, rows)| known(rows, &name))
                .unwrap_or(name),
            false => OTHER.into(),
        }
    }

    /// The sum of an hour for a site and an arm.
    pub fn row(&mut self, hour: u64, arm: &Arm) -> &mut Sum {
        self.hour(hour).entry(arm.clone()).or_default()
    }

    fn hour(&mut self, hour: u64) -> &mut Rows {
        let index = match self.hours.iter().rposition(|(known, _)| *known == hour) {
            Some(index) => index,
            None => {
                self.hours.push((hour, Rows::new()));
                self.hours.len() - 1
            }
        };
        &mut self.hours[index].1
    }

    /// The numbers of all hours.
    pub fn hours(&self) -> Vec<u64> {
        self.hours.iter().map(|(hour, _)| *hour).collect()
    }

    /// The rows of an hour.
    pub fn rows(&self, hour: u64) -> Option<&Rows> {
        self.hours
            .iter()
            .find(|(known, _)| *known == hour)
            .map(|(_, rows)| rows)
    }

    fn forget(&mut self, now: Millis) {
        self.hours.retain(|(hour, _)| (hour + 1) * HOUR + KEPT > now);
    }
}
