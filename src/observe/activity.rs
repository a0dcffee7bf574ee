//! What happened lately, for the status page: the last hour in minutes, the last decisions, how often each rule decided, and
//! sites that no rule names.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use strum::VariantArray;

use super::{Cause, Record, record::shown_host};
use crate::{
    rewrite::{Decision, Reason},
    rules::Rule,
};

/// How many minutes are held.
pub const MINUTES: usize = 60;
/// How many decisions are held.
const LATEST: usize = 50;
/// How many sites without a rule are told apart.
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
    /// The site, as it may be shown.
    pub site: Option<String>,
    /// The captcha, as it may be shown.
    pub captcha: Option<String>,
    /// What was decided; `None` if it was refused before.
    pub decision: Option<Decision>,
    /// The rule that decided.
    pub rule: Option<String>,
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
    /// With the number of each minute since the beginning, the latest last.
    minutes: VecDeque<(u64, Minute)>,
    latest: VecDeque<Decided>,
    hits: HashMap<String, u64>,
    without_rule: HashMap<String, u64>,
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
            self.observe_at(record, Instant::now());
        }
    }

    fn observe_at(&self, record: &Record, now: Instant) {
        let minute = self.minute(now);
        let decided = record.decided.as_ref();
        let latest = Decided {
            at: now,
            site: record.site.as_ref().map(|site| shown_host(site).into_owned()),
            captcha: record.captcha.as_ref().map(ToString::to_string),
            decision: decided.map(|decided| decided.decision),
            rule: decided.and_then(|decided| decided.rule.clone()),
            reason: decided.and_then(|decided| decided.reason),
            cause: record.cause,
        };
        let mut state = self.state.lock();
        if state.minutes.back().is_none_or(|(last, _)| *last != minute) {
            state.minutes.push_back((minute, Minute::default()));
            state.minutes.retain(|(number, _)| number + MINUTES as u64 > minute);
        }
        let column = latest
            .decision
            .map_or(Decision::VARIANTS.len(), |decision| decision as usize);
        if let Some((_, counts)) = state.minutes.back_mut() {
            counts[column] += 1;
        }
        match (&latest.rule, &latest.site) {
            (Some(rule), Some(site)) if rule == Rule::DEFAULT => {
                let is_room = state.without_rule.len() < MAX_SITES;
                match state.without_rule.get_mut(site) {
                    Some(count) => *count += 1,
                    None if is_room => drop(state.without_rule.insert(site.clone(), 1)),
                    None => {}
                }
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
        let current = self.minute(Instant::now());
        let mut hour = [Minute::default(); MINUTES];
        for (number, counts) in &self.state.lock().minutes {
            if let Some(slot) = (number + MINUTES as u64).checked_sub(current + 1) {
                hour[slot as usize] = *counts;
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

    /// The sites with the most submissions that the default decided, with their number.
    pub fn without_rule(&self, count: usize) -> Vec<(String, u64)> {
        let mut sites: Vec<(String, u64)> = self.state.lock().without_rule.clone().into_iter().collect();
        sites.sort_by(|(a, more), (b, than)| than.cmp(more).then_with(|| a.cmp(b)));
        sites.truncate(count);
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
                rule: Some(rule.to_owned()),
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

    #[test]
    fn rules_and_sites_are_counted_within_bounds() {
        let activity = Activity::default();
        for number in 0..2_000 {
            activity.observe(&submission(&format!("s{number}.example"), "default", Decision::Set));
        }
        activity.observe(&submission("s7.example", "default", Decision::Set));
        activity.observe(&submission("s7.example", "shop", Decision::Kept));
        assert_eq!(activity.state.lock().without_rule.len(), MAX_SITES);
        assert_eq!(activity.without_rule(1), [("s7.example".to_owned(), 2)]);
        let rule = |id: &str| Rule {
            id: id.to_owned(),
            ..Rule::built_in_default()
        };
        assert_eq!(activity.hits([rule("shop"), rule("never")].iter()), [1, 0]);
        let latest = activity.latest();
        assert_eq!((latest.len(), latest[0].rule.as_deref()), (LATEST, Some("shop")));
    }
}
