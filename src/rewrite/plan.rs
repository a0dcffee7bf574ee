//! What happens to a submission: from the rule that applies and what the client itself asked for to the edits.

use super::{Decision, Edit, Edits, Flaw, Outcome, Reason, edit};
use crate::{
    rules::{Action, LegacyPlace, MissReason, Rule, RuleSet, Unreadable, Via},
    submission::{
        Captcha, Dialect, NocacheValue, ParameterRef, Site, SiteError, Submission, Unread,
        key_suffix::{self, SUFFIX},
        plain_shape::Doubt,
    },
};

/// What is done with a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'r> {
    /// What happens, and why.
    pub outcome: Outcome<'r>,
    /// The changes to its bytes: empty unless the decision is [`Set`](super::Decision::Set) or
    /// [`Removed`](super::Decision::Removed).
    pub edits: Edits,
    /// A rule that would have decided but for the path or the captcha, if the lookup met one.
    pub missed: Option<(&'r Rule, MissReason)>,
    /// What is wrong with the submission, where no rule could decide about it.
    pub flaw: Option<Flaw>,
}

impl<'r> Plan<'r> {
    /// Leaves the submission as sent.
    pub fn untouched(outcome: Outcome<'r>) -> Self {
        Self::edited(outcome, Edits::new())
    }

    fn edited(outcome: Outcome<'r>, edits: Edits) -> Self {
        Self {
            outcome,
            edits,
            missed: None,
            flaw: None,
        }
    }

    /// Refuses a submission that is malformed or ambiguous.
    pub fn refused(flaw: impl Into<Flaw>) -> Self {
        Self::flawed(Outcome::denied_unreadable(), flaw)
    }

    fn flawed(outcome: Outcome<'r>, flaw: impl Into<Flaw>) -> Self {
        Self {
            flaw: Some(flaw.into()),
            ..Self::untouched(outcome)
        }
    }
}

/// Decides about a submission, as read, by the rules.
pub fn plan<'r>(reading: &Result<Submission<'_>, Unread>, rules: &'r RuleSet) -> Plan<'r> {
    let fails_closed = rules.unreadable() == Unreadable::Deny;
    let submission = match reading {
        Err(unread) if fails_closed => return Plan::refused(*unread),
        Err(unread) => return Plan::flawed(Outcome::skipped((*unread).into()), *unread),
        Ok(submission) => submission,
    };
    if let Some(doubt) = submission
        .doubt
        .filter(|doubt| fails_closed && matters(*doubt, submission, rules))
    {
        return Plan::refused(doubt);
    }
    let ruling = rule_for(&submission.site, submission.captcha.as_ref(), rules);
    let plan = match ruling.rule {
        Ok(rule) => carry_out(submission, rule, rules.legacy_place()),
        Err(outcome) => Plan {
            flaw: submission.site.as_ref().err().map(|error| (*error).into()),
            ..Plan::untouched(outcome)
        },
    };
    Plan {
        missed: ruling.missed,
        ..plan
    }
}

/// Whether nocache is on in what is sent upstream; `None` if it is not known, or nothing is sent.
pub fn nocache_as_sent(plan: &Plan<'_>, reading: &Result<Submission<'_>, Unread>) -> Option<bool> {
    match plan.outcome.decision {
        Decision::Set => Some(true),
        Decision::Removed => Some(false),
        Decision::Denied => None,
        Decision::Kept | Decision::Skipped => {
            let submission = reading.as_ref().ok()?;
            Some(client_wish(submission) == ClientWish::On)
        }
    }
}

/// Whether a doubt is one for this submission: the site is asked only of captchas that a deny covers.
fn matters(doubt: Doubt, submission: &Submission<'_>, rules: &RuleSet) -> bool {
    match (doubt, &submission.captcha) {
        (Doubt::Site(_), Some(captcha)) => rules.denies(captcha),
        _ => true,
    }
}

