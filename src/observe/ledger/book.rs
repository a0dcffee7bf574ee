//! Tasks and sums, at times that are given.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;

use super::{
    changes::Changes,
    clock::Millis,
    pace::{self, LastSolved, Pace},
    sums::{Arm, MAX_SITES, Sums},
};
use crate::observe::record::Polled;
use crate::task::{ErrorCode, Opinion, TaskId, VendorResult};

/// How long a task is known. The vendor keeps it for about 5 minutes.
pub const KEPT: Millis = 15 * 60 * 1000;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The vendor's id.
    pub id: TaskId,
    /// The site, and whether nocache was on as sent upstream.
    pub arm: Arm,
    /// Whether the gateway turned nocache on.
    pub is_set: bool,
    /// The kind of captcha.
    pub captcha: &'static str,
    /// The rule that decided.
    pub rule: Option<SmolStr>,
    /// When it was created, on the clock that nobody sets.
    pub created: Millis,
    /// The hour since 1970 in which it was created.
    pub hour: u64,
    /// How often it was polled.
    pub polls: u32,
    /// How it ended; `None` as long as it is not known.
    pub end: Option<End>,
    /// What the client said of its token.
    pub report: Option<Opinion>,
    /// How many polls were sent to the upstream, and when the last of them.
    pub sent: u32,
    pub last_sent: Millis,
}

/// The end of a task, as a poll found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was solved, after so many milliseconds.
    Solved(Millis),
    /// It failed.
    Failed(ErrorCode),
}

/// All tasks that are known, and the sums of all that were.
#[derive(Debug)]
pub struct Book {
    max_tasks: usize,
    tasks: HashMap<TaskId, Task>,
    /// In the order of their creation; those at the front may be too old. A vendor that counts anew can give an id twice.
    order: VecDeque<(TaskId, Millis)>,
    /// How long the last tasks took for which the gateway turned nocache on, by site.
    solved: HashMap<Arc<str>, LastSolved>,
    /// Tasks that have changed since they were last taken, if somebody takes them.
    changed: Option<HashSet<TaskId>>,
    /// The sums.
    pub sums: Sums,
}

impl Book {
    /// An empty book of this many tasks at most.
    pub fn new(max_tasks: usize) -> Self {
        Self {
            max_tasks,
            tasks: HashMap::new(),
            order: VecDeque::new(),
            solved: HashMap::new(),
            changed: None,
            sums: Sums::default(),
        }
    }

    /// Enters a task that was created.
    pub fn create(&mut self, task: Task) {
        self.forget(task.created);
        self.sums.row(task.hour, &task.arm).created += 1;
        self.order.push_back((task.id, task.created));
        note(&mut self.changed, task.id);
        self.tasks.insert(task.id, task);
    }

    /// Enters a submission that the vendor refused.
    pub fn refuse(&mut self, hour: u64, arm: &Arm, code: ErrorCode) {
        self.sums.row(hour, arm).refused.add(code, 1);
    }

    /// Enters a poll, and what the vendor said, if that was read.
    pub fn poll(&mut self, now: Millis, id: TaskId, result: Option<VendorResult>) {
        let Some(task) = known(&mut self.tasks, now, id) else {
            return;
        };
        note(&mut self.changed, id);
        let sum = self.sums.row(task.hour, &task.arm);
        task.polls += 1;
        sum.polls += 1;
        match (result, task.end) {
            (Some(VendorResult::Failed(code)), None) => {
                task.end = Some(End::Failed(code));
                sum.errors.add(code, 1);
            }
            // An error that was not the end: too many requests, say.
            (Some(VendorResult::Ready), None | Some(End::Failed(_))) => {
                if let Some(End::Failed(code)) = task.end {
                    sum.errors.take(code);
                }
                let time = now.saturating_sub(task.created);
                task.end = Some(End::Solved(time));
                if task.is_set {
                    let is_room = self.solved.len() < MAX_SITES;
                    match self.solved.get_mut(&task.arm.0) {
                        Some(solved) => solved.add(time),
                        None if is_room => self.solved.entry(task.arm.0.clone()).or_default().add(time),
                        None => {}
                    }
                }
                sum.solved += 1;
                sum.solve_times.add(time);
            }
            _ => {}
        }
    }

