//! Clients that do what earns a ban of the vendor's, or what does not work: warned of before it costs them their key.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

use http::HeaderValue;
use parking_lot::Mutex;
use strum::VariantArray;
use tracing::warn;

use super::{
    Record,
    record::{Guarded, Polled},
};
use crate::{submission::lint::Lint, task::VendorResult};

/// How often a client is warned of for one reason.
const PERIOD: Duration = Duration::from_secs(60);
/// How many clients are told apart, with what they do.
const MAX_REMEMBERED: usize = 1_000;
/// How long a warning is shown.
const SHOWN: Duration = Duration::from_secs(3600);

/// From so many polls of a task on: the vendor's limit is 120.
const MANY_POLLS: u32 = 100;
/// The least time between two polls of a task. A client that waits the 2 seconds is a little early at times.
const FAST: Duration = Duration::from_millis(1_800);
/// So many errors about a key within [`PERIOD`] come before the ban.
const MANY_ERRORS: u32 = 3;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Habit {
    /// It polls a task too often.
    ManyPolls,
    /// It polls a task too fast.
    FastPolls,
    /// Its key does not exist, or has no balance.
    KeyErrors,
    /// It polls something that is not a task.
    WrongIds,
    /// It makes a mistake with nocache.
    Mistake(Lint),
}

impl Habit {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let polls = [Self::ManyPolls, Self::FastPolls, Self::KeyErrors, Self::WrongIds];
        polls
            .into_iter()
            .chain(Lint::VARIANTS.iter().map(|lint| Self::Mistake(*lint)))
    }

    /// What the polls of a task show.
    pub fn of_polls(polled: Polled) -> Option<Self> {
        let is_fast = polled.spacing.is_some_and(|spacing| spacing < FAST);
        match polled.times {
            MANY_POLLS.. => Some(Self::ManyPolls),
            _ => is_fast.then_some(Self::FastPolls),
        }
    }

    /// Its name in log and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ManyPolls => "many-polls",
            Self::FastPolls => "fast-polls",
            Self::KeyErrors => "key-errors",
            Self::WrongIds => "wrong-ids",
            Self::Mistake(lint) => lint.into(),
        }
    }

    /// What is wrong and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::ManyPolls => {
                "a client has polled a task 100 times or more: the vendor locks the key at 120; let it wait longer between polls"
            }
            Self::FastPolls => {
                "a client polls a task more often than every 2 s: the vendor locks keys for that; let it wait 3 s, or set [guard] polls = \"pace\""
            }
            Self::KeyErrors => {
                "a client goes on with a key that does not exist or has no balance: the vendor bans the address for that"
            }
            Self::WrongIds => "a client polls an id that cannot be one: it takes an error for a task's id",
            Self::Mistake(lint) => lint.advice(),
        }
    }
}

/// A client: its address and the product that its User-Agent field names first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client {
    peer: Option<IpAddr>,
    product: String,
}

#[derive(Clone, Debug)]
struct Noticed {
    reported: Instant,
    latest: Instant,
    /// Since it was reported.
    unreported: u64,
    total: u64,
}

/// What a client did.
#[derive(Clone, Debug)]
pub struct Warning {
    /// What it was.
    pub habit: Habit,
    /// Who it was, in words.
    pub client: String,
    /// How often.
    pub times: u64,
    /// When it was last.
    pub latest: Instant,
}

/// Warns of clients, each for one reason at most once a minute, and once at all for a mistake with nocache, as long as there is
/// room to remember that.
#[derive(Debug, Default)]
pub struct Clients {
    noticed: Mutex<HashMap<(Client, Habit), Noticed>>,
    /// Errors about a key, by a hash of it: since when, and how many.
    keys: Mutex<HashMap<u64, (Instant, u32)>>,
}

impl Clients {
    /// Warns of what a record shows. Returns it, for the metrics.
    pub fn observe(&self, record: &Record) -> Option<Habit> {
        let now = record.ended();
        let habit = self.habit(record, now)?;
        self.notice(record, habit, now);
        Some(habit)
    }

