//! What is not here. A bot that asks here is told where the API is.

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};

use super::{exchange::Refusal, service::Shown};
use crate::{
    api::error_response::{ErrorResponse, ResponseFormat},
    submission::Endpoint,
};

/// A path of the admin side that does not take the request's method.
pub async fn wrong_method() -> Refusal {
    let error = "this path takes another method; docs/admin.md says which".to_owned();
    Refusal(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// A method of the API gets a response in the vendor's dialect, anything else a 404.
pub async fn respond(State(shown): State<Shown>, request: Request) -> Response {
    let path = request.uri().path();
    let endpoint = Endpoint::of(path);
    // Bots send nothing else by POST: getBalance, say.
    let is_of_api = endpoint != Endpoint::Other || request.method() == Method::POST;
    if path.starts_with("/api/") {
        return Refusal::not_found("not here; docs/admin.md lists what is under /api/").into_response();
    }
    if !is_of_api {
        return (
            StatusCode::NOT_FOUND,
            "not here; docs/admin.md lists what is: /, /livez, /readyz, /config, /metrics and /api/\n",
        )
            .into_response();
    }
    let addresses = shown.status.facts().api_addresses.join(" or ");
    let refusal = ErrorResponse::denial(
        "ERROR_GATEWAY_WRONG_PORT",
        format!("this is the admin side of the gateway; the API is at {addresses}; nothing was sent on"),
    );
    ResponseFormat::of(request.uri(), endpoint)
        .render(&refusal)
        .map(Body::new)
}
