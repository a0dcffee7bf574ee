//! Bodies of requests that do not stream through: held, decoded, or thrown away.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{
    Settings,
    answer::Answer,
    coding::{self, Coded, DecodeError},
};
use crate::submission::Unread;

/// The code of a body that ended early or stopped coming.
pub const INCOMPLETE: &str = "ERROR_GATEWAY_BODY_INCOMPLETE";

/// How long a refused request's body may still come, and is thrown away: a client that is cut off while it sends may never read
/// why.
const LINGER: Duration = Duration::from_secs(2);

/// The whole body, within the limit, and within twice the time that one piece of it may take: else one that drips would hold
/// its place for as long as it likes.
pub async fn hold(body: &mut Body, fields: &HeaderMap, settings: &Settings) -> Result<Bytes, Answer> {
    let limit = settings.body_limit;
    let announced = fields
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let whole = Limited::new(body, limit).collect();
    match tokio::time::timeout(2 * settings.body_timeout, whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) | Err(_) => Err(Answer::new(
            StatusCode::REQUEST_TIMEOUT,
            INCOMPLETE,
            "the body did not arrive whole, nothing was sent on",
        )),
    }
}

/// The body without its content coding, or why it cannot be read; and whether it had one.
pub async fn decoded(body: &Bytes, fields: &HeaderMap, limit: usize) -> Result<(Result<Bytes, Unread>, bool), Answer> {
    let coding = match Coded::of(fields) {
        _ if body.is_empty() => return Ok((Ok(body.clone()), false)),
        Coded::Plain => return Ok((Ok(body.clone()), false)),
        Coded::Unknown => return Ok((Err(Unread::EncodingUnknown), true)),
        Coded::As(coding) => coding,
    };
    let coded = body.clone();
    // Megabytes take a while: not on a thread that others wait for.
    let decoding = tokio::task::spawn_blocking(move || coding::decode(&coded, coding, limit)).await;
    match decoding {
        Ok(Ok(body)) => Ok((Ok(body), true)),
        Ok(Err(DecodeError::TooLarge)) => Err(too_large(limit)),
        // A decoder that panics on what it is given could not read it either.
        Ok(Err(DecodeError::Broken)) | Err(_) => Ok((Err(Unread::Unreadable), true)),
    }
}

fn too_large(limit: usize) -> Answer {
    Answer::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "ERROR_GATEWAY_BODY_TOO_LARGE",
        format!("the body is over the limit of {limit} bytes, which [server] body_limit sets"),
    )
}

/// Lets the rest of a body come that is not wanted, for a while.
pub fn discard(fields: &HeaderMap, mut body: Body) {
    // Who expects to be asked for a body sends none after an answer.
    if !body.is_end_stream() && !fields.contains_key(header::EXPECT) {
        tokio::spawn(async move {
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            tokio::time::timeout(LINGER, rest).await
        });
    }
}