    fn habit(&self, record: &Record, now: Instant) -> Option<Habit> {
        if record.guarded == Some(Guarded::WrongId) {
            return Some(Habit::WrongIds);
        }
        if let Some(habit) = record.polled.and_then(Habit::of_polls) {
            return Some(habit);
        }
        if let (Some(VendorResult::Failed(code)), Some(key)) = (record.vendor, record.key)
            && matches!(
                code.name(),
                "ERROR_KEY_DOES_NOT_EXIST" | "ERROR_WRONG_USER_KEY" | "ERROR_ZERO_BALANCE"
            )
            && self.fails_again(key, now)
        {
            return Some(Habit::KeyErrors);
        }
        record.lint.map(Habit::Mistake)
    }

    /// Counts an error about a key. Returns whether there were many lately.
    fn fails_again(&self, key: u64, now: Instant) -> bool {
        let mut keys = self.keys.lock();
        if keys.len() >= MAX_REMEMBERED && !keys.contains_key(&key) {
            keys.retain(|_, (since, _)| now.duration_since(*since) < PERIOD);
            if keys.len() >= MAX_REMEMBERED {
                return false;
            }
        }
        let (since, times) = keys.entry(key).or_insert((now, 0));
        if now.duration_since(*since) >= PERIOD {
            (*since, *times) = (now, 0);
        }
        *times += 1;
        *times >= MANY_ERRORS
    }

    fn notice(&self, record: &Record, habit: Habit, now: Instant) {
        let product = record.agent.as_ref().map_or_else(String::new, shown_product);
        let client = Client {
            peer: record.peer,
            product,
        };
        let mut noticed = self.noticed.lock();
        if noticed.len() >= MAX_REMEMBERED {
            noticed.retain(|_, noticed| now.saturating_duration_since(noticed.latest) < PERIOD);
        }
        let is_room = noticed.len() < MAX_REMEMBERED;
        let times = match noticed.get_mut(&(client.clone(), habit)) {
            Some(known) => {
                known.total += 1;
                known.unreported += 1;
                known.latest = now;
                if matches!(habit, Habit::Mistake(_)) || now.duration_since(known.reported) < PERIOD {
                    return;
                }
                known.reported = now;
                std::mem::take(&mut known.unreported)
            }
            None if is_room => {
                let first = Noticed {
                    reported: now,
                    latest: now,
                    unreported: 0,
                    total: 1,
                };
                noticed.insert((client.clone(), habit), first);
                1
            }
            None => return,
        };
        drop(noticed);
        let client = client.to_string();
        warn!(id = %record.id, warning = habit.name(), client, times, "{}", habit.advice());
    }

    /// What clients did in the last hour, the latest first.
    pub fn warnings(&self) -> Vec<Warning> {
        let recent = |noticed: &Noticed| noticed.latest.elapsed() < SHOWN;
        let noticed = self.noticed.lock();
        let mut warnings: Vec<Warning> = noticed
            .iter()
            .filter(|(_, noticed)| recent(noticed))
            .map(|((client, habit), noticed)| Warning {
                habit: *habit,
                client: client.to_string(),
                times: noticed.total,
                latest: noticed.latest,
            })
            .collect();
        drop(noticed);
        warnings.sort_by_key(|warning| std::cmp::Reverse(warning.latest));
        warnings
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.peer, self.product.as_str()) {
            (None, product) => f.write_str(product),
            (Some(peer), "") => peer.fmt(f),
            (Some(peer), product) => write!(f, "{product} at {peer}"),
        }
    }
}

