//! Bodies that do not stream through: held and decoded.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{
    Settings,
    content_coding::{self, Coded, DecodeError},
    error_response::{BODY_INCOMPLETE, ErrorResponse},
};
use crate::{observe::Cause, submission::Unread};

/// Collects the body, up to the limit, and within twice `body_timeout` as a whole: otherwise a body that drips could hold
/// its place for ever.
pub async fn hold(body: &mut Body, fields: &HeaderMap, settings: &Settings) -> Result<Bytes, ErrorResponse> {
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
        Ok(Err(_)) | Err(_) => Err(ErrorResponse::new(
            StatusCode::REQUEST_TIMEOUT,
            BODY_INCOMPLETE,
            Cause::ClientBody,
            "the body did not arrive whole, nothing was sent on",
        )),
    }
}

/// A body without its content coding.
#[derive(Debug)]
pub struct Decoded {
    /// The decoded body, or the reason why it cannot be read.
    pub body: Result<Bytes, Unread>,
    /// Whether the body had a content coding.
    pub was_coded: bool,
}

/// Decodes a body, up to `limit` bytes.
pub async fn decode(body: &Bytes, fields: &HeaderMap, limit: usize) -> Result<Decoded, ErrorResponse> {
    let (body, was_coded) = match Coded::of(fields) {
        _ if body.is_empty() => (Ok(body.clone()), false),
        Coded::Plain => (Ok(body.clone()), false),
        Coded::Unknown => (Err(Unread::EncodingUnknown), true),
        Coded::As(coding) => {
            let coded = body.clone();
            // Megabytes take a while, so not on a thread that serves.
            let decoding = tokio::task::spawn_blocking(move || content_coding::decode(&coded, coding, limit));
            match decoding.await {
                Ok(Ok(body)) => (Ok(body), true),
                Ok(Err(DecodeError::TooLarge)) => return Err(too_large(limit)),
                // A decoder that panics on its input could not read it either.
                Ok(Err(DecodeError::Broken)) | Err(_) => (Err(Unread::Unreadable), true),
            }
        }
    };
    Ok(Decoded { body, was_coded })
}

fn too_large(limit: usize) -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "ERROR_GATEWAY_BODY_TOO_LARGE",
        Cause::BodyTooLarge,
        format!("the body is over the limit of {limit} bytes, which [server] body_limit sets"),
    )
}
