//! Responses of the gateway's own, in the vendor's dialect, so that bots understand them: its error body in JSON, or a
//! plain code on `in.php` and `res.php`. Never HTML, which a weak client could take for a result.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    observe::Cause,
    submission::{Dialect, Endpoint},
    upstream::UpstreamError,
};

/// The vendor's code for a service that cannot be reached.
pub const SERVICE_NOT_AVAILABLE: &str = "ERROR_SERVICE_NOT_AVAILABLE";

/// The code for a body that ended early or stopped coming.
pub const BODY_INCOMPLETE: &str = "ERROR_GATEWAY_BODY_INCOMPLETE";

/// An error that the gateway responds with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The HTTP status. A server error becomes 503 on getTaskResult.
    pub status: StatusCode,
    /// The vendor's own code where one fits, else `ERROR_GATEWAY_…`.
    pub code: &'static str,
    /// What happened and what to do about it. No key, token or query is ever in it.
    pub description: String,
    /// The cause in the record; `None` for a denial, which is a decision.
    pub cause: Option<Cause>,
}

impl ErrorResponse {
    /// A refusal or failure.
    pub fn new(status: StatusCode, code: &'static str, cause: Cause, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            cause: Some(cause),
        }
    }

    /// A denial. It is an API response, not a failure of HTTP: the vendor's SDKs throw on any status but 200 before they
    /// read the code.
    pub fn denial(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::OK,
            code,
            description: description.into(),
            cause: None,
        }
    }
}

impl From<&UpstreamError> for ErrorResponse {
    fn from(error: &UpstreamError) -> Self {
        let (status, code) = match error {
            UpstreamError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, SERVICE_NOT_AVAILABLE),
            UpstreamError::Body(_) => (StatusCode::REQUEST_TIMEOUT, BODY_INCOMPLETE),
            _ => (StatusCode::BAD_GATEWAY, SERVICE_NOT_AVAILABLE),
        };
        Self::new(status, code, error.cause(), error.to_string())
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
