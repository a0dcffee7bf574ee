//! From a submission and the rules to an [`Outcome`] and the [`Edit`]s that bring it about: the one way that `serve`,
//! `explain`, tests and benches all go.

mod edit;
mod outcome;

pub use edit::{Edit, apply, revert};
pub use outcome::{Outcome, Reason, Token};

use crate::{
    rules::{Action, LegacyPlace, Rule, RuleSet, Unreadable, Via},
    submission::{At, Dialect, SiteError, Submission, Unread, Word, key},
};

/// What is to be done with a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'r> {
    /// What happens, and why.
    pub outcome: Outcome<'r>,
    /// The changes to its bytes: empty unless the outcome is [`Token::Set`] or [`Token::Removed`].
    pub edits: Vec<Edit>,
}

impl<'r> Plan<'r> {
    fn untouched(outcome: Outcome<'r>) -> Self {
        Self {
            outcome,
            edits: Vec::new(),
        }
    }
}

/// Decides about a submission, as read, by the rules.
pub fn plan<'r>(reading: &Result<Submission<'_>, Unread>, rules: &'r RuleSet) -> Plan<'r> {
    let fails_closed = rules.unreadable() == Unreadable::Deny;
    match reading {
        Err(_) if fails_closed => Plan::untouched(Outcome::denied_unreadable()),
        Err(unread) => Plan::untouched(Outcome::skipped((*unread).into())),
        Ok(submission) if fails_closed && submission.doubtful => Plan::untouched(Outcome::denied_unreadable()),
        Ok(submission) => match decide(submission, rules, fails_closed) {
            Ok(rule) => carry_out(submission, rule, rules.legacy_place()),
            Err(outcome) => Plan::untouched(outcome),
        },
    }
}

/// The rule that speaks of a submission, or what happens to it where none can.
fn decide<'r>(submission: &Submission<'_>, rules: &'r RuleSet, fails_closed: bool) -> Result<&'r Rule, Outcome<'r>> {
    let not_covered = Outcome::skipped(Reason::CaptchaNotCovered);
    let Some(captcha) = &submission.captcha else {
        return Err(if fails_closed {
            Outcome::denied_unreadable()
        } else {
            not_covered
        });
    };
    let site_error = match &submission.site {
        Ok(site) => return rules.decide(site, captcha).ok_or(not_covered),
        Err(error) => *error,
    };
    match rules.decide_without_site(captcha) {
        Some(rule) if rule.action == Action::Deny => Ok(rule),
        _ if fails_closed && captcha.kind.is_some() => Err(Outcome::denied_unreadable()),
        _ if !rules.covers(captcha) => Err(not_covered),
        _ => Err(Outcome::skipped(match site_error {
            SiteError::Missing => Reason::NoSite,
            SiteError::Bad => Reason::BadSite,
        })),
    }
}

/// What a client's request says of nocache, its own parameter and its key's suffix taken together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    On,
    Off,
}

/// The parameter is closer to the task than the key, and so it is the client's word where the two differ.
fn said(submission: &Submission<'_>) -> Said {
    match submission.word() {
        Some(Word::On) => Said::On,
        Some(Word::Off) => Said::Off,
        Some(Word::Null) | None if key_segments(submission).is_empty() => Said::Nothing,
        Some(Word::Null) | None => Said::On,
    }
}

fn carry_out<'r>(submission: &Submission<'_>, rule: &'r Rule, place: LegacyPlace) -> Plan<'r> {
    let kept = |reason| Plan::untouched(Outcome::kept(rule, reason));
    match (rule.action, said(submission)) {
        (Action::Deny, _) => Plan::untouched(Outcome::denied(rule)),
        (Action::Keep, _) => kept(Reason::ActionKeep),
        (Action::Add | Action::Force, Said::On) => kept(Reason::AlreadyOn),
        (Action::Add, Said::Off) => kept(Reason::ClientSaidOff),
        (Action::Add | Action::Force, Said::Nothing) => set(submission, rule, place),
        (Action::Force, Said::Off) => overrule(submission, rule),
        (Action::Strip, Said::On) => remove(submission, rule),
        (Action::Strip, Said::Off | Said::Nothing) => kept(Reason::AlreadyOff),
    }
}

