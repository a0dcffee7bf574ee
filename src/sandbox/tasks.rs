//! The tasks of the sandbox.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tracing::info;

use super::{Settings, bans::Bans};

/// The id of the first task, which is the one of the vendor's documentation.
pub const FIRST_ID: u64 = 7_654_321;

/// The vendor's error for an id that is none.
pub const WRONG_ID: &str = "WRONG_CAPTCHA_ID";

/// The vendor's error for a task that cannot be solved.
pub const UNSOLVABLE: &str = "ERROR_CAPTCHA_UNSOLVABLE";

/// By which of the vendor's ways nocache reached a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nocache {
    /// Not at all.
    Off,
    /// By the member or parameter.
    Parameter,
    /// By the key's suffix.
    Key,
}

impl Nocache {
    /// What a request says by its parameter and its key.
    pub fn of(parameter: bool, key: bool) -> Self {
        match (parameter, key) {
            (true, _) => Self::Parameter,
            (false, true) => Self::Key,
            (false, false) => Self::Off,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Parameter => "parameter",
            Self::Key => "key",
        }
    }
}

#[derive(Debug)]
struct Task {
    captcha: String,
    nocache: Nocache,
    is_token: bool,
    /// The target page's host, or what was sent instead.
    site: String,
    created: Instant,
    polls: u32,
    polled: Option<Instant>,
    /// How it ended, as the first poll was told that said so.
    end: Option<&'static str>,
    report: Option<&'static str>,
}

/// All tasks so far.
#[derive(Debug)]
pub struct Tasks {
    by_id: BTreeMap<u64, Task>,
    settings: Settings,
    /// Keys that are locked.
    pub bans: Bans,
}

/// A solution.
pub enum Solution {
    /// Not yet.
    Processing,
    /// A token.
    Token(String),
    /// A picture's text.
    Text(&'static str),
}

/// A type or a method as the log shows it: a bot that is being tested can send its key there, and no key looks like these.
fn shown(captcha: &str) -> &str {
    let is_type =
        captcha.len() <= 64 && captcha.contains("Task") && captcha.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_method = captcha.len() <= 24
        && captcha
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'0'..=b'9'))
        && captcha.bytes().filter(u8::is_ascii_digit).count() <= 2;
    if is_type || is_method { captcha } else { "other" }
}

/// A point in time in seconds since 1970.
fn unix_seconds(at: Instant) -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (time.saturating_sub(at.elapsed()).as_millis() as f64) / 1000.0
}

/// A number from 0 to 1 that is a task's own, and looks like chance.
fn share_of(id: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}

/// The host of a page's URL, for who looks at the tasks.
fn host(page: &str) -> String {
    let rest = page.split_once("://").map_or(page, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

impl Tasks {
    /// No tasks.
    pub fn new(settings: Settings) -> Self {
        Self {
            by_id: BTreeMap::new(),
            settings,
            bans: Bans::default(),
        }
    }

    /// Creates a task, says so in the log, and returns its id.
    pub fn create(&mut self, captcha: &str, nocache: Nocache, page: &str) -> u64 {
        let id = FIRST_ID + self.by_id.len() as u64;
        info!(
            task = id,
            captcha = shown(captcha),
            nocache = nocache.name(),
            "task created"
        );
        self.by_id.insert(
            id,
            Task {
                captcha: captcha.to_owned(),
                nocache,
                is_token: !matches!(captcha, "ImageToTextTask" | "base64" | "post"),
                site: host(page),
                created: Instant::now(),
                polls: 0,
                polled: None,
                end: None,
                report: None,
            },
        );
        id
    }

    /// Whether a key is locked.
    pub fn is_locked(&self, key: &str) -> bool {
        self.settings.ban && self.bans.is_locked(key)
    }

    /// Asks for a task's solution, which counts as a poll.
    pub fn poll(&mut self, key: &str, id: u64) -> Result<Solution, &'static str> {
        let Some(task) = self.by_id.get_mut(&id) else {
            self.bans.note_wrong_id(key);
            return Err(WRONG_ID);
        };
        task.polls += 1;
        let spacing = task.polled.replace(Instant::now()).map(|polled| polled.elapsed());
        self.bans.note_poll(key, task.polls, spacing);
        let settings = &self.settings;
        let extra = match task.nocache {
            Nocache::Off => Duration::ZERO,
            Nocache::Parameter | Nocache::Key => settings.nocache_delay,
        };
        // Around the mean, so that a distribution is one. Without a delay it is none.
        let delay = (settings.delay + extra).mul_f64(0.5 + share_of(id));
        if task.polls <= settings.polls || task.created.elapsed() < delay {
            return Ok(Solution::Processing);
        }
        if settings.fail_every > 0 && (id - FIRST_ID + 1).is_multiple_of(settings.fail_every) {
            task.end = Some(UNSOLVABLE);
            return Err(UNSOLVABLE);
        }
        task.end = Some("ready");
        Ok(if task.is_token {
            Solution::Token(format!("03AGsandbox.{id}.nocache-{}", task.nocache.name()))
        } else {
            Solution::Text("sandbox")
        })
    }

    /// Whether the site takes a token: always with nocache, otherwise by the site's own odds.
    pub fn is_accepted(&self, token: &str) -> bool {
        let id = token.split('.').nth(1).and_then(|id| id.parse().ok());
        let Some((id, task)) = id.and_then(|id| Some((id, self.by_id.get(&id)?))) else {
            return false;
        };
        let odds = self.settings.accept.iter().find(|odds| odds.site == task.site);
        task.nocache != Nocache::Off || odds.is_none_or(|odds| share_of(id) < odds.share)
    }

    /// Notes a report on a task.
    pub fn report(&mut self, id: u64, report: &'static str) -> Result<(), &'static str> {
        let task = self.by_id.get_mut(&id).ok_or(WRONG_ID)?;
        task.report = Some(report);
        Ok(())
    }

    /// All tasks, for people and tests to look at.
    pub fn to_json(&self) -> Value {
        let task = |(id, task): (&u64, &Task)| {
            json!({
                "taskId": id,
                "captcha": task.captcha,
                "nocache": task.nocache.name(),
                "site": task.site,
                "created": unix_seconds(task.created),
                "polls": task.polls,
                "end": task.end,
                "report": task.report,
            })
        };
        Value::Array(self.by_id.iter().map(task).collect())
    }
}
