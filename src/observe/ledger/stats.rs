//! The sums of some hours per site and arm, and what follows from them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    clock::Millis,
    sums::{Arm, Counts, OTHER, Sum},
};
use crate::observe::time::rfc3339;

/// How many sites and arms are told apart: weeks can have many times as many as an hour.
const MAX_LINES: usize = 60_000;

/// The sums of some hours, by site, nocache off before on.
#[derive(Debug)]
pub struct Stats {
    since: Millis,
    until: Millis,
    sums: BTreeMap<Arm, Sum>,
}

/// The sum for a site and an arm.
#[derive(Clone, Copy, Debug)]
pub struct Line<'s> {
    /// The site.
    pub site: &'s str,
    /// Whether nocache was on; `None` if that is not known.
    pub nocache: Option<bool>,
    /// What became of it.
    pub sum: &'s Sum,
}

impl Stats {
    /// Nothing yet, of this time.
    pub fn new(since: Millis, until: Millis) -> Self {
        Self {
            since,
            until,
            sums: BTreeMap::new(),
        }
    }

    /// Adds a row of an hour. Of more sites than [`MAX_LINES`] allows the rest is [`OTHER`].
    pub fn add(&mut self, arm: &Arm, sum: &Sum) {
        if let Some(known) = self.sums.get_mut(arm) {
            known.merge(sum);
        } else if self.sums.len() < MAX_LINES {
            self.sums.insert(arm.clone(), sum.clone());
        } else {
            self.sums.entry((OTHER.into(), arm.1)).or_default().merge(sum);
        }
    }

    /// Every site and arm.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.sums.iter().map(|((site, nocache), sum)| Line {
            site,
            nocache: *nocache,
            sum,
        })
    }

    /// As JSON, for `/api/stats`. Of many sites it is long: a tree of all of it would take ten times as much memory.
    pub fn to_json(&self) -> String {
        let lines: Vec<String> = self.lines().map(|line| line.to_json().to_string()).collect();
        format!(
            r#"{{"since":"{}","until":"{}","sites":[{}]}}"#,
            rfc3339(self.since),
            rfc3339(self.until),
            lines.join(","),
        )
    }
}

impl Line<'_> {
    /// Submissions that the vendor responded to.
    pub fn submissions(&self) -> u32 {
        self.sum.created + self.sum.refused.total()
    }

    /// Polls per created task.
    pub fn polls_per_task(&self) -> Option<f64> {
        (self.sum.created > 0).then(|| f64::from(self.sum.polls) / f64::from(self.sum.created))
    }

    /// Between which shares of the solved tasks those lie that were reported bad, with 95 % confidence.
    pub fn reported_bad_share(&self) -> Option<(f64, f64)> {
        wilson(self.sum.reported_bad, self.sum.solved)
    }

    fn to_json(self) -> Value {
        let sum = self.sum;
        let codes = |counts: &Counts| -> BTreeMap<&str, u32> {
            counts.iter().map(|(code, count)| (code.name(), count)).collect()
        };
        json!({
            "site": self.site,
            "nocache": self.nocache,
            "submissions": self.submissions(),
            "created": sum.created,
            "refused": codes(&sum.refused),
            "solved": sum.solved,
            "errors": codes(&sum.errors),
            "polls": sum.polls,
            "pollsPerTask": self.polls_per_task().map(|polls| (polls * 100.0).round() / 100.0),
            "reported": sum.reported_bad + sum.reported_good,
            "reportedBad": sum.reported_bad,
            "reportedGood": sum.reported_good,
            "reportedBadShare": self.reported_bad_share().map(|(low, high)| json!({
                "low": (low * 1000.0).round() / 1000.0,
                "high": (high * 1000.0).round() / 1000.0,
            })),
            "solveMsMedian": sum.solve_times.quantile(0.5),
            "solveMsP95": sum.solve_times.quantile(0.95),
        })
    }
}

/// The 95 % interval of a share: between which two shares it lies, as far as so few cases tell (E. B. Wilson, 1927). `None`
/// without any case.
fn wilson(cases: u32, all: u32) -> Option<(f64, f64)> {
    const Z: f64 = 1.96;
    if all == 0 {
        return None;
    }
    let all = f64::from(all);
    // A task can be reported that was never seen solved: by a callback.
    let share = (f64::from(cases) / all).min(1.0);
    let spread = Z * Z / all;
    let middle = (share + spread / 2.0) / (1.0 + spread);
    let half = Z * (share * (1.0 - share) / all + spread / (4.0 * all)).sqrt() / (1.0 + spread);
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the values of R's `binom::binom.wilson`.
    #[test]
    fn intervals_are_those_of_wilson() {
        for (cases, all, low, high) in [
            (0, 10, 0.0, 0.277_5),
            (5, 10, 0.236_6, 0.763_4),
            (1, 100, 0.001_8, 0.054_5),
            (10, 10, 0.722_5, 1.0),
        ] {
            let (shown_low, shown_high) = wilson(cases, all).unwrap();
            assert!(
                (shown_low - low).abs() < 0.000_1 && (shown_high - high).abs() < 0.000_1,
                "{cases} of {all}: {shown_low} to {shown_high}"
            );
        }
        assert_eq!(wilson(0, 0), None);
        assert!(wilson(5, 3).is_some());
    }
}