/// Turns nocache on where the client said nothing.
fn set<'r>(submission: &Submission<'_>, rule: &'r Rule, place: LegacyPlace) -> Plan<'r> {
    if rule.via == Via::Key
        && let Some(edit) = append_key_suffix(submission)
    {
        return Plan {
            outcome: Outcome::set(rule, Via::Key),
            edits: vec![edit],
        };
    }
    // A null that stands there is replaced: a second member of the name would be ambiguous.
    let edits = if submission.nocache.is_empty() {
        let home = match (submission.dialect, place) {
            (Dialect::Legacy, LegacyPlace::Query) => Submission::QUERY,
            _ => submission.home,
        };
        vec![edit::insert(&submission.lists[home], on(submission))]
    } else {
        replace_all(submission)
    };
    Plan {
        outcome: Outcome::set(rule, Via::Parameter),
        edits,
    }
}

/// Turns the client's own parameter on, where it says off.
fn overrule<'r>(submission: &Submission<'_>, rule: &'r Rule) -> Plan<'r> {
    Plan {
        outcome: Outcome::set(rule, Via::Parameter),
        edits: replace_all(submission),
    }
}

/// Writes on into each of the client's nocache parameters that does not say so, lest two of them differ.
fn replace_all(submission: &Submission<'_>) -> Vec<Edit> {
    let is_off = |at: &&At| submission.word_at(**at) != Word::On;
    let replace = |at: &At| {
        let (list, parameter) = submission.at(*at);
        edit::replace(list, parameter, on(submission))
    };
    submission.nocache.iter().filter(is_off).map(replace).collect()
}

/// Removes every nocache parameter and key suffix. Where the key alone is what was on, a null beside it says nothing and
/// stays.
fn remove<'r>(submission: &Submission<'_>, rule: &'r Rule) -> Plan<'r> {
    let removes_all = submission.word() == Some(Word::On);
    let mut edits = Vec::new();
    for (number, list) in submission.lists.iter().enumerate() {
        let here = submission.nocache.iter().filter(|at| at.list == number);
        let doomed = here.filter(|at| removes_all || submission.word_at(**at) != Word::Null);
        edits.extend(edit::remove(list, &doomed.map(|at| at.parameter).collect::<Vec<_>>()));
    }
    let via = if edits.is_empty() { Via::Key } else { Via::Parameter };
    edits.extend(key_segments(submission));
    Plan {
        outcome: Outcome::removed(rule, via),
        edits,
    }
}

/// How nocache is written, exactly as the vendor documents it: `true` in JSON, `1` in the legacy API.
fn on(submission: &Submission<'_>) -> &'static str {
    match submission.dialect {
        Dialect::CreateTask => "true",
        Dialect::Legacy => "1",
    }
}

/// The removals of the key's nocache segments.
fn key_segments(submission: &Submission<'_>) -> Vec<Edit> {
    let Some(at) = submission.key else {
        return Vec::new();
    };
    let (list, parameter) = submission.at(at);
    let segments = key::nocache_segments(list, parameter);
    segments.into_iter().map(|range| edit::cut(list, range)).collect()
}

/// The suffix at the very end of the key; none if there is no key that is a string and can take it.
fn append_key_suffix(submission: &Submission<'_>) -> Option<Edit> {
    let (list, parameter) = submission.at(submission.key?);
    let written = key::written(list, parameter)?;
    key::takes_suffix(list, parameter).then(|| edit::splice(list, written.end..written.end, key::SUFFIX))
}

#[cfg(test)]
mod tests;
