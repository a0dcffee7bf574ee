//! What the vendor says about a task, in either dialect.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Call, ErrorCode, TaskId,
    json::{self, text},
};

/// What the vendor responded to a submission, a poll or a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorResult {
    /// A task was created.
    Created(TaskId),
    /// The task is not solved yet.
    Processing,
    /// The task is solved.
    Ready,
    /// A report was taken.
    Reported,
    /// An error.
    Failed(ErrorCode),
}

/// Reads the body of a response, without a content coding, to a submission (`call` is `None`), a poll or a report. `None`
/// if it is none of the vendor's. Its form tells the dialect: the legacy one has JSON, too.
pub fn read(call: Option<Call>, body: &[u8]) -> Option<VendorResult> {
    let body = body.trim_ascii();
    if body.starts_with(b"{") {
        of_json(call, json::read(body)?)
    } else {
        of_text(call, str::from_utf8(body).ok()?)
    }
}

/// The members that are read, of both dialects: `status` and `request` are those of the legacy one.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "errorId")]
    error_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorCode")]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow, rename = "taskId")]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
}

fn of_json(call: Option<Call>, body: Body<'_>) -> Option<VendorResult> {
    let status = body.status.map(text);
    match (body.error_id.map(RawValue::get), status) {
        (Some("0"), _) => match call {
            None => TaskId::of(text(body.task_id?)).map(VendorResult::Created),
            Some(Call::Report(_)) => Some(VendorResult::Reported),
            Some(Call::Poll) => match status? {
                "processing" => Some(VendorResult::Processing),
                "ready" => Some(VendorResult::Ready),
                _ => None,
            },
        },
        (Some(_), _) => Some(failed(body.error_code.as_deref().unwrap_or_default())),
        (None, Some("1")) => match call {
            None => TaskId::of(text(body.request?)).map(VendorResult::Created),
            Some(Call::Poll) => Some(VendorResult::Ready),
            Some(Call::Report(_)) => Some(VendorResult::Reported),
        },
        (None, Some("0")) => Some(failed(text(body.request?))),
        (None, _) => None,
    }
}

fn of_text(call: Option<Call>, text: &str) -> Option<VendorResult> {
    match (call, text.split_once('|')) {
        (None, Some(("OK", id))) => TaskId::of(id.trim()).map(VendorResult::Created),
        (Some(Call::Poll), Some(("OK", _))) => Some(VendorResult::Ready),
        (Some(Call::Report(_)), None) if text == "OK_REPORT_RECORDED" => Some(VendorResult::Reported),
        // A page of a proxy on the way, say, is none of the vendor's.
        _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => {
            Some(failed(text))
        }
        _ => None,
    }
}

/// Both spellings are in use: the legacy dialect has the one without a T.
fn failed(code: &str) -> VendorResult {
    match code {
        "CAPCHA_NOT_READY" | "CAPTCHA_NOT_READY" => VendorResult::Processing,
        code => VendorResult::Failed(ErrorCode::of(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Opinion;

    const SUBMISSION: Option<Call> = None;
    const POLL: Option<Call> = Some(Call::Poll);
    const REPORT: Option<Call> = Some(Call::Report(Opinion::Bad));

    #[test]
    fn results_are_read_in_both_dialects() {
        let created = VendorResult::Created(TaskId::of("7654321").unwrap());
        let failed = |code| VendorResult::Failed(ErrorCode::of(code));
        for (call, body, result) in [
            (SUBMISSION, r#"{"errorId":0,"taskId":7654321}"#, created),
            (
                SUBMISSION,
                r#"{"taskId":"7654321","errorId":0,"status":"ready"}"#,
                created,
            ),
            (SUBMISSION, "OK|7654321", created),
            (SUBMISSION, "OK|7654321\n", created),
            (SUBMISSION, r#"{"status":1,"request":"7654321"}"#, created),
            (
                SUBMISSION,
                r#"{"errorId":1,"errorCode":"ERROR_ZERO_BALANCE","taskId":0}"#,
                failed("ERROR_ZERO_BALANCE"),
            ),
            (SUBMISSION, "ERROR_ZERO_BALANCE", failed("ERROR_ZERO_BALANCE")),
            (
                SUBMISSION,
                r#"{"status":0,"request":"ERROR_PAGEURL"}"#,
                failed("ERROR_PAGEURL"),
            ),
            (SUBMISSION, r#"{"errorId":1,"errorCode":"ERROR_NEW"}"#, failed("other")),
            (
                POLL,
                r#"{"errorCode":null,"errorDescription":null,"errorId":0,"status":"processing"}"#,
                VendorResult::Processing,
            ),
            (
                POLL,
                r#" {"solution":{"gRecaptchaResponse":"03AG"},"status":"ready","errorId":0}"#,
                VendorResult::Ready,
            ),
            (POLL, "OK|03AGtoken|more", VendorResult::Ready),
            (POLL, r#"{"status":1,"request":{"token":"x"}}"#, VendorResult::Ready),
            (POLL, "CAPCHA_NOT_READY", VendorResult::Processing),
            (
                POLL,
                r#"{"status":0,"request":"CAPCHA_NOT_READY"}"#,
                VendorResult::Processing,
            ),
            (
                POLL,
                r#"{"errorId":1,"errorCode":"CAPTCHA_NOT_READY"}"#,
                VendorResult::Processing,
            ),
            (
                POLL,
                r#"{"errorId":1,"errorCode":"ERROR_CAPTCHA_UNSOLVABLE"}"#,
                failed("ERROR_CAPTCHA_UNSOLVABLE"),
            ),
            (REPORT, r#"{"errorId":0,"status":"success"}"#, VendorResult::Reported),
            (REPORT, "OK_REPORT_RECORDED", VendorResult::Reported),
            (
                REPORT,
                r#"{"status":1,"request":"OK_REPORT_RECORDED"}"#,
                VendorResult::Reported,
            ),
            (REPORT, "ERROR_DUPLICATE_REPORT", failed("ERROR_DUPLICATE_REPORT")),
        ] {
            assert_eq!(read(call, body.as_bytes()), Some(result), "{body}");
        }
    }

    #[test]
    fn what_is_not_the_vendors_says_nothing() {
        for body in [
            "",
            "<html>502 Bad Gateway</html>",
            "{",
            "{}",
            "[]",
            r#"{"errorId":0}"#,
            r#"{"errorId":0,"taskId":0}"#,
            r#"{"errorId":0,"errorId":1,"taskId":5}"#,
            "OK|",
            "\u{fffd}",
        ] {
            assert_eq!(read(SUBMISSION, body.as_bytes()), None, "{body}");
        }
        assert_eq!(read(POLL, br#"{"errorId":0,"status":"new"}"#), None);
    }
}
