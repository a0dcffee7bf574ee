//! A file that holds the ledger beyond the end of the process: an SQLite database, used by one process at a time. Everything
//! here waits for a disk, so no thread that serves calls it.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode as SqliteCode, Row, named_params};
use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

use super::{
    book::{self, End, Task},
    changes::Changes,
    clock::{HOUR, Millis},
    sums::{self, Arm, Sum},
};
use crate::{
    submission::Kind,
    task::{ErrorCode, TaskId},
};

/// How many hours the file holds before the current one.
pub const KEPT: u64 = 30 * 24;

/// How long who reads the file waits for a disk that does not respond to who writes it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which tables the file has. SQLite holds this number for who uses it; it is 0 in an empty file.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE sums (
        hour INTEGER NOT NULL, site TEXT NOT NULL, nocache TEXT NOT NULL,
        created INTEGER NOT NULL, refused TEXT NOT NULL, solved INTEGER NOT NULL, errors TEXT NOT NULL,
        polls INTEGER NOT NULL, reported_good INTEGER NOT NULL, reported_bad INTEGER NOT NULL,
        solve_times TEXT NOT NULL,
        PRIMARY KEY (hour, site, nocache)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE tasks (
        id TEXT NOT NULL PRIMARY KEY, created INTEGER NOT NULL, hour INTEGER NOT NULL,
        site TEXT NOT NULL, nocache TEXT NOT NULL, is_set INTEGER NOT NULL, captcha TEXT NOT NULL, rule TEXT,
        polls INTEGER NOT NULL, solve_ms INTEGER, error TEXT, report TEXT,
        sent INTEGER NOT NULL, last_sent INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tasks_created ON tasks (created);
    PRAGMA user_version = 1;";

const WRITE_ROW: &str = "
    REPLACE INTO sums VALUES (:hour, :site, :nocache, :created, :refused, :solved, :errors, :polls, :reported_good,
        :reported_bad, :solve_times)";

const WRITE_TASK: &str = "
    REPLACE INTO tasks VALUES (:id, :created, :hour, :site, :nocache, :is_set, :captcha, :rule, :polls, :solve_ms, :error,
        :report, :sent, :last_sent)";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the ledger's file {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It is another program's, or another version's.
    #[error("{} is no ledger of this version; move it away, or name another file in [ledger] file", .0.display())]
    Foreign(PathBuf),
    /// It is not open, or the disk does not respond.
    #[error("the ledger's file {} cannot be read now; the log says why", .0.display())]
    NotOpen(PathBuf),
    /// SQLite cannot use it.
    #[error("the ledger's file {} cannot be used ({error})", file.display())]
    Sqlite { file: PathBuf, error: rusqlite::Error },
}

