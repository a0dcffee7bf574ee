//! From records to the book.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Instant,
};

use parking_lot::Mutex;
use smol_str::SmolStr;

use super::{
    book::{Book, Task},
    clock::{Clock, HOUR, Millis, Offset, hour, time_of_day},
    pace::Pace,
    stats::Stats,
    store::{self, Store, StoreError},
    sums::{self, Arm, Sum},
};
use crate::{
    observe::{
        Cause, Record,
        record::{Polled, shown_host},
    },
    rewrite::Decision,
    task::{Call, Opinion, TaskId, VendorResult},
};

/// How much is held, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many tasks are known at once; 0 means that there is no ledger.
    pub max_tasks: usize,
    /// A file that holds it beyond the end of the process.
    pub file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_tasks: 20_000,
            file: None,
        }
    }
}

/// By how much the time of day may be corrected, or the machine be suspended, while what is too old is still forgotten.
const CORRECTED: Millis = 7 * 24 * HOUR;

/// The ledger as an observer.
#[derive(Debug)]
pub struct Ledger {
    max_tasks: usize,
    clock: Clock,
    book: Mutex<Book>,
    saved: Option<Saved>,
}

/// What is saved, and whether that fails.
#[derive(Debug)]
pub struct Saved {
    /// Where.
    pub store: Store,
    /// Why not, at present.
    pub failure: Mutex<Option<String>>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(settings: &Settings) -> Self {
        let is_on = settings.max_tasks > 0;
        let mut book = Book::new(settings.max_tasks);
        let saved = settings.file.as_ref().filter(|_| is_on).map(|file| {
            book.follow_changes();
            Saved {
                store: Store::at(file),
                failure: Mutex::default(),
            }
        });
        Self {
            max_tasks: settings.max_tasks,
            clock: Clock::default(),
            book: Mutex::new(book),
            saved,
        }
    }

    /// What is saved, if there is a file.
    pub(super) fn saved(&self) -> Option<&Saved> {
        self.saved.as_ref()
    }

    /// The file, and why nothing is saved there at present.
    pub fn file(&self) -> Option<(&Path, Option<String>)> {
        let saved = self.saved.as_ref()?;
        Some((saved.store.file(), saved.failure.lock().clone()))
    }

    /// Opens the file, and adds what an earlier process saved there. It waits for the disk.
    pub(super) fn load(&self, saved: &Saved) -> Result<(), StoreError> {
        let now = time_of_day();
        let changes = saved.store.open(now, self.max_tasks)?;
        let changes = changes.by_clock(self.clock.offset(), self.clock.now());
        // A request that comes now waits for a row or a task, and not for all of them.
        for task in changes.tasks.into_iter().rev() {
            self.book.lock().restore(task);
        }
        self.add(changes.rows, &store::hours_in_memory(now));
        Ok(())
    }

    /// Adds all that is saved of some hours.
    fn add(&self, rows: Vec<(u64, Arm, Sum)>, hours: &Range<u64>) {
        for (hour, arm, sum) in rows {
            self.book.lock().sums.restore(hour, arm, &sum);
        }
        self.book.lock().sums.set_read(hours);
    }

    /// Saves what has changed. It waits for the disk.
    pub(super) fn save(&self, saved: &Saved) -> Result<(), StoreError> {
        let changes = loop {
            // One lock, so that no hour is new in between.
            let hour = {
                let mut book = self.book.lock();
                match book.sums.unread() {
                    Some(hour) => hour,
                    None => break book.take_changes(),
                }
            };
            let hours = hour..hour + 1;
            self.add(saved.store.rows(&hours)?, &hours);
        };
        if changes.is_empty() {
            return Ok(());
        }
        let offset = self.clock.offset();
        let changes = changes.by_time_of_day(offset);
        // A clock that has jumped by weeks says nothing of what is too old.
        let forgets = offset.millis().unsigned_abs() < CORRECTED;
        let result = saved.store.save(&changes, forgets.then(time_of_day));
        if result.is_err() {
            self.book.lock().put_back(changes);
        }
        result
    }

    /// Whether there is a ledger at all.
    pub fn is_on(&self) -> bool {
        self.max_tasks > 0
    }

    /// Enters what a record says about a task.
    pub fn observe(&self, record: &Record) {
        if !self.is_on() {
            return;
        }
        let now = self.clock.at(record.ended());
        match (record.call, record.vendor) {
            (None, Some(VendorResult::Created(id))) => {
                let hour = hour();
                let mut book = self.book.lock();
                let arm = book.sums.arm(hour, &site(record), record.nocache);
                book.create(Task {
                    id,
                    arm,
                    captcha: record
                        .captcha
                        .as_ref()
                        .and_then(|captcha| captcha.kind)
                        .map_or("other", Into::into),
                    rule: rule(record),
                    created: now,
                    hour,
                    polls: 0,
                    end: None,
                    report: None,
                    is_set: (record.decided.as_ref()).is_some_and(|decided| decided.decision == Decision::Set),
                    sent: 0,
                    last_sent: 0,
                });
            }
            (None, Some(VendorResult::Failed(code))) => {
                let hour = hour();
                let mut book = self.book.lock();
                let arm = book.sums.arm(hour, &site(record), record.nocache);
                book.refuse(hour, &arm, code);
            }
            (Some(Call::Poll), result) => {
                if let Some(task) = record.task {
                    self.poll_ends(record, task, result, now);
                }
            }
            // What a client says of a token counts, whatever the vendor makes of it.
            (Some(Call::Report(opinion)), _) => {
                if let Some(task) = record.task {
                    self.book.lock().report(now, task, opinion);
                }
            }
            _ => {}
        }
    }