/// What happens to a submission for a site that says nothing about nocache itself.
pub fn outcome_for<'r>(site: &Result<Site, SiteError>, captcha: &Captcha, rules: &'r RuleSet) -> Outcome<'r> {
    match rule_for(site, Some(captcha), rules).rule {
        Err(outcome) => outcome,
        Ok(rule) => match effect(rule.action, ClientWish::None) {
            Effect::Deny => Outcome::denied(rule),
            Effect::Keep(reason) => Outcome::kept(rule, reason),
            Effect::Set | Effect::Overrule => Outcome::set(rule, rule.via),
            Effect::Remove => Outcome::removed(rule, rule.via),
        },
    }
}

/// What the rules have for a submission.
struct Ruling<'r> {
    /// The rule that decides, or what happens where none can.
    rule: Result<&'r Rule, Outcome<'r>>,
    missed: Option<(&'r Rule, MissReason)>,
}

fn rule_for<'r>(site: &Result<Site, SiteError>, captcha: Option<&Captcha>, rules: &'r RuleSet) -> Ruling<'r> {
    let (Ok(site), Some(captcha)) = (site, captcha) else {
        return Ruling {
            rule: rule_without_site(site.as_ref().err(), captcha, rules),
            missed: None,
        };
    };
    let found = rules.look_up(site, captcha);
    Ruling {
        rule: found.rule.ok_or(Outcome::skipped(Reason::CaptchaNotCovered)),
        missed: found.missed,
    }
}

/// The rule for a submission that lacks a readable site or names no captcha.
fn rule_without_site<'r>(
    error: Option<&SiteError>,
    captcha: Option<&Captcha>,
    rules: &'r RuleSet,
) -> Result<&'r Rule, Outcome<'r>> {
    let fails_closed = rules.unreadable() == Unreadable::Deny;
    let not_covered = Err(Outcome::skipped(Reason::CaptchaNotCovered));
    let Some(captcha) = captcha else {
        return if fails_closed {
            Err(Outcome::denied_unreadable())
        } else {
            not_covered
        };
    };
    let is_bad = matches!(error, Some(SiteError::Bad | SiteError::Invisible(_)));
    match (rules.decide_without_site(captcha), error) {
        (Some(rule), _) if rule.action == Action::Deny => Ok(rule),
        // It could be any site, one that is denied as well.
        _ if fails_closed && is_bad && rules.denies(captcha) => Err(Outcome::denied_unreadable()),
        _ if fails_closed && captcha.kind.is_some() => Err(Outcome::denied_unreadable()),
        (_, Some(error)) if rules.covers(captcha) => Err(Outcome::skipped((*error).into())),
        _ => not_covered,
    }
}

/// What a client's request asks for, by its own nocache parameter and its key's suffix together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientWish {
    None,
    On,
    Off,
}

/// The parameter is closer to the task than the key, so it counts where the two differ.
fn client_wish(submission: &Submission<'_>) -> ClientWish {
    match submission.nocache_value() {
        Some(NocacheValue::On) => ClientWish::On,
        Some(NocacheValue::Off | NocacheValue::Odd) => ClientWish::Off,
        Some(NocacheValue::Null) | None if remove_key_suffixes(submission).next().is_none() => ClientWish::None,
        Some(NocacheValue::Null) | None => ClientWish::On,
    }
}

/// What an action comes to.
enum Effect {
    Deny,
    Keep(Reason),
    /// Turn nocache on where the client asked for nothing.
    Set,
    /// Turn the client's own parameter on.
    Overrule,
    Remove,
}

fn effect(action: Action, wish: ClientWish) -> Effect {
    match (action, wish) {
        (Action::Deny, _) => Effect::Deny,
        (Action::Keep, _) => Effect::Keep(Reason::ActionKeep),
        (Action::Add | Action::Force, ClientWish::On) => Effect::Keep(Reason::AlreadyOn),
        (Action::Add, ClientWish::Off) => Effect::Keep(Reason::ClientSaidOff),
        (Action::Add | Action::Force, ClientWish::None) => Effect::Set,
        (Action::Force, ClientWish::Off) => Effect::Overrule,
        (Action::Strip, ClientWish::On) => Effect::Remove,
        (Action::Strip, ClientWish::Off | ClientWish::None) => Effect::Keep(Reason::AlreadyOff),
    }
}