/// The file.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl Store {
    /// The file at a path. Nothing is opened yet.
    pub fn at(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            connection: Mutex::new(None),
        }
    }

    /// The file's path.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Opens the file, or makes it, and reads what the book holds at this time of day: of the tasks the latest, so many at most.
    pub fn open(&self, now: Millis, max_tasks: usize) -> Result<Changes, StoreError> {
        let connection = self.connect()?;
        let changes = Changes {
            tasks: self.run(|| read_tasks(&connection, now.saturating_sub(book::KEPT), max_tasks))?,
            rows: self.run(|| read_rows(&connection, &hours_in_memory(now)))?,
        };
        *self.connection.lock() = Some(connection);
        Ok(changes)
    }

    /// Writes changes, and forgets what is too old at a time of day, if one is given.
    pub fn save(&self, changes: &Changes, now: Option<Millis>) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let connection = connection
            .as_mut()
            .ok_or_else(|| StoreError::NotOpen(self.file.clone()))?;
        self.run(|| {
            let transaction = connection.transaction()?;
            if let Some(now) = now {
                let too_old = now.saturating_sub(book::KEPT);
                transaction.execute("DELETE FROM tasks WHERE created < ?1", [too_old])?;
                let too_old = (now / HOUR).saturating_sub(KEPT);
                transaction.execute("DELETE FROM sums WHERE hour < ?1", [too_old])?;
            }
            write_tasks(&transaction, &changes.tasks)?;
            write_rows(&transaction, &changes.rows)?;
            transaction.commit()
        })
    }

    /// Calls `take` with each row of some hours.
    pub fn each_row(&self, hours: &Range<u64>, take: impl FnMut(u64, Arm, Sum)) -> Result<(), StoreError> {
        let held = self.connection.try_lock_for(PATIENCE);
        let connection = held.as_ref().and_then(|connection| connection.as_ref());
        let connection = connection.ok_or_else(|| StoreError::NotOpen(self.file.clone()))?;
        self.run(|| each_row(connection, hours, take))
    }

    /// The rows of some hours.
    pub fn rows(&self, hours: &Range<u64>) -> Result<Vec<(u64, Arm, Sum)>, StoreError> {
        let mut rows = Vec::new();
        self.each_row(hours, |hour, arm, sum| rows.push((hour, arm, sum)))?;
        Ok(rows)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let connection = self.run(|| Connection::open(&self.file))?;
        let (version, is_empty) = self.run(|| {
            connection.busy_timeout(Duration::ZERO)?;
            // From here on nobody else can use it.
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
            let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
            let is_empty = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
                row.get::<_, i64>(0).map(|tables| tables == 0)
            })?;
            Ok((version, is_empty))
        })?;
        match (version, is_empty) {
            (0, true) => self.run(|| connection.execute_batch(&format!("BEGIN; {TABLES} COMMIT;")))?,
            (VERSION, false) => {}
            _ => return Err(StoreError::Foreign(self.file.clone())),
        }
        self.run(|| {
            // A process that is killed loses nothing that was written; a machine that loses power may.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")
        })?;
        Ok(connection)
    }

    /// What SQLite does, with its errors told by their reason.
    fn run<T>(&self, work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work().map_err(|error| match error.sqlite_error_code() {
            Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => StoreError::InUse(self.file.clone()),
            Some(SqliteCode::NotADatabase) => StoreError::Foreign(self.file.clone()),
            _ => StoreError::Sqlite {
                file: self.file.clone(),
                error,
            },
        })
    }
}

/// The hours that the ledger holds in memory at this time of day, or may hold: those to come are there if the time of day was
/// corrected.
pub fn hours_in_memory(now: Millis) -> Range<u64> {
    let hour = now / HOUR;
    hour.saturating_sub(sums::KEPT)..hour + sums::KEPT + 1
}

fn write_rows(connection: &Connection, rows: &[(u64, Arm, Sum)]) -> rusqlite::Result<()> {
    let counts = |counts: &sums::Counts| {
        let counts: BTreeMap<&str, u32> = counts.iter().map(|(code, count)| (code.name(), count)).collect();
        to_text(&counts)
    };
    let mut statement = connection.prepare(WRITE_ROW)?;
    for (hour, (site, nocache), sum) in rows {
        statement.execute(named_params! {
            ":hour": hour, ":site": site, ":nocache": arm_name(*nocache),
            ":created": sum.created, ":refused": counts(&sum.refused),
            ":solved": sum.solved, ":errors": counts(&sum.errors),
            ":polls": sum.polls, ":reported_good": sum.reported_good, ":reported_bad": sum.reported_bad,
            ":solve_times": to_text(&sum.solve_times),
        })?;
    }
    Ok(())
}

fn read_rows(connection: &Connection, hours: &Range<u64>) -> rusqlite::Result<Vec<(u64, Arm, Sum)>> {
    let mut rows = Vec::new();
    each_row(connection, hours, |hour, arm, sum| rows.push((hour, arm, sum)))?;
    Ok(rows)
}

fn each_row(connection: &Connection, hours: &Range<u64>, mut take: impl FnMut(u64, Arm, Sum)) -> rusqlite::Result<()> {
    let mut names = Names::default();
    let mut statement = connection.prepare("SELECT * FROM sums WHERE hour >= ?1 AND hour < ?2")?;
    let mut rows = statement.query([hours.start, hours.end])?;
    while let Some(row) = rows.next()? {
        let counts = |column| -> rusqlite::Result<sums::Counts> {
            let counts: BTreeMap<String, u32> = from_text(row, column)?;
            Ok(counts
                .iter()
                .map(|(code, count)| (ErrorCode::of(code), *count))
                .collect())
        };
        let sum = Sum {
            created: row.get("created")?,
            refused: counts("refused")?,
            solved: row.get("solved")?,
            errors: counts("errors")?,
            polls: row.get("polls")?,
            reported_good: row.get("reported_good")?,
            reported_bad: row.get("reported_bad")?,
            solve_times: from_text(row, "solve_times")?,
        };
        take(row.get("hour")?, arm(row, &mut names)?, sum);
    }
    Ok(())
}

