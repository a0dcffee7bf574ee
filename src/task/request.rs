//! Requests about a task: polls and reports, in both dialects.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{TaskId, json};
use crate::submission::{Endpoint, form};

/// What a request about a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `getTaskResult`; `res.php` with `action=get` or `get2`
    Poll,
    /// `reportIncorrect…` and `reportCorrect…`; `res.php` with `action=reportbad` or `reportgood`
    /// (<https://docs.capmonster.cloud/docs/api/bad-tokens/>)
    Report(Opinion),
}

/// Whether a site took a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Opinion {
    /// It did.
    Good,
    /// It did not.
    Bad,
}

/// A request about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRequest<'a> {
    /// What it is for.
    pub call: Call,
    /// The id that it names, as written; `None` if there is none, or several (`ids`).
    pub id: Option<Cow<'a, str>>,
}

impl TaskRequest<'_> {
    /// The task that it is about, if its id is one.
    pub fn task(&self) -> Option<TaskId> {
        TaskId::of(self.id.as_deref()?)
    }
}

/// Whether a request can be about a task, as far as its path tells.
pub fn is_about_task(endpoint: Endpoint, target: &str) -> bool {
    match endpoint {
        Endpoint::GetTaskResult | Endpoint::Res => true,
        Endpoint::Other => opinion(target).is_some(),
        Endpoint::CreateTask | Endpoint::In => false,
    }
}

/// Reads a request about a task, sent by GET, HEAD or POST: `target` is its path and query, `body` its whole body, without a
/// content coding. `None` for every other request, and for what cannot be read.
pub fn read<'a>(endpoint: Endpoint, target: &'a str, body: &'a [u8]) -> Option<TaskRequest<'a>> {
    match endpoint {
        Endpoint::GetTaskResult => of_json(Call::Poll, body),
        Endpoint::Res => of_legacy(target, body),
        Endpoint::Other => of_json(Call::Report(opinion(target)?), body),
        Endpoint::CreateTask | Endpoint::In => None,
    }
}

/// The opinion that the name of a report says.
fn opinion(target: &str) -> Option<Opinion> {
    let path = target.split('?').next()?.trim_matches('/');
    let begins = |name: &str| {
        path.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    match (begins("reportIncorrect"), begins("reportCorrect")) {
        (true, _) => Some(Opinion::Bad),
        (_, true) => Some(Opinion::Good),
        _ => None,
    }
}

fn of_json(call: Call, body: &[u8]) -> Option<TaskRequest<'_>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, rename = "taskId")]
        id: Option<&'a RawValue>,
    }
    let body: Body<'_> = json::read(body)?;
    Some(TaskRequest {
        call,
        id: body.id.map(|id| Cow::Borrowed(json::text(id))),
    })
}

fn of_legacy<'a>(target: &'a str, body: &'a [u8]) -> Option<TaskRequest<'a>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        action: Option<Cow<'a, str>>,
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        ids: Option<&'a RawValue>,
    }
    let (mut action, mut id, mut has_ids) = (None, None, false);
    if body.trim_ascii_start().starts_with(b"{") {
        let body: Body<'_> = json::read(body)?;
        action = body.action;
        id = body.id.map(|id| Cow::Borrowed(json::text(id)));
        has_ids = body.ids.is_some();
    }
    let query = target.split_once('?').map_or("", |(_, query)| query).as_bytes();
    for pairs in [query, body] {
        for (name, raw) in form::named(pairs, &["action", "id", "ids"]) {
            match name {
                "action" => action = Some(form::decode(raw)),
                "id" => id = Some(form::decode(raw)),
                _ => has_ids = true,
            }
        }
    }
    let call = match &*action? {
        "get" | "get2" => Call::Poll,
        "reportbad" => Call::Report(Opinion::Bad),
        "reportgood" => Call::Report(Opinion::Good),
        _ => return None,
    };
    let id = id.filter(|_| !has_ids);
    Some(TaskRequest { call, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_and_reports_are_found_in_both_dialects() {
        use Endpoint::*;
        let good = Call::Report(Opinion::Good);
        let bad = Call::Report(Opinion::Bad);
        for (endpoint, target, body, call, id) in [
            (
                GetTaskResult,
                "/getTaskResult",
                r#"{"clientKey":"K","taskId":5}"#,
                Call::Poll,
                Some("5"),
            ),
            (
                GetTaskResult,
                "/getTaskResult/",
                r#"{"taskId":"5"}"#,
                Call::Poll,
                Some("5"),
            ),
            (
                GetTaskResult,
                "/getTaskResult",
                r#"{"clientKey":"K"}"#,
                Call::Poll,
                None,
            ),
            (
                GetTaskResult,
                "/getTaskResult",
                r#"{"taskId":""}"#,
                Call::Poll,
                Some(""),
            ),
            (Res, "/res.php?key=K&action=get&id=5", "", Call::Poll, Some("5")),
            (Res, "/res.php?action=get2&id=%35", "", Call::Poll, Some("5")),
            (Res, "/res.php?key=K", "action=get&id=5&json=1", Call::Poll, Some("5")),
            (Res, "/res.php", r#"{"action":"get","id":5}"#, Call::Poll, Some("5")),
            (Res, "/res.php?action=get&ids=5,6", "", Call::Poll, None),
            (Res, "/res.php?action=get&ids=5,6&id=", "", Call::Poll, None),
            (
                Res,
                "/res.php",
                r#"{"action":"get","ids":"5,6","id":""}"#,
                Call::Poll,
                None,
            ),
            (Res, "/res.php?action=reportbad&id=5", "", bad, Some("5")),
            (Res, "/res.php?action=reportgood&id=5", "", good, Some("5")),
            (Other, "/reportIncorrectTokenCaptcha", r#"{"taskId":5}"#, bad, Some("5")),
            (Other, "/reportIncorrectRecaptcha/", r#"{"taskId":5}"#, bad, Some("5")),
            (Other, "/ReportCorrectRecaptcha?x=1", r#"{"taskId":5}"#, good, Some("5")),
        ] {
            let request = read(endpoint, target, body.as_bytes());
            let expected = TaskRequest {
                call,
                id: id.map(Cow::Borrowed),
            };
            assert_eq!(request, Some(expected), "{target} {body}");
        }
    }

    #[test]
    fn other_requests_are_about_no_task() {
        use Endpoint::*;
        for (endpoint, target, body) in [
            (CreateTask, "/createTask", r#"{"taskId":5}"#),
            (In, "/in.php?action=get&id=5", ""),
            (Res, "/res.php?action=getbalance&key=K", ""),
            (Res, "/res.php", "{"),
            (GetTaskResult, "/getTaskResult", "taskId=5"),
            (GetTaskResult, "/getTaskResult", r#"{"taskId":5,"taskId":6}"#),
            (Other, "/getBalance", r#"{"taskId":5}"#),
            (Other, "/", ""),
        ] {
            assert_eq!(read(endpoint, target, body.as_bytes()), None, "{target} {body}");
        }
    }
}