    /// A poll of a task begins. Returns how many there were, this one included, and the time since the one before; and whether
    /// it is sent, by `is_paced` or because nobody asks for more. One that is not sent is not counted.
    pub fn poll_begins(&mut self, now: Millis, id: TaskId, is_paced: bool) -> Option<(Polled, Pace)> {
        let task = known(&mut self.tasks, now, id)?;
        let spacing = (task.sent > 0).then(|| Duration::from_millis(now.saturating_sub(task.last_sent)));
        let times = task.sent + 1;
        if is_paced && pace::is_early(task, now, self.solved.get(&task.arm.0)) {
            return Some((Polled { times, spacing: None }, Pace::Wait));
        }
        task.sent = times;
        task.last_sent = now;
        Some((Polled { times, spacing }, Pace::Send))
    }

    /// A poll that had begun found no way to the upstream.
    pub fn poll_was_not_sent(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.sent = task.sent.saturating_sub(1);
        }
    }

    /// Enters what the client says of a task's token; the last word counts. Returns whether the task is known.
    pub fn report(&mut self, now: Millis, id: TaskId, opinion: Opinion) -> bool {
        let Some(task) = known(&mut self.tasks, now, id) else {
            return false;
        };
        note(&mut self.changed, id);
        let sum = self.sums.row(task.hour, &task.arm);
        // If the time of day was corrected, its hour may be forgotten, and is new here.
        match task.report.replace(opinion) {
            Some(Opinion::Good) => sum.reported_good = sum.reported_good.saturating_sub(1),
            Some(Opinion::Bad) => sum.reported_bad = sum.reported_bad.saturating_sub(1),
            None => {}
        }
        match opinion {
            Opinion::Good => sum.reported_good += 1,
            Opinion::Bad => sum.reported_bad += 1,
        }
        true
    }

    /// A task.
    pub fn task(&self, now: Millis, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).filter(|task| !is_over(task.created, now))
    }

    /// The tasks that were created last, the latest first.
    pub fn latest(&self, now: Millis, count: usize) -> Vec<Task> {
        let known = |(id, created): &(TaskId, Millis)| self.task(now, *id).filter(|task| task.created == *created);
        self.order.iter().rev().filter_map(known).take(count).cloned().collect()
    }

    /// Remembers from now on what changes.
    pub fn follow_changes(&mut self) {
        self.changed.get_or_insert_default();
        self.sums.follow_changes();
    }

    /// What has changed, as it is now.
    pub fn take_changes(&mut self) -> Changes {
        let changed = self.changed.as_mut().map(mem::take).unwrap_or_default();
        let mut tasks: Vec<Task> = changed.iter().filter_map(|id| self.tasks.get(id)).cloned().collect();
        tasks.sort_by_key(|task| task.created);
        Changes {
            tasks,
            rows: self.sums.take_changed(),
        }
    }

    /// Remembers changes again: they could not be saved.
    pub fn put_back(&mut self, changes: Changes) {
        changes.tasks.iter().for_each(|task| note(&mut self.changed, task.id));
        self.sums.put_back(changes.rows);
    }

    /// Adds a task that an earlier process saved, before all that are known. What happened since is kept.
    pub fn restore(&mut self, task: Task) {
        if self.order.len() < self.max_tasks && !self.tasks.contains_key(&task.id) {
            self.order.push_front((task.id, task.created));
            self.tasks.insert(task.id, task);
        }
    }

    fn forget(&mut self, now: Millis) {
        while let Some(&(id, created)) = self.order.front()
            && (self.order.len() >= self.max_tasks || is_over(created, now))
        {
            self.order.pop_front();
            if self.tasks.get(&id).is_some_and(|task| task.created == created) {
                self.tasks.remove(&id);
                // Where nothing can be saved, they would become ever more.
                if let Some(changed) = &mut self.changed {
                    changed.remove(&id);
                }
            }
        }
    }
}

/// Whether a task that was created then is too old to be known.
fn is_over(created: Millis, now: Millis) -> bool {
    created + KEPT <= now
}

/// Remembers that a task has changed, if somebody takes changes.
fn note(changed: &mut Option<HashSet<TaskId>>, id: TaskId) {
    if let Some(changed) = changed {
        changed.insert(id);
    }
}