fn carry_out<'r>(submission: &Submission<'_>, rule: &'r Rule, place: LegacyPlace) -> Plan<'r> {
    match effect(rule.action, client_wish(submission)) {
        Effect::Deny => Plan::untouched(Outcome::denied(rule)),
        Effect::Keep(reason) => Plan::untouched(Outcome::kept(rule, reason)),
        Effect::Set => set(submission, rule, place),
        Effect::Overrule => Plan::edited(Outcome::set(rule, Via::Parameter), turn_all_on(submission)),
        Effect::Remove => remove(submission, rule),
    }
}

/// Turns nocache on where the client asked for nothing.
fn set<'r>(submission: &Submission<'_>, rule: &'r Rule, place: LegacyPlace) -> Plan<'r> {
    if rule.via == Via::Key
        && let Some(edit) = append_key_suffix(submission)
    {
        return Plan::edited(Outcome::set(rule, Via::Key), Edits::from_buf([edit]));
    }
    // A null is replaced: a second member of that name would be ambiguous.
    let edits = if submission.nocache.is_empty() {
        let list = match (submission.dialect, place) {
            (Dialect::Legacy, LegacyPlace::Query) => Submission::QUERY,
            _ => submission.nocache_list,
        };
        Edits::from_buf([edit::insert(&submission.lists[list], on(submission))])
    } else {
        turn_all_on(submission)
    };
    Plan::edited(Outcome::set(rule, Via::Parameter), edits)
}

/// Turns on each of the client's nocache parameters that is not on, so that no two of them differ.
fn turn_all_on(submission: &Submission<'_>) -> Edits {
    let is_off = |at: &&ParameterRef| submission.nocache_value_at(**at) != NocacheValue::On;
    let replace = |at: &ParameterRef| {
        let (list, parameter) = submission.parameter(*at);
        edit::replace(list, parameter, on(submission))
    };
    submission.nocache.iter().filter(is_off).map(replace).collect()
}

/// Removes every nocache parameter and key suffix. If only the key turned nocache on, a null stays: it counts as absent.
fn remove<'r>(submission: &Submission<'_>, rule: &'r Rule) -> Plan<'r> {
    let removes_all = submission.nocache_value() == Some(NocacheValue::On);
    let mut edits = Edits::new();
    for (number, list) in submission.lists.iter().enumerate() {
        let here = submission.nocache.iter().filter(|at| at.list == number);
        let doomed = here.filter(|at| removes_all || submission.nocache_value_at(**at) != NocacheValue::Null);
        edits.extend(edit::remove(list, &doomed.map(|at| at.parameter).collect::<Vec<_>>()));
    }
    let via = if edits.is_empty() { Via::Key } else { Via::Parameter };
    edits.extend(remove_key_suffixes(submission));
    Plan::edited(Outcome::removed(rule, via), edits)
}

/// The spelling of on, exactly as the vendor documents it: `true` in JSON, `1` in the legacy API.
fn on(submission: &Submission<'_>) -> &'static str {
    match submission.dialect {
        Dialect::CreateTask => "true",
        Dialect::Legacy => "1",
    }
}

/// The removals of the key's nocache segments.
fn remove_key_suffixes(submission: &Submission<'_>) -> impl Iterator<Item = Edit> {
    let key = submission.key.map(|at| submission.parameter(at));
    key.into_iter().flat_map(|(list, parameter)| {
        let segments = key_suffix::nocache_segments(list, parameter);
        segments.map(|range| edit::cut(list, range))
    })
}

/// The insertion of the suffix at the end of the key; `None` without a key that is a string and can take it.
fn append_key_suffix(submission: &Submission<'_>) -> Option<Edit> {
    let (list, parameter) = submission.parameter(submission.key?);
    let written = key_suffix::written(list, parameter)?;
    key_suffix::takes_suffix(list, parameter).then(|| edit::splice(list, written.end..written.end, &[SUFFIX]))
}
