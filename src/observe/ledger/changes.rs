//! What a store is given to hold, and gives back at the next start.

use super::{
    book::Task,
    clock::{Millis, Offset},
    sums::{Arm, Sum},
};

/// Tasks and rows, each whole, as it is now: a store replaces what it has of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Tasks, in the order of their creation.
    pub tasks: Vec<Task>,
    /// Sums, with the hour since 1970.
    pub rows: Vec<(u64, Arm, Sum)>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.rows.is_empty()
    }

    /// With times of day, as a store holds them: the clock that nobody sets means nothing to the next process.
    pub fn by_time_of_day(self, offset: Offset) -> Self {
        self.with_times(|at| offset.time_of_day(at))
    }

    /// With times on the clock that nobody sets, as the book holds them. What would be later than now happened before the
    /// time of day was corrected.
    pub fn by_clock(self, offset: Offset, now: Millis) -> Self {
        self.with_times(|at| offset.on_clock(at).min(now))
    }

    fn with_times(mut self, convert: impl Fn(Millis) -> Millis) -> Self {
        for task in &mut self.tasks {
            task.created = convert(task.created);
            task.last_sent = convert(task.last_sent);
        }
        self
    }
}
