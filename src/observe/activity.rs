//! What happened lately, for the status page: the last hour in minutes, the last decisions, how often each rule decided, and
//! sites that no rule names.

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use parking_lot::Mutex;
use smol_str::SmolStr;
use strum::VariantArray;

use super::{
    Cause, Record,
    record::{HIDDEN_HOST, shown_host},
};
use crate::{
    rewrite::{Decision, Reason},
    rules::Rule,
    submission::{Captcha, Host},
};

/// How many minutes are held.
pub const MINUTES: usize = 60;
/// How many decisions are held.
const LATEST: usize = 50;
/// How many sites without a rule are told apart in an hour.
const MAX_SITES: usize = 1_000;

const MINUTE: Duration = Duration::from_secs(60);

/// Submissions of a minute, by decision, in the order of [`Decision::VARIANTS`]; the last number is of those that were
/// refused or given up before anything was decided.
pub type Minute = [u32; Decision::VARIANTS.len() + 1];

/// A decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// When its request had ended.
    pub at: Instant,
    /// The site.
    pub site: Option<Host>,
    /// The captcha.
    pub captcha: Option<Captcha>,
    /// What was decided; `None` if it was refused before.
    pub decision: Option<Decision>,
    /// The rule that decided.
    pub rule: Option<SmolStr>,
    /// Why nothing was changed.
    pub reason: Option<Reason>,
    /// Why it failed.
    pub cause: Option<Cause>,
}

/// What happened lately.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With the number of each minute since the beginning.
    minutes: VecDeque<(u64, Minute)>,
    latest: VecDeque<Decided>,
    hits: HashMap<SmolStr, u64>,
    without_rule: SitesOfHours,
}

/// Submissions by site, of the current hour since the beginning and of the one before: so sites that are gone make room.
#[derive(Debug, Default)]
struct SitesOfHours {
    hour: u64,
    current: HashMap<String, u64>,
    before: HashMap<String, u64>,
}

impl SitesOfHours {
    fn count(&mut self, hour: u64, site: &str) {
        self.go_on_to(hour);
        let is_room = self.current.len() < MAX_SITES;
        match self.current.get_mut(site) {
            Some(count) => *count += 1,
            None if is_room => drop(self.current.insert(site.to_owned(), 1)),
            None => {}
        }
    }

    fn go_on_to(&mut self, hour: u64) {
        if hour > self.hour {
            let ended = mem::take(&mut self.current);
            self.before = if hour == self.hour + 1 { ended } else { HashMap::new() };
            self.hour = hour;
        }
    }

