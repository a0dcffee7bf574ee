//! What happens to a submission, in the words of header, log, metrics and explain.

use std::fmt;

use crate::{
    rules::{Action, Rule, Via},
    submission::{SiteError, Unread, plain_shape::Doubt},
};

/// What happens to a submission.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Decision {
    /// An edit turns nocache on.
    Set,
    /// An edit turns it off.
    Removed,
    /// Nothing changes, as the rules require.
    Kept,
    /// Nothing changes, because no rule applies or the submission could not be read.
    Skipped,
    /// It is not forwarded.
    Denied,
}

/// The reason why nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// The rule's action is keep.
    ActionKeep,
    /// The client turned nocache on itself.
    AlreadyOn,
    /// There is nothing to turn off.
    AlreadyOff,
    /// The client turned it off, and the action is add.
    ClientSaidOff,
    /// No rule covers the captcha.
    CaptchaNotCovered,
    /// There is no target site.
    NoSite,
    /// The target site is not an http or https URL.
    BadSite,
    /// There is no task.
    NoTask,
    /// The request cannot be read.
    Unreadable,
    /// A field that decides the captcha or the site is given twice.
    Ambiguous,
    /// The body has a content coding that is not decoded here.
    EncodingUnknown,
    /// The rule's action is deny.
    ActionDeny,
}

impl From<Unread> for Reason {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::EncodingUnknown => Self::EncodingUnknown,
            Unread::Unreadable => Self::Unreadable,
            Unread::NoTask => Self::NoTask,
            Unread::Ambiguous => Self::Ambiguous,
        }
    }
}

impl From<SiteError> for Reason {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::Missing => Self::NoSite,
            SiteError::Bad | SiteError::Invisible(_) => Self::BadSite,
        }
    }
}

/// What is wrong with a submission. Its words hold nothing of the request but an invisible character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum Flaw {
    /// It cannot be read.
    Unread(#[from] Unread),
    /// Its site cannot be read.
    Site(#[from] SiteError),
    /// Its shape is not plain, and `unreadable` is `deny`.
    Doubt(#[from] Doubt),
}

/// What happens to a submission, by which rule, in which way, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'r> {
    /// What happens.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: Option<&'r Rule>,
    /// The way in which nocache is changed.
    pub via: Option<Via>,
    /// The reason why nothing is changed.
    pub reason: Option<Reason>,
}

impl<'r> Outcome<'r> {
    pub(super) fn set(rule: &'r Rule, via: Via) -> Self {
        Self::changed(Decision::Set, rule, via)
    }

    pub(super) fn removed(rule: &'r Rule, via: Via) -> Self {
        Self::changed(Decision::Removed, rule, via)
    }

    pub(super) fn kept(rule: &'r Rule, reason: Reason) -> Self {
        Self::unchanged(Decision::Kept, Some(rule), reason)
    }

    pub(super) fn skipped(reason: Reason) -> Self {
        Self::unchanged(Decision::Skipped, None, reason)
    }

    pub(super) fn denied(rule: &'r Rule) -> Self {
        Self::unchanged(Decision::Denied, Some(rule), Reason::ActionDeny)
    }

    /// Denied because it cannot be read.
    pub fn denied_unreadable() -> Self {
        Self::unchanged(Decision::Denied, None, Reason::Unreadable)
    }

    fn changed(decision: Decision, rule: &'r Rule, via: Via) -> Self {
        Self {
            decision,
            rule: Some(rule),
            via: Some(via),
            reason: None,
        }
    }

    fn unchanged(decision: Decision, rule: Option<&'r Rule>, reason: Reason) -> Self {
        Self {
            decision,
            rule,
            via: None,
            reason: Some(reason),
        }
    }

    /// The action of the rule that decided.
    pub fn action(&self) -> Option<Action> {
        self.rule.map(|rule| rule.action)
    }

    /// Every field by its name in header, log, CSV and JSON, in the header's order. The decision comes first and is
    /// always there.
    pub fn fields(&self) -> [(&'static str, Option<&'r str>); 5] {
        [
            ("decision", Some(self.decision.into())),
            ("action", self.action().map(Into::into)),
            ("via", self.via.map(Into::into)),
            ("rule", self.rule.map(|rule| rule.id.as_str())),
            ("reason", self.reason.map(Into::into)),
        ]
    }

    /// The value of the field `x-nocache-gateway`, a structured field item (RFC 9651).
    pub fn text(&self) -> String {
        let [(_, decision), parameters @ ..] = self.fields();
        let mut text = String::with_capacity(128);
        text.push_str(decision.unwrap_or_default());
        for (name, value) in parameters {
            if let Some(value) = value {
                [";", name, "=", value].iter().for_each(|part| text.push_str(part));
            }
        }
        text
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
