//! A submission as the rules require it.

use crate::{
    rules::{RuleSet, Unreadable},
    submission::{
        self, Dialect, Request, Submission, Unread, create_task,
        plain_shape::{self, Sent},
    },
};

/// A body up to this many bytes is always read as a whole. A longer one is mostly a picture.
const SHORT: usize = 4 << 10;

/// Reads a submission. Where `unreadable` is `deny`, its shape is judged as well; elsewhere that costs nothing, and a long
/// body is read only if that can matter: see [`read_beginning`].
pub fn read<'a>(
    dialect: Dialect,
    request: Request<'a>,
    sent: &Sent<'_>,
    rules: &RuleSet,
) -> Result<Submission<'a>, Unread> {
    if request.body.len() > SHORT
        && let Some(submission) = read_beginning(dialect, request.body, rules)
    {
        return Ok(submission);
    }
    let mut submission = submission::read(dialect, request, rules.names())?;
    if rules.unreadable() == Unreadable::Deny {
        plain_shape::judge(&mut submission, &request, sent, rules.names());
    }
    Ok(submission)
}

/// Reads a body, or its beginning, if nothing that follows can change what becomes of the submission: its first `type` is not
/// one of reCAPTCHA, no rule covers it, and what cannot be read is forwarded, too.
pub fn read_beginning<'a>(dialect: Dialect, beginning: &'a [u8], rules: &RuleSet) -> Option<Submission<'a>> {
    if dialect != Dialect::CreateTask || rules.unreadable() == Unreadable::Deny {
        return None;
    }
    let submission = create_task::read_beginning(beginning, rules.names())?;
    let is_covered = submission.captcha.as_ref().is_none_or(|captcha| rules.covers(captcha));
    (!is_covered).then_some(submission)
}
