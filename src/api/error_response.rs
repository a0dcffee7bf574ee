//! Responses of the gateway's own, in the vendor's dialect, so that bots understand them: its error body in JSON, or a
//! plain code on `in.php` and `res.php`. Never HTML, which a weak client could take for a result.

use http::{HeaderValue, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{Either, Full};

use super::Response;
use crate::{
    observe::Cause,
    submission::{Dialect, Endpoint, Wishes},
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

    /// The gateway has a bug.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ERROR_GATEWAY_INTERNAL",
            Cause::Internal,
            "a bug in the gateway kept it from reading this request; nothing was sent on; please report it",
        )
    }

    /// The gateway stops before the upstream has responded.
    pub fn stopped() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            SERVICE_NOT_AVAILABLE,
            Cause::Stopped,
            "the gateway was stopped before the upstream responded ([server] shutdown_grace); the request may have reached it",
        )
    }

    /// The gateway stops, and the request was not sent on.
    pub fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            SERVICE_NOT_AVAILABLE,
            Cause::Stopped,
            "the gateway stops; nothing was sent on",
        )
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
#[derive(Clone, Debug)]
pub struct ResponseFormat {
    /// The method of the API that was called.
    endpoint: Endpoint,
    uri: Uri,
    /// How a legacy client wants its responses; `None` if only the query is known.
    wishes: Option<Wishes>,
}

impl ResponseFormat {
    /// The format that a request's target asks for.
    pub fn of(uri: &Uri, endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            uri: uri.clone(),
            wishes: None,
        }
    }

    /// The method of the API that was called.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Whether responses are those of the JSON API.
    pub fn is_json_api(&self) -> bool {
        self.endpoint.dialect() == Dialect::CreateTask
    }

    /// Says how the client wants its responses.
    pub fn set_wishes(&mut self, wishes: Wishes) {
        self.wishes = Some(wishes);
    }

    /// Renders a response in the dialect of its request.
    pub fn render(&self, response: &ErrorResponse) -> Response {
        const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
        const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
        let wishes = match self.endpoint.dialect() {
            Dialect::CreateTask => Wishes::default(),
            Dialect::Legacy => self.wishes.unwrap_or_else(|| {
                let target = self.uri.path_and_query().map_or("", PathAndQuery::as_str);
                Wishes::of_query(target)
            }),
        };
        let (content_type, body) = match (self.endpoint.dialect(), wishes.json) {
            (Dialect::CreateTask, _) => (JSON, error_body(response)),
            (Dialect::Legacy, true) => (
                JSON,
                serde_json::json!({ "status": 0, "request": response.code }).to_string(),
            ),
            (Dialect::Legacy, false) => (PLAIN, response.code.to_owned()),
        };
        let mut rendered = Response::new(Either::Left(Full::from(body)));
        *rendered.status_mut() = self.status(response.status);
        rendered.headers_mut().insert(header::CONTENT_TYPE, content_type);
        if wishes.any_origin {
            let any = HeaderValue::from_static("*");
            rendered.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        }
        rendered
    }

    /// The status on the wire. The vendor's SDKs read 503 on getTaskResult as "still processing" and poll again; they
    /// give up on any other error status.
    fn status(&self, status: StatusCode) -> StatusCode {
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