    fn all(&mut self, hour: u64) -> HashMap<String, u64> {
        self.go_on_to(hour);
        let mut all = self.before.clone();
        for (site, count) in &self.current {
            *all.entry(site.clone()).or_default() += count;
        }
        all
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Activity {
    /// Notes a submission.
    pub fn observe(&self, record: &Record) {
        if record.is_submission() {
            self.observe_at(record, record.ended());
        }
    }

    fn observe_at(&self, record: &Record, now: Instant) {
        let minute = self.minute(now);
        let decided = record.decided.as_ref();
        let latest = Decided {
            at: now,
            site: record.site.clone(),
            captcha: record.captcha.clone(),
            decision: decided.map(|decided| decided.decision),
            rule: decided.and_then(|decided| decided.rule.clone()),
            reason: decided.and_then(|decided| decided.reason),
            cause: record.cause,
        };
        let mut state = self.state.lock();
        let column = latest
            .decision
            .map_or(Decision::VARIANTS.len(), |decision| decision as usize);
        // A thread that was held up comes with a minute that has ended.
        match state.minutes.iter_mut().rfind(|(number, _)| *number == minute) {
            Some((_, counts)) => counts[column] += 1,
            None => {
                let mut counts = Minute::default();
                counts[column] = 1;
                state.minutes.push_back((minute, counts));
                state.minutes.retain(|(number, _)| number + MINUTES as u64 > minute);
            }
        }
        match (&latest.rule, &latest.site) {
            (Some(rule), Some(site)) if rule == Rule::DEFAULT => {
                state.without_rule.count(minute / 60, &shown_host(site));
            }
            (Some(rule), _) if rule != Rule::DEFAULT => match state.hits.get_mut(rule) {
                Some(count) => *count += 1,
                None => drop(state.hits.insert(rule.clone(), 1)),
            },
            _ => {}
        }
        if state.latest.len() == LATEST {
            state.latest.pop_front();
        }
        state.latest.push_back(latest);
    }

    fn minute(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs() / MINUTE.as_secs()
    }

    /// Since when it is observed.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The last hour, the current minute last.
    pub fn last_hour(&self) -> [Minute; MINUTES] {
        self.hour_until(self.minute(Instant::now()))
    }

    /// The hour that ends with a minute. The next may have begun since.
    fn hour_until(&self, current: u64) -> [Minute; MINUTES] {
        let mut hour = [Minute::default(); MINUTES];
        for (number, counts) in &self.state.lock().minutes {
            let slot = (number + MINUTES as u64).checked_sub(current + 1);
            if let Some(slot) = slot.and_then(|slot| hour.get_mut(slot as usize)) {
                *slot = *counts;
            }
        }
        hour
    }

    /// The last decisions, the latest first.
    pub fn latest(&self) -> Vec<Decided> {
        self.state.lock().latest.iter().rev().cloned().collect()
    }

    /// How often each of these rules decided.
    pub fn hits<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<u64> {
        let state = self.state.lock();
        rules
            .map(|rule| state.hits.get(&rule.id).copied().unwrap_or(0))
            .collect()
    }

    /// The sites that the default decided about in this hour or the one before, with the number of submissions, the most
    /// first. What cannot be shown is not among them.
    pub fn without_rule(&self) -> Vec<(String, u64)> {
        let hour = self.minute(Instant::now()) / 60;
        let all = self.state.lock().without_rule.all(hour);
        let mut sites: Vec<(String, u64)> = all.into_iter().filter(|(site, _)| site != HIDDEN_HOST).collect();
        sites.sort_by(|(a, more), (b, than)| than.cmp(more).then_with(|| a.cmp(b)));
        sites
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observe::record,
        submission::{Dialect, Host},
    };

    fn submission(site: &str, rule: &str, decision: Decision) -> Record {
        Record {
            dialect: Some(Dialect::CreateTask),
            site: Some(Host::as_written(site)),
            decided: Some(record::Decided {
                decision,
                action: None,
                rule: Some(rule.into()),
                via: None,
                reason: None,
                near: None,
                detail: None,
            }),
            ..Record::with_new_id()
        }
    }

    #[test]
    fn the_last_hour_ends_with_this_minute() {
        let activity = Activity::default();
        for _ in 0..3 {
            activity.observe(&submission("a.example", "shop", Decision::Set));
        }
        activity.observe(&submission("a.example", "shop", Decision::Denied));
        activity.observe(&Record {
            decided: None,
            ..submission("a.example", "shop", Decision::Set)
        });
        let hour = activity.last_hour();
        assert_eq!(hour[MINUTES - 1], [3, 0, 0, 0, 1, 1]);
        assert!(hour[..MINUTES - 1].iter().flatten().all(|count| *count == 0));
        // What is older than an hour is gone.
        let later = activity.began + 61 * MINUTE;
        activity.observe_at(&submission("a.example", "shop", Decision::Set), later);
        assert_eq!(activity.state.lock().minutes.len(), 1);
    }

    /// Threads take the time, and then the lock, in any order.
    #[test]
    fn minutes_may_come_late_or_early() {
        let activity = Activity::default();
        let at = |minute: u32| activity.began + minute * MINUTE;
        for minute in [5, 6, 5, 6, 5] {
            activity.observe_at(&submission("a.example", "shop", Decision::Set), at(minute));
        }
        let counts = |current| activity.hour_until(current).map(|minute| minute[0]);
        assert_eq!(counts(6)[MINUTES - 2..], [3, 2]);
        assert_eq!(counts(5)[MINUTES - 2..], [0, 3]);
    }

    #[test]
    fn sites_that_are_gone_make_room() {
        let mut sites = SitesOfHours::default();
        for number in 0..2_000 {
            sites.count(0, &format!("s{number}.example"));
        }
        sites.count(1, "new.example");
        assert_eq!((sites.all(1).len(), sites.all(1)["new.example"]), (MAX_SITES + 1, 1));
        assert_eq!(sites.all(2).len(), 1);
        assert!(sites.all(9).is_empty());
    }

    #[test]
    fn rules_and_sites_are_counted_within_bounds() {
        let activity = Activity::default();
        for number in 0..2_000 {
            activity.observe(&submission(&format!("s{number}.example"), "default", Decision::Set));
        }
        activity.observe(&submission("a\"b.example", "default", Decision::Set));
        activity.observe(&submission("s7.example", "default", Decision::Set));
        activity.observe(&submission("s7.example", "shop", Decision::Kept));
        let sites = activity.without_rule();
        assert_eq!((sites.len(), &sites[0]), (MAX_SITES, &("s7.example".to_owned(), 2)));
        let rule = |id: &str| Rule {
            id: id.into(),
            ..Rule::built_in_default()
        };
        assert_eq!(activity.hits([rule("shop"), rule("never")].iter()), [1, 0]);
        let latest = activity.latest();
        assert_eq!((latest.len(), latest[0].rule.as_deref()), (LATEST, Some("shop")));
    }
}