fn write_tasks(connection: &Connection, tasks: &[Task]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(WRITE_TASK)?;
    for task in tasks {
        let (solve_ms, error) = match task.end {
            None => (None, None),
            Some(End::Solved(time)) => (Some(time), None),
            Some(End::Failed(code)) => (None, Some(code.name())),
        };
        statement.execute(named_params! {
            ":id": task.id.to_string(), ":created": task.created, ":hour": task.hour,
            ":site": task.arm.0, ":nocache": arm_name(task.arm.1), ":is_set": task.is_set,
            ":captcha": task.captcha, ":rule": task.rule.as_deref(), ":polls": task.polls,
            ":solve_ms": solve_ms, ":error": error, ":report": task.report.map(<&str>::from),
            ":sent": task.sent, ":last_sent": task.last_sent,
        })?;
    }
    Ok(())
}

fn read_tasks(connection: &Connection, since: Millis, max_tasks: usize) -> rusqlite::Result<Vec<Task>> {
    let mut names = Names::default();
    let mut statement = connection.prepare(
        "SELECT * FROM (SELECT * FROM tasks WHERE created >= ?1 ORDER BY created DESC LIMIT ?2) ORDER BY created",
    )?;
    let tasks = statement.query_map([since, max_tasks as u64], |row| {
        let Some(id) = TaskId::of(&row.get::<_, String>("id")?) else {
            return Ok(None);
        };
        let kind: String = row.get("captcha")?;
        let error: Option<String> = row.get("error")?;
        let report: Option<String> = row.get("report")?;
        let solved: Option<Millis> = row.get("solve_ms")?;
        Ok(Some(Task {
            id,
            arm: arm(row, &mut names)?,
            is_set: row.get("is_set")?,
            captcha: kind.parse::<Kind>().map_or("other", Into::into),
            rule: row.get::<_, Option<String>>("rule")?.map(SmolStr::from),
            created: row.get("created")?,
            hour: row.get("hour")?,
            polls: row.get("polls")?,
            end: solved
                .map(End::Solved)
                .or(error.map(|code| End::Failed(ErrorCode::of(&code)))),
            report: report.and_then(|report| report.parse().ok()),
            sent: row.get("sent")?,
            last_sent: row.get("last_sent")?,
        }))
    })?;
    tasks.filter_map(Result::transpose).collect()
}

/// Names that occur often are held once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn held(&mut self, name: String) -> Arc<str> {
        if let Some(held) = self.0.get(name.as_str()) {
            return held.clone();
        }
        let name: Arc<str> = name.into();
        self.0.insert(name.clone());
        name
    }
}

fn arm(row: &Row<'_>, names: &mut Names) -> rusqlite::Result<Arm> {
    let nocache = match row.get_ref("nocache")?.as_str()? {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    Ok((names.held(row.get("site")?), nocache))
}

fn arm_name(nocache: Option<bool>) -> &'static str {
    match nocache {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    }
}

