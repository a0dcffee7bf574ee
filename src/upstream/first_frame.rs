//! A response whose body is broken from the start. The client's side would end the connection before it has written a
//! byte of the response, and a client that gets nothing at all may submit again.

use axum::{Error, response::Response};
use futures_util::FutureExt;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::Resumed;

/// Looks at the first frame of a response, if it is there already. Fails if the body is broken there.
pub fn check(response: Response) -> Result<Response, Error> {
    let (head, mut rest) = response.into_parts();
    if rest.is_end_stream() {
        return Ok(Response::from_parts(head, rest));
    }
    let body = match rest.frame().now_or_never() {
        Some(Some(Err(error))) => return Err(error),
        Some(Some(Ok(first))) => Resumed::body([first], rest),
        // It has ended, or nothing is there yet.
        Some(None) | None => rest,
    };
    Ok(Response::from_parts(head, body))
}
