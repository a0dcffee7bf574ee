//! A submission as the rules require it.

use crate::{
    rules::{RuleSet, Unreadable},
    submission::{
        self, Dialect, Request, Submission, Unread,
        plain_shape::{self, Sent},
    },
};

/// Reads a submission. Where `unreadable` is `deny`, its shape is judged as well; elsewhere that costs nothing.
pub fn read<'a>(
    dialect: Dialect,
    request: Request<'a>,
    sent: &Sent<'_>,
    rules: &RuleSet,
) -> Result<Submission<'a>, Unread> {
    let mut submission = submission::read(dialect, request, rules.names())?;
    if rules.unreadable() == Unreadable::Deny {
        plain_shape::judge(&mut submission, &request, sent, rules.names());
    }
    Ok(submission)
}