    fn poll_ends(&self, record: &Record, task: TaskId, result: Option<VendorResult>, now: Millis) {
        if record.upstream_status.is_some() {
            self.book.lock().poll(now, task, result);
        } else if record.polled.is_some() && record.cause.is_some_and(Cause::is_unsent) {
            self.book.lock().poll_was_not_sent(task);
        }
    }

    /// A poll of a task begins at the time `now`: how many there were, and whether it is sent. A task that is not known is
    /// not paced.
    pub fn poll_begins(&self, now: Instant, id: TaskId, is_paced: bool) -> (Option<Polled>, Pace) {
        let mut book = self.book.lock();
        match book.poll_begins(self.clock.at(now), id, is_paced) {
            Some((polled, pace)) => (Some(polled), pace),
            None => (None, Pace::Send),
        }
    }

    /// Whether a task was created in the last five minutes, as long as the vendor keeps it.
    pub fn is_recent(&self, id: TaskId) -> bool {
        const RECENT: Millis = 5 * 60 * 1000;
        let now = self.clock.now();
        let created = self.book.lock().task(now, id).map(|task| task.created);
        created.is_some_and(|created| created + RECENT > now)
    }

    /// Enters what a client says of a task's token. Returns whether the task is known.
    pub fn report(&self, id: TaskId, opinion: Opinion) -> bool {
        self.book.lock().report(self.clock.now(), id, opinion)
    }

    /// A task.
    pub fn task(&self, id: TaskId) -> Option<Task> {
        self.book.lock().task(self.clock.now(), id).cloned()
    }

    /// The tasks that were created last, the latest first.
    pub fn latest(&self, count: usize) -> Vec<Task> {
        self.book.lock().latest(self.clock.now(), count)
    }

    /// How far the time of day is from the times of tasks.
    pub fn offset(&self) -> Offset {
        self.clock.offset()
    }

    /// How many hours it goes back, the current one included.
    pub fn max_hours(&self) -> u64 {
        match self.saved {
            Some(_) => store::KEPT,
            None => sums::KEPT,
        }
    }

    /// What became of the submissions of the last hours, the current one included. Hours that are no longer in memory are
    /// read from the file; that waits for the disk.
    pub fn stats(&self, hours: u64) -> Result<Stats, StoreError> {
        let now = time_of_day();
        let since = (now / HOUR + 1).saturating_sub(hours.max(1));
        let in_memory = (now / HOUR).saturating_sub(sums::KEPT);
        let mut stats = Stats::new(since * HOUR, now);
        if let Some(saved) = self.saved.as_ref().filter(|_| since < in_memory) {
            // One hour after the other, so that who saves waits for one only.
            for hour in since..in_memory {
                saved
                    .store
                    .each_row(&(hour..hour + 1), |_, arm, sum| stats.add(&arm, &sum))?;
            }
        }
        // The book is not locked while they are added up.
        let known = self.book.lock().sums.hours().to_vec();
        // Hours that have just become too old may still be in memory as well.
        for (_, rows) in known.iter().filter(|(hour, _)| *hour >= since.max(in_memory)) {
            rows.iter().for_each(|(arm, sum)| stats.add(arm, sum));
        }
        Ok(stats)
    }
}

fn site(record: &Record) -> std::borrow::Cow<'_, str> {
    record.site.as_ref().map_or("none".into(), shown_host)
}

fn rule(record: &Record) -> Option<SmolStr> {
    record.decided.as_ref()?.rule.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ledger::changes::Changes;

    /// The system's clock jumps and is corrected: the hour is forgotten and made anew, and keeps what was saved of it.
    #[test]
    fn an_hour_that_is_made_anew_keeps_what_was_saved() {
        let folder = std::env::temp_dir().join(format!("nocache-gateway-{}-anew", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let ledger = Ledger::new(&Settings {
            file: Some(folder.join("ledger.sqlite")),
            ..Settings::default()
        });
        let saved = ledger.saved().unwrap();
        ledger.load(saved).unwrap();
        let hour = time_of_day() / HOUR;
        let hours = hour..hour + 1;
        let refuse = |at: u64| {
            let mut book = ledger.book.lock();
            let arm = book.sums.arm(at, "a.example", Some(true));
            book.refuse(at, &arm, crate::task::ErrorCode::of("ERROR_ZERO_BALANCE"));
        };
        let refused = || saved.store.rows(&hours).unwrap()[0].2.refused.total();
        for (at, expected) in [(hour, 1), (hour + 1_000, 1), (hour, 2), (hour, 3)] {
            refuse(at);
            ledger.save(saved).unwrap();
            assert_eq!(refused(), expected, "{at}");
        }
        // What is too old is forgotten by a time of day that can be believed.
        saved.store.save(&Changes::default(), None).unwrap();
        assert_eq!(refused(), 3);
        saved
            .store
            .save(&Changes::default(), Some((hour + 1_000) * HOUR))
            .unwrap();
        assert!(saved.store.rows(&hours).unwrap().is_empty());
        drop(ledger);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