/// A task that is known.
fn known(tasks: &mut HashMap<TaskId, Task>, now: Millis, id: TaskId) -> Option<&mut Task> {
    tasks.get_mut(&id).filter(|task| !is_over(task.created, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ledger::clock::HOUR;

    fn id(number: u64) -> TaskId {
        TaskId::of(&number.to_string()).unwrap()
    }

    /// Enters a task that was created at `now`.
    fn create(book: &mut Book, number: u64, now: Millis, site: &str, nocache: bool) {
        let hour = now / HOUR;
        let arm = book.sums.arm(hour, site, Some(nocache));
        book.create(Task {
            id: id(number),
            arm,
            captcha: "recaptcha-v2",
            rule: Some("default".into()),
            created: now,
            hour,
            polls: 0,
            end: None,
            report: None,
            is_set: nocache,
            sent: 0,
            last_sent: 0,
        });
    }

    fn hours(book: &Book) -> Vec<u64> {
        book.sums.hours().iter().map(|(hour, _)| *hour).collect()
    }

    /// All sums of a site and an arm.
    fn sum(book: &Book, site: &str, nocache: bool) -> crate::observe::ledger::sums::Sum {
        let mut all = crate::observe::ledger::sums::Sum::default();
        for (_, rows) in book.sums.hours() {
            let row = rows.get(&(site.into(), Some(nocache)));
            row.into_iter().for_each(|row| all.merge(row));
        }
        all
    }

    #[test]
    fn an_error_that_was_not_the_end_is_taken_back() {
        let mut book = Book::new(10);
        let failed = |code| Some(VendorResult::Failed(ErrorCode::of(code)));
        create(&mut book, 1, 0, "a.example", true);
        book.poll(2_000, id(1), failed("ERROR_TOO_MUCH_REQUESTS"));
        assert_eq!(sum(&book, "a.example", true).errors.total(), 1);
        book.poll(9_000, id(1), Some(VendorResult::Ready));
        book.poll(12_000, id(1), failed("WRONG_CAPTCHA_ID"));
        let sum = sum(&book, "a.example", true);
        assert_eq!((sum.solved, sum.errors.total(), sum.polls), (1, 0, 3));
        assert_eq!(book.task(12_000, id(1)).unwrap().end, Some(End::Solved(9_000)));
    }

    #[test]
    fn the_last_report_counts_once() {
        let mut book = Book::new(10);
        create(&mut book, 1, 0, "a.example", false);
        for opinion in [Opinion::Bad, Opinion::Bad, Opinion::Good] {
            assert!(book.report(1_000, id(1), opinion));
        }
        assert!(!book.report(1_000, id(2), Opinion::Bad));
        let sum = sum(&book, "a.example", false);
        assert_eq!((sum.reported_bad, sum.reported_good), (0, 1));
    }

    /// What happens after the hour has ended belongs to the hour of the task.
    #[test]
    fn a_task_belongs_to_the_hour_of_its_creation() {
        let mut book = Book::new(10);
        create(&mut book, 1, HOUR - 1_000, "a.example", true);
        book.poll(HOUR + 5_000, id(1), Some(VendorResult::Ready));
        assert_eq!(hours(&book), [0]);
        assert_eq!(sum(&book, "a.example", true).solved, 1);
    }

    #[test]
    fn tasks_and_hours_are_forgotten() {
        let mut book = Book::new(10);
        create(&mut book, 1, 0, "a.example", true);
        create(&mut book, 2, KEPT, "a.example", true);
        assert!(book.task(KEPT, id(1)).is_none() && book.task(KEPT, id(2)).is_some());
        // A vendor that counts anew.
        create(&mut book, 2, KEPT + 1, "b.example", true);
        create(&mut book, 3, 2 * KEPT, "b.example", true);
        assert_eq!(&*book.task(2 * KEPT, id(2)).unwrap().arm.0, "b.example");
        create(&mut book, 4, 25 * HOUR, "a.example", true);
        assert_eq!(hours(&book), [25]);
    }

    /// The bot slept for a day, and then reports: its task is too old, though nothing came since that would have ended it.
    #[test]
    fn a_task_that_is_too_old_is_not_known() {
        let mut book = Book::new(10);
        create(&mut book, 1, 0, "a.example", true);
        book.report(KEPT - 1, id(1), Opinion::Bad);
        assert!(!book.report(KEPT, id(1), Opinion::Good));
        assert!(book.poll_begins(KEPT, id(1), true).is_none());
        book.poll(KEPT, id(1), Some(VendorResult::Ready));
        assert!(book.task(KEPT, id(1)).is_none() && book.latest(KEPT, 1).is_empty());
        assert_eq!(
            (
                sum(&book, "a.example", true).reported_bad,
                sum(&book, "a.example", true).polls
            ),
            (1, 0)
        );
    }

    /// Clocks are corrected, and then the hour of a task is gone before the task is.
    #[test]
    fn a_task_outlives_its_hour() {
        let mut book = Book::new(10);
        create(&mut book, 1, 0, "a.example", true);
        book.report(1_000, id(1), Opinion::Bad);
        book.sums.arm(1_000, "a.example", None);
        assert_eq!(hours(&book), [1_000]);
        assert!(book.report(2_000, id(1), Opinion::Good));
        assert_eq!(sum(&book, "a.example", true).reported_good, 1);
    }

    #[test]
    fn a_poll_that_was_not_sent_does_not_count() {
        let mut book = Book::new(10);
        create(&mut book, 1, 0, "a.example", true);
        for now in (0..200_000).step_by(2_000) {
            let (polled, pace) = book.poll_begins(now, id(1), true).unwrap();
            assert_eq!((polled.times, pace), (1, Pace::Send), "{now}");
            book.poll_was_not_sent(id(1));
        }
    }

    #[test]
    fn many_tasks_and_sites_take_bounded_memory() {
        let mut book = Book::new(20_000);
        for number in 1..=400_000_u64 {
            let (hour, site) = ((number - 1) / 80_000, number / 2 % 40_000);
            let now = 100 * HOUR + hour * HOUR;
            create(&mut book, number, now, &format!("s{site}.example"), number % 2 == 0);
        }
        assert_eq!(book.tasks.len(), 20_000);
        assert_eq!(book.latest(104 * HOUR, usize::MAX).len(), 20_000);
        let rows: Vec<usize> = book.sums.hours().iter().map(|(_, rows)| rows.len()).collect();
        // Both arms of "other" come on top.
        assert!(rows.iter().all(|rows| *rows <= 20_002), "{rows:?}");
        assert!(rows.iter().sum::<usize>() <= 60_010, "{rows:?}");
        assert!(sum(&book, "other", true).created > 1_000);
        let sums = book.sums.hours().iter().flat_map(|(_, rows)| rows.values());
        assert_eq!(sums.map(|sum| sum.created).sum::<u32>(), 400_000);
    }

    /// The file cannot be opened for days.
    #[test]
    fn what_cannot_be_saved_takes_bounded_memory() {
        let mut book = Book::new(100);
        book.follow_changes();
        for number in 1..=100_000_u64 {
            create(
                &mut book,
                number,
                number * HOUR / 100,
                &format!("s{number}.example"),
                true,
            );
        }
        assert!(book.changed.as_ref().unwrap().len() <= 100);
        let unread = std::iter::from_fn(|| {
            let hour = book.sums.unread()?;
            book.sums.set_read(&(hour..hour + 1));
            Some(hour)
        });
        assert!(unread.count() <= 25);
        let changes = book.take_changes();
        assert_eq!((changes.tasks.len(), changes.rows.len()), (25, 2_401));
        for _ in 0..3 {
            book.put_back(changes.clone());
        }
        assert_eq!(book.take_changes().rows.len(), 2_401);
    }

    /// What could not be saved is saved later; what another process saved is added to what was counted since.
    #[test]
    fn changes_are_taken_once_and_can_be_put_back() {
        let mut book = Book::new(10);
        book.follow_changes();
        create(&mut book, 1, 0, "a.example", true);
        create(&mut book, 2, 1, "a.example", true);
        let changes = book.take_changes();
        assert_eq!((changes.tasks.len(), changes.rows.len()), (2, 1));
        assert!(book.take_changes().is_empty());
        book.put_back(changes.clone());
        book.poll(9_000, id(1), Some(VendorResult::Ready));
        let later = book.take_changes();
        assert_eq!((later.tasks.len(), later.rows[0].2.solved), (2, 1));

        let mut next = Book::new(3);
        create(&mut next, 3, 10_000, "a.example", true);
        let restore = |book: &mut Book, saved: &Changes| {
            saved.tasks.iter().rev().for_each(|task| book.restore(task.clone()));
            for (hour, arm, sum) in &saved.rows {
                book.sums.restore(*hour, arm.clone(), sum);
            }
        };
        restore(&mut next, &later);
        assert_eq!(
            next.latest(10_000, 9).iter().map(|task| task.id).collect::<Vec<_>>(),
            [3, 2, 1].map(id)
        );
        assert_eq!(
            (
                sum(&next, "a.example", true).created,
                sum(&next, "a.example", true).solved
            ),
            (3, 1)
        );
        next.report(10_000, id(1), Opinion::Bad);
        assert_eq!(sum(&next, "a.example", true).reported_bad, 1);
        // There is room for so many tasks.
        let mut small = Book::new(1);
        restore(&mut small, &later);
        assert_eq!(small.latest(10_000, 9).len(), 1);
    }
}
