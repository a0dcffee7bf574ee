//! What the pages and the API share of requests and responses.

use axum::{
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};

/// Whether a client accepts a media type by its name (RFC 9110, section 12.5.1).
pub fn accepts(fields: &HeaderMap, media_type: &str) -> bool {
    let mut accepted = fields.get_all(header::ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains(media_type)))
}

/// The first value of a name in a query or a form.
pub fn form_value(pairs: &[u8], name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(pairs);
    pairs
        .find(|(written, _)| written == name)
        .map(|(_, value)| value.into_owned())
}

/// A response of JSON.
pub fn json_response(value: &Value) -> Response {
    json_text(value.to_string())
}

/// A response of JSON that is written already.
pub fn json_text(text: String) -> Response {
    const FIELDS: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (FIELDS, text + "\n").into_response()
}

/// The body of a request of the API, which is small.
pub struct SmallBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for SmallBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, state).await;
        let refusal = |rejection: BytesRejection| Refusal(rejection.status(), rejection.body_text());
        body.map(Self).map_err(refusal)
    }
}

/// Why a request of the API fails: a status, and what is wrong in words.
pub struct Refusal(pub StatusCode, pub String);

impl Refusal {
    /// A request that is not valid.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, error.into())
    }

    /// The same, and what helps.
    pub fn and(self, advice: &str) -> Self {
        Self(self.0, format!("{}; {advice}", self.1))
    }

    /// Something that is not there.
    pub fn not_found(error: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, json_response(&json!({ "error": self.1 }))).into_response()
    }
}