/// Numbers and their names as JSON, which can always be written.
fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn from_text<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text = row.get_ref(index)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Opinion;

    /// The path of a file that is not there, and is removed at the end.
    struct NewFile(PathBuf);

    impl NewFile {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("nocache-gateway-{}-{name}.sqlite", std::process::id())))
        }
    }

    impl Drop for NewFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn task(number: u64, created: Millis) -> Task {
        Task {
            id: TaskId::of(&number.to_string()).unwrap(),
            arm: ("a.example".into(), Some(true)),
            is_set: true,
            captcha: "recaptcha-v3",
            rule: Some("shop".into()),
            created,
            hour: created / HOUR,
            polls: 7,
            end: Some(End::Solved(4_200)),
            report: Some(Opinion::Bad),
            sent: 8,
            last_sent: created + 5_000,
        }
    }

    fn row(hour: u64, nocache: Option<bool>) -> (u64, Arm, Sum) {
        let mut sum = Sum {
            created: 9,
            refused: [(ErrorCode::of("ERROR_ZERO_BALANCE"), 3)].into_iter().collect(),
            solved: 5,
            errors: [(ErrorCode::of("ERROR_CAPTCHA_UNSOLVABLE"), 2)].into_iter().collect(),
            polls: 40,
            reported_good: 1,
            reported_bad: 2,
            ..Sum::default()
        };
        [900, 4_200, 70_000]
            .into_iter()
            .for_each(|time| sum.solve_times.add(time));
        (hour, ("a.example".into(), nocache), sum)
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let file = NewFile::new("again");
        let now = 1_000 * HOUR;
        let changes = Changes {
            tasks: vec![
                task(7_654_321, now - 3),
                Task {
                    captcha: "other",
                    rule: None,
                    end: Some(End::Failed(ErrorCode::of("ERROR_CAPTCHA_UNSOLVABLE"))),
                    report: None,
                    ..task(u64::MAX, now - 2)
                },
                Task {
                    end: None,
                    is_set: false,
                    arm: ("b.example".into(), None),
                    ..task(5, now - 1)
                },
            ],
            rows: vec![
                row(999, Some(false)),
                row(999, Some(true)),
                row(999, None),
                row(1_000, None),
                // It was counted before the time of day was corrected.
                row(1_024, None),
            ],
        };
        let store = Store::at(&file.0);
        assert_eq!(store.open(now, 10).unwrap(), Changes::default());
        store.save(&changes, Some(now)).unwrap();
        // What is there is replaced.
        store.save(&changes, Some(now)).unwrap();
        drop(store);
        let mut read = Store::at(&file.0).open(now, 10).unwrap();
        read.rows
            .sort_by_key(|(hour, arm, _)| (*hour, arm.1 != Some(false), arm.1.is_none()));
        assert_eq!(read, changes);
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let file = NewFile::new("old");
        let now = 1_000 * HOUR;
        let changes = Changes {
            tasks: vec![task(1, now)],
            rows: vec![row(1_000 - KEPT, None), row(1_000 - 24, None), row(1_000, None)],
        };
        let store = Store::at(&file.0);
        store.open(now, 10).unwrap();
        store.save(&changes, Some(now)).unwrap();
        assert_eq!(store.rows(&(0..u64::MAX >> 1)).unwrap().len(), 3);
        store.save(&Changes::default(), Some(now + HOUR)).unwrap();
        assert_eq!(store.rows(&(0..u64::MAX >> 1)).unwrap().len(), 2);
        drop(store);
        let later = Store::at(&file.0).open(now + HOUR, 10).unwrap();
        assert_eq!((later.tasks.len(), later.rows.len()), (0, 1));
    }

    #[test]
    fn other_files_are_left_as_they_are() {
        let file = NewFile::new("foreign");
        let other = Connection::open(&file.0).unwrap();
        other.execute_batch("CREATE TABLE books (title TEXT);").unwrap();
        let before = std::fs::read(&file.0).unwrap();
        assert!(matches!(Store::at(&file.0).open(0, 10), Err(StoreError::Foreign(_))));
        assert_eq!(std::fs::read(&file.0).unwrap(), before);
        other.execute_batch("PRAGMA user_version = 2;").unwrap();
        drop(other);
        assert!(matches!(Store::at(&file.0).open(0, 10), Err(StoreError::Foreign(_))));
        let nowhere = Store::at(Path::new("/nowhere/ledger.sqlite"));
        assert!(matches!(nowhere.open(0, 10), Err(StoreError::Sqlite { .. })));
        assert!(matches!(nowhere.rows(&(0..1)), Err(StoreError::NotOpen(_))));
    }

    #[test]
    fn a_file_has_one_user() {
        let file = NewFile::new("user");
        let first = Store::at(&file.0);
        first.open(0, 10).unwrap();
        assert!(matches!(Store::at(&file.0).open(0, 10), Err(StoreError::InUse(_))));
        drop(first);
        Store::at(&file.0).open(0, 10).unwrap();
    }
}
