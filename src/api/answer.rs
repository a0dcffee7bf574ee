//! Answers of the gateway's own, in the vendor's dialect, so that bots understand them: its error body in JSON, or a plain
//! code on `in.php` and `res.php`; never HTML, which a weak client would take for a result.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::submission::{Dialect, Endpoint};

/// An error that the gateway answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, which getTaskResult sees as 503 where it is a failure.
    pub status: StatusCode,
    /// The vendor's own code where one fits, else `ERROR_GATEWAY_…`.
    pub code: &'static str,
    /// What happened and what to do about it. No key, token or query is ever in it.
    pub description: String,
}

impl Answer {
    /// An answer with the given status, code and description.
    pub fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
        }
    }
}

/// What an answer depends on, other than what happened: who asked, and how it wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The method of the API that was called.
    pub endpoint: Endpoint,
    /// Whether a legacy client asked for JSON (`json=1`).
    pub wants_json: bool,
}

impl Asker {
    /// Puts an answer into the asker's dialect.
    pub fn answer(self, answer: &Answer) -> Response {
        let (content_type, body) = match (self.endpoint.dialect(), self.wants_json) {
            (Dialect::CreateTask, _) => ("application/json; charset=utf-8", error_body(answer)),
            (Dialect::Legacy, true) => (
                "application/json; charset=utf-8",
                serde_json::json!({ "status": 0, "request": answer.code }).to_string(),
            ),
            (Dialect::Legacy, false) => ("text/plain; charset=utf-8", answer.code.to_owned()),
        };
        let fields = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        (self.status(answer.status), fields, Body::from(body)).into_response()
    }

    /// The vendor's SDKs read 503 on getTaskResult as "still processing" and ask again by themselves, so that is what a
    /// failing upstream is to them; on anything else they stop.
    fn status(self, status: StatusCode) -> StatusCode {
        match self.endpoint {
            Endpoint::GetTaskResult if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
            _ => status,
        }
    }
}

/// The vendor's error body (<https://docs.capmonster.cloud/docs/api/methods/create-task/>), its members in its order.
fn error_body(answer: &Answer) -> String {
    let code = answer.code;
    let description = serde_json::Value::from(format!("nocache-gateway: {}", answer.description));
    format!(r#"{{"errorId":1,"errorCode":"{code}","errorDescription":{description},"taskId":0}}"#)
}
