//! What happened to a submission, in the words of header, log, metrics and explain.

use std::fmt;

use crate::{
    rules::{Action, Rule, Via, name_of},
    submission::Unread,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// nocache was turned on by an edit.
    Set,
    /// It was turned off by an edit.
    Removed,
    /// Nothing changed, and the rules wanted it so.
    Kept,
    /// Nothing changed, because the rules do not speak of it or it could not be read.
    Skipped,
    /// Not forwarded.
    Denied,
}

impl Token {
    /// Every token with its word.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("set", Self::Set),
        ("removed", Self::Removed),
        ("kept", Self::Kept),
        ("skipped", Self::Skipped),
        ("denied", Self::Denied),
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, &self)
    }
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The rule's action is keep.
    ActionKeep,
    /// The client turned nocache on itself.
    AlreadyOn,
    /// There was nothing to turn off.
    AlreadyOff,
    /// The client turned it off, and the action is add.
    ClientSaidOff,
    /// No rule speaks of the captcha.
    CaptchaNotCovered,
    /// There is no target site.
    NoSite,
    /// What stands in its place is no http or https URL.
    BadSite,
    /// There is no task.
    NoTask,
    /// The request cannot be read.
    Unreadable,
    /// What decides stands there twice.
    Ambiguous,
    /// A content coding that is not decoded here.
    EncodingUnknown,
    /// The rule's action is deny.
    ActionDeny,
}

impl Reason {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActionKeep => "action-keep",
            Self::AlreadyOn => "already-on",
            Self::AlreadyOff => "already-off",
            Self::ClientSaidOff => "client-said-off",
            Self::CaptchaNotCovered => "captcha-not-covered",
            Self::NoSite => "no-site",
            Self::BadSite => "bad-site",
            Self::NoTask => "no-task",
            Self::Unreadable => "unreadable",
            Self::Ambiguous => "ambiguous",
            Self::EncodingUnknown => "encoding-unknown",
            Self::ActionDeny => "action-deny",
        }
    }
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

/// What happened to a submission, by which rule, by which way, and why. Its `Display` is the value of the field
/// `x-nocache-gateway`, a structured field item (RFC 9651).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'r> {
    /// What happened.
    pub token: Token,
    /// The rule that decided.
    pub rule: Option<&'r Rule>,
    /// By which of the vendor's ways nocache was changed.
    pub via: Option<Via>,
    /// Why nothing was changed.
    pub reason: Option<Reason>,
}

impl<'r> Outcome<'r> {
    pub(super) fn set(rule: &'r Rule, via: Via) -> Self {
        Self::changed(Token::Set, rule, via)
    }

    pub(super) fn removed(rule: &'r Rule, via: Via) -> Self {
        Self::changed(Token::Removed, rule, via)
    }

    pub(super) fn kept(rule: &'r Rule, reason: Reason) -> Self {
        Self::unchanged(Token::Kept, Some(rule), reason)
    }

    pub(super) fn skipped(reason: Reason) -> Self {
        Self::unchanged(Token::Skipped, None, reason)
    }

    pub(super) fn denied(rule: &'r Rule) -> Self {
        Self::unchanged(Token::Denied, Some(rule), Reason::ActionDeny)
    }

    pub(super) fn denied_unreadable() -> Self {
        Self::unchanged(Token::Denied, None, Reason::Unreadable)
    }

    fn changed(token: Token, rule: &'r Rule, via: Via) -> Self {
        Self {
            token,
            rule: Some(rule),
            via: Some(via),
            reason: None,
        }
    }

    fn unchanged(token: Token, rule: Option<&'r Rule>, reason: Reason) -> Self {
        Self {
            token,
            rule,
            via: None,
            reason: Some(reason),
        }
    }

    /// The action of the rule that decided.
    pub fn action(&self) -> Option<Action> {
        self.rule.map(|rule| rule.action)
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token.name())?;
        if let Some(rule) = self.rule {
            write!(f, ";action={}", rule.action)?;
        }
        if let Some(via) = self.via {
            write!(f, ";via={via}")?;
        }
        if let Some(rule) = self.rule {
            write!(f, ";rule={}", rule.id)?;
        }
        if let Some(reason) = self.reason {
            write!(f, ";reason={}", reason.name())?;
        }
        Ok(())
    }
}
