//! Bans, as far as the vendor documents them: it locks a key for 10 minutes that polls a task more than 120 times, or more
//! often than every 2 seconds, or polls what is no task (<https://docs.capmonster.cloud/docs/api/methods/get-task-result/>).
//! How often it forgives the last two it does not say; here it is [`FORGIVEN`] times.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How often a task may be polled.
const MOST: u32 = 120;
/// The least time between two polls of a task. A client that waits the 2 seconds is a little early at times.
const SPACING: Duration = Duration::from_millis(1_750);
/// How many polls of a key may be too fast, or for what is no task.
const FORGIVEN: u32 = 9;
/// How long a key is locked.
const LOCKED: Duration = Duration::from_secs(600);

/// What each key did.
#[derive(Debug, Default)]
pub struct Bans {
    keys: HashMap<String, Deeds>,
    /// Why keys were locked, in order.
    reasons: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Deeds {
    fast: u32,
    wrong: u32,
    locked: Option<Instant>,
}

impl Bans {
    /// Whether a key is locked.
    pub fn is_locked(&self, key: &str) -> bool {
        let locked = self.keys.get(key).and_then(|deeds| deeds.locked);
        locked.is_some_and(|locked| locked.elapsed() < LOCKED)
    }

    /// Notes a poll of a task: how many there were with this one, and how long after the one before.
    pub fn note_poll(&mut self, key: &str, times: u32, spacing: Option<Duration>) {
        let deeds = self.keys.entry(key.to_owned()).or_default();
        deeds.fast += u32::from(spacing.is_some_and(|spacing| spacing < SPACING));
        if times > MOST {
            self.lock(key, "many-polls");
        } else if deeds.fast > FORGIVEN {
            self.lock(key, "fast-polls");
        }
    }

    /// Notes a poll of what is no task.
    pub fn note_wrong_id(&mut self, key: &str) {
        let deeds = self.keys.entry(key.to_owned()).or_default();
        deeds.wrong += 1;
        if deeds.wrong > FORGIVEN {
            self.lock(key, "wrong-ids");
        }
    }

    fn lock(&mut self, key: &str, reason: &'static str) {
        if self.is_locked(key) {
            return;
        }
        let locked = Some(Instant::now());
        let deeds = Deeds {
            locked,
            ..Deeds::default()
        };
        self.keys.insert(key.to_owned(), deeds);
        self.reasons.push(reason);
    }

    /// Why keys were locked. No key is shown.
    pub fn to_json(&self) -> Value {
        json!(self.reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_locked_for_what_it_does() {
        let mut bans = Bans::default();
        for times in 1..=MOST {
            bans.note_poll("patient", times, Some(SPACING));
        }
        assert!(!bans.is_locked("patient"));
        bans.note_poll("patient", MOST + 1, Some(SPACING));
        assert!(bans.is_locked("patient") && !bans.is_locked("other"));
        for number in 0..=FORGIVEN {
            assert!(!bans.is_locked("fast") && !bans.is_locked("wrong"), "{number}");
            bans.note_poll("fast", number, Some(Duration::from_secs(1)));
            bans.note_wrong_id("wrong");
        }
        assert!(bans.is_locked("fast") && bans.is_locked("wrong"));
        assert_eq!(bans.to_json(), json!(["many-polls", "fast-polls", "wrong-ids"]));
    }
}
