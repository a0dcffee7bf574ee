//! `POST /createTask`: `{"clientKey": …, "task": {"type": …, "websiteURL": …}}`
//! (<https://docs.capmonster.cloud/docs/api/methods/create-task/>).

use std::slice;

use super::{
    CaptchaNames, Dialect, Lists, ParameterRef, Parameters, Request, Scalar, Site, SiteError, Submission, Unread,
    Wishes, json::Document, key_suffix, limits,
};

/// The indices of the two lists of a createTask submission.
const TOP: usize = 0;
const TASK: usize = 1;

/// Reads a createTask body.
pub fn read<'a>(request: Request<'a>, names: &CaptchaNames) -> Result<Submission<'a>, Unread> {
    let (top, task) = Document::new(request.body)?.top_with("task")?;
    limits::of_one_name(slice::from_ref(&top), &["task"])?;
    let key = top.named("clientKey").last();
    if let Some(key) = key {
        key_suffix::check(&top, &top.items[key])?;
    }
    let task = match top.named("task").take(2).count() {
        0 => return Err(Unread::NoTask),
        1 => task.ok_or(Unread::NoTask)??,
        _ => return Err(Unread::Ambiguous),
    };
    limits::of_one_name(
        slice::from_ref(&task),
        &["type", "websiteURL", "isEnterprise", "nocache"],
    )?;

    let kind = once(&task, "type")?;
    let url = once(&task, "websiteURL")?;
    let enterprise = task.named("isEnterprise").last();
    let is_enterprise = enterprise.is_some_and(|i| task.scalar(&task.items[i]).is_on());

    Ok(Submission {
        dialect: Dialect::CreateTask,
        captcha: match kind {
            Some(Scalar::Text(name)) => Some(names.of_type(&name, is_enterprise)),
            _ => None,
        },
        site: match url {
            None | Some(Scalar::Bare("null")) => Err(SiteError::Missing),
            Some(Scalar::Text(text)) => Site::parse(&text),
            Some(_) => Err(SiteError::Bad),
        },
        doubt: None,
        wishes: Wishes::default(),
        key: key.map(|parameter| ParameterRef { list: TOP, parameter }),
        nocache: task
            .named("nocache")
            .map(|parameter| ParameterRef { list: TASK, parameter })
            .collect(),
        lists: Lists::from([top, task]),
        nocache_list: TASK,
    })
}

/// The value of a member that may be given only once.
fn once<'a>(task: &Parameters<'a>, name: &str) -> Result<Option<Scalar<'a>>, Unread> {
    let mut found = task.named(name);
    let Some(first) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Unread::Ambiguous);
    }
    let item = &task.items[first];
    match task.scalar(item) {
        // A string that is not valid Unicode. The caller judges every other value that is not a string.
        Scalar::Other
            if item
                .value
                .as_ref()
                .is_some_and(|value| task.source[value.start] == b'"') =>
        {
            Err(Unread::Unreadable)
        }
        value => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(body: &str) -> Option<Unread> {
        read(
            Request {
                target: "/createTask",
                content_type: None,
                body: body.as_bytes(),
            },
            &CaptchaNames::default(),
        )
        .err()
    }

    #[test]
    fn a_body_that_cannot_be_read_has_a_reason() {
        for (body, reason) in [
            ("", Unread::Unreadable),
            ("[]", Unread::Unreadable),
            (r#"{"task":{"#, Unread::Unreadable),
            ("{}", Unread::NoTask),
            (r#"{"task":[]}"#, Unread::NoTask),
            (r#"{"task":null}"#, Unread::NoTask),
            (r#"{"task":"{}"}"#, Unread::NoTask),
            (r#"{"task":{},"Task":{}}"#, Unread::Ambiguous),
            (r#"{"task":{"type":"a","TYPE":"a"}}"#, Unread::Ambiguous),
            (r#"{"task":{"websiteURL":"a","websiteUrl":"a"}}"#, Unread::Ambiguous),
            (r#"{"task":{"type":"\ud800"}}"#, Unread::Unreadable),
        ] {
            assert_eq!(unread(body), Some(reason), "{body}");
        }
        assert_eq!(unread(r#"{"task":{}}"#), None);
        assert_eq!(unread(r#"{"task":{"type":["a"],"websiteURL":{}}}"#), None);
    }
}
