//! Sums per hour, site and arm.

use std::{collections::BTreeSet, mem, ops::Range, sync::Arc};

use hashbrown::{Equivalent, HashMap, HashSet};

use super::solve_times::SolveTimes;
use crate::task::ErrorCode;

/// How many hours are kept before the current one.
pub const KEPT: u64 = 24;

/// How many sites have rows of their own in an hour, for both arms; the rest of that hour is [`OTHER`].
pub const MAX_SITES: usize = 10_000;

/// How many rows are held of all hours together; beyond it an hour's new sites are [`OTHER`].
const MAX_ROWS: usize = 60_000;

/// The site of everything that has no row of its own.
pub const OTHER: &str = "other";

/// A site and an arm: whether nocache was on as sent upstream; `None` if that is not known.
pub type Arm = (Arc<str>, Option<bool>);

/// An [`Arm`] that is looked for. It has the same hash.
#[derive(Hash)]
struct Wanted<'s>(&'s str, Option<bool>);

impl Equivalent<Arm> for Wanted<'_> {
    fn equivalent(&self, (site, nocache): &Arm) -> bool {
        self.0 == &**site && self.1 == *nocache
    }
}

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

impl FromIterator<(ErrorCode, u32)> for Counts {
    fn from_iter<T: IntoIterator<Item = (ErrorCode, u32)>>(counts: T) -> Self {
        let mut all = Self::default();
        counts.into_iter().for_each(|(code, count)| all.add(code, count));
        all
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
    /// By the number of the hour since 1970. There are few. Who reads the rows holds them, and delays nobody.
    hours: Vec<(u64, Arc<Rows>)>,
    /// Rows that have changed since they were last taken, if somebody takes them.
    changed: Option<HashSet<(u64, Arm)>>,
    /// Hours that are new here, of which a store may hold rows that are not added yet; if somebody takes changes.
    unread: BTreeSet<u64>,
}

impl Sums {
    /// The row of an hour for a site and an arm: its own, or that of [`OTHER`] where there are too many. The site is held once
    /// for all hours.
    pub fn arm(&mut self, hour: u64, site: &str, nocache: Option<bool>) -> Arm {
        self.forget(hour);
        let current = self.hour(hour);
        if let Some((known, _)) = current.get_key_value(&Wanted(site, nocache)) {
            return known.clone();
        }
        let is_room = current.len() < 2 * MAX_SITES;
        let all: usize = self.hours.iter().map(|(_, rows)| rows.len()).sum();
        match is_room && all < MAX_ROWS {
            true => (self.held(site), nocache),
            false => (OTHER.into(), nocache),
        }
    }

    /// The name of a site, as a row holds it if one does.
    fn held(&self, site: &str) -> Arc<str> {
        let arms = [None, Some(false), Some(true)].map(|nocache| Wanted(site, nocache));
        let mut hours = self.hours.iter().rev();
        let held = hours.find_map(|(_, rows)| arms.iter().find_map(|arm| rows.get_key_value(arm)));
        held.map_or_else(|| site.into(), |((held, _), _)| held.clone())
    }

    /// The sum of an hour for a site and an arm.
    pub fn row(&mut self, hour: u64, arm: &Arm) -> &mut Sum {
        if let Some(changed) = &mut self.changed {
            changed.insert((hour, arm.clone()));
        }
        self.hour(hour).entry(arm.clone()).or_default()
    }

    /// Remembers from now on which rows change.
    pub fn follow_changes(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// The rows that have changed, as they are now.
    pub fn take_changed(&mut self) -> Vec<(u64, Arm, Sum)> {
        let changed = self.changed.as_mut().map(mem::take).unwrap_or_default();
        let row = |(hour, arm): (u64, Arm)| {
            let (_, rows) = self.hours.iter().find(|(known, _)| *known == hour)?;
            let sum = rows.get(&arm)?.clone();
            Some((hour, arm, sum))
        };
        changed.into_iter().filter_map(row).collect()
    }

    /// Remembers rows as changed again: they could not be saved.
    pub fn put_back(&mut self, rows: Vec<(u64, Arm, Sum)>) {
        if let Some(changed) = &mut self.changed {
            changed.extend(rows.into_iter().map(|(hour, arm, _)| (hour, arm)));
        }
    }

    /// An hour that is new here: what a store holds of it has to be added before it is replaced.
    pub fn unread(&self) -> Option<u64> {
        self.unread.first().copied()
    }

    /// All that a store holds of these hours is added.
    pub fn set_read(&mut self, hours: &Range<u64>) {
        self.unread.retain(|hour| !hours.contains(hour));
    }

    /// Adds a row that was saved.
    pub fn restore(&mut self, hour: u64, arm: Arm, sum: &Sum) {
        self.hour(hour).entry(arm).or_default().merge(sum);
    }

    fn hour(&mut self, hour: u64) -> &mut Rows {
        let index = match self.hours.iter().rposition(|(known, _)| *known == hour) {
            Some(index) => index,
            None => {
                self.hours.push((hour, Arc::default()));
                if self.changed.is_some() {
                    self.unread.insert(hour);
                }
                self.hours.len() - 1
            }
        };
        // Rows that are being read are copied.
        Arc::make_mut(&mut self.hours[index].1)
    }

    /// All hours with their rows.
    pub fn hours(&self) -> &[(u64, Arc<Rows>)] {
        &self.hours
    }

    /// Forgets all that is too long ago; and what was counted while the time of day was wrong.
    fn forget(&mut self, now: u64) {
        let is_held = |hour: &u64| hour.abs_diff(now) <= KEPT;
        let before = self.hours.len();
        self.hours.retain(|(hour, _)| is_held(hour));
        if self.hours.len() < before {
            self.unread.retain(is_held);
            // Where nothing can be saved, they would become ever more.
            if let Some(changed) = &mut self.changed {
                changed.retain(|(hour, _)| is_held(hour));
            }
        }
    }
}