/// The product that a User-Agent field names first (RFC 9110, section 10.1.5), if it can be no secret: a secret is long, or has
/// many digits, with hyphens in it or not.
fn shown_product(agent: &HeaderValue) -> String {
    let text = agent.to_str().unwrap_or_default();
    let product = text.split([' ', '(']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_');
    let longest = product.split(['/', '.', '-', '_']).map(str::len).max().unwrap_or(0);
    let digits = product.bytes().filter(u8::is_ascii_digit).count();
    match product.len() <= 48 && longest < 24 && digits < 12 && product.bytes().all(is_plain) {
        true => product.to_owned(),
        false => String::new(),
    }
}

/// A hash of a key that only this process can make again.
pub fn key_hash(key: &[u8]) -> u64 {
    use std::sync::LazyLock;
    static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SALT.hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ErrorCode;

    fn polled(times: u32, spacing: Option<u64>) -> Record {
        Record {
            peer: Some(IpAddr::from([127, 0, 0, 1])),
            agent: Some(HeaderValue::from_static("python-requests/2.32 (x)")),
            polled: Some(Polled {
                times,
                spacing: spacing.map(Duration::from_millis),
            }),
            ..Record::with_new_id()
        }
    }

    #[test]
    fn polls_that_earn_a_ban_are_noticed() {
        let clients = Clients::default();
        for (record, habit) in [
            (polled(1, None), None),
            (polled(2, Some(1_800)), None),
            (polled(2, Some(1_799)), Some(Habit::FastPolls)),
            (polled(99, Some(3_000)), None),
            (polled(100, Some(3_000)), Some(Habit::ManyPolls)),
        ] {
            assert_eq!(clients.observe(&record), habit, "{:?}", record.polled);
        }
        let warnings = clients.warnings();
        assert_eq!(warnings.len(), 2);
        assert_eq!(warnings[0].client, "python-requests/2.32 at 127.0.0.1");
    }

    #[test]
    fn three_errors_about_a_key_are_noticed() {
        let clients = Clients::default();
        let failed = |key: &[u8]| Record {
            key: Some(key_hash(key)),
            vendor: Some(VendorResult::Failed(ErrorCode::of("ERROR_ZERO_BALANCE"))),
            ..Record::with_new_id()
        };
        let habits = [b"a", b"b", b"a", b"a", b"a"].map(|key| clients.observe(&failed(key)));
        assert_eq!(
            habits,
            [None, None, None, Some(Habit::KeyErrors), Some(Habit::KeyErrors)]
        );
        assert_eq!(clients.warnings()[0].times, 2);
        // A minute later it begins again.
        assert!(!clients.fails_again(key_hash(b"a"), Instant::now() + PERIOD));
    }

    #[test]
    fn many_clients_take_bounded_memory() {
        let clients = Clients::default();
        for number in 0..5_000_u32 {
            let peer = Some(IpAddr::from(number.to_be_bytes()));
            clients.observe(&Record {
                peer,
                ..polled(100, None)
            });
            clients.fails_again(u64::from(number), Instant::now());
        }
        assert_eq!(clients.noticed.lock().len(), MAX_REMEMBERED);
        assert_eq!(clients.keys.lock().len(), MAX_REMEMBERED);
    }

    /// A thousand clients with a mistake do not keep the next from being warned of.
    #[test]
    fn clients_that_are_gone_make_room() {
        let clients = Clients::default();
        let record = |number: u32| Record {
            peer: Some(IpAddr::from(number.to_be_bytes())),
            ..Record::with_new_id()
        };
        let now = Instant::now();
        for number in 0..2_000 {
            clients.notice(&record(number), Habit::Mistake(Lint::VARIANTS[0]), now);
        }
        let noticed = || clients.noticed.lock().len();
        assert_eq!(noticed(), MAX_REMEMBERED);
        clients.notice(&record(5_000), Habit::FastPolls, now + PERIOD);
        assert_eq!(noticed(), 1);
    }

    #[test]
    fn an_agent_that_could_be_a_key_is_not_shown() {
        for (agent, shown) in [
            ("Mozilla/5.0 (X11)", "Mozilla/5.0"),
            ("Go-http-client/1.1", "Go-http-client/1.1"),
            ("0123456789abcdef0123456789abcdef", ""),
            ("x/0123456789abcdef0123456789abcdef", ""),
            ("HeadlessChrome/130.0.6723.91", "HeadlessChrome/130.0.6723.91"),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""),
            ("<img>", ""),
            ("", ""),
        ] {
            assert_eq!(shown_product(&HeaderValue::from_static(agent)), shown, "{agent}");
        }
    }
}
