//! Responses of the gateway's own, in the vendor's dialect, so that bots understand them: its error body in JSON, or a
//! plain code on `in.php` and `res.php`. Never HTML, which a weak client could take for a result.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::submission::{Dialect, Endpoint};

/// An error that the gateway responds with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The HTTP status. A server error becomes 503 on getTaskResult.
    pub status: StatusCode,
    /// The vendor's own code where one fits, else `ERROR_GATEWAY_…`.
    pub code: &'static str,
    /// What happened and what to do about it. No key, token or query is ever in it.
    pub description: String,
}

impl ErrorResponse {
    /// A response with the given status, code and description.
    pub fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
        }
    }
}

/// What the form of a response depends on.
#[derive(Clone, Copy, Debug)]
pub struct ResponseFormat {
    /// The method of the API that was called.
    pub endpoint: Endpoint,
    /// Whether a legacy client asked for JSON (`json=1`).
    pub wants_json: bool,
}

impl ResponseFormat {
    /// Renders a response in the dialect of its request.
    pub fn render(self, response: &ErrorResponse) -> Response {
        let (content_type, body) = match (self.endpoint.dialect(), self.wants_json) {
            (Dialect::CreateTask, _) => ("application/json; charset=utf-8", error_body(response)),
            (Dialect::Legacy, true) => (
                "application/json; charset=utf-8",
                serde_json::json!({ "status": 0, "request": response.code }).to_string(),
            ),
            (Dialect::Legacy, false) => ("text/plain; charset=utf-8", response.code.to_owned()),
        };
        let fields = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        (self.status(response.status), fields, Body::from(body)).into_response()
    }

    /// The status on the wire. The vendor's SDKs read 503 on getTaskResult as "still processing" and poll again; they
    /// give up on any other error status.
    fn status(self, status: StatusCode) -> StatusCode {
        match self.endpoint {
            Endpoint::GetTaskResult if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
            _ => status,
        }
    }
}

/// The vendor's error body (<https://docs.capmonster.cloud/docs/api/methods/create-task/>), its members in its order.
fn error_body(response: &ErrorResponse) -> String {
    let code = response.code;
    let description = serde_json::Value::from(format!("nocache-gateway: {}", response.description));
    format!(r#"{{"errorId":1,"errorCode":"{code}","errorDescription":{description},"taskId":0}}"#)
}
