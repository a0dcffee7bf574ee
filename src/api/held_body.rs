//! A request's body as it arrives: held until it is whole, or as far as it has to be read before the rest can stream.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_http::timeout::TimeoutBody;

use super::{
    Settings,
    budget::{Budget, Charge, OverBudget, SMALL},
    error_response::{BODY_INCOMPLETE, ErrorResponse, SERVICE_NOT_AVAILABLE},
};
use crate::{observe::Cause, upstream::Resumed};

/// A body that is arriving.
pub struct HeldBody {
    rest: Body,
    /// The first frame, whose bytes need not be copied if it is the only one.
    first: Bytes,
    more: BytesMut,
    trailers: Option<HeaderMap>,
    is_whole: bool,
    announced: Option<usize>,
    /// Whether the client waits to be asked for it (RFC 9110, section 10.1.1) and is larger than what is asked for at once.
    waits: bool,
    charge: Charge,
    /// The longest pause between two frames.
    longest_pause: Duration,
    /// A body that drips could otherwise hold its place for ever.
    deadline: Instant,
}

impl HeldBody {
    /// Nothing of it has been read.
    pub fn new(body: Body, fields: &HeaderMap, settings: &Settings, budget: &Arc<Budget>) -> Self {
        let announced = fields
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let asked_for = SMALL.min(settings.body_limit);
        Self {
            is_whole: body.is_end_stream(),
            rest: body,
            first: Bytes::new(),
            more: BytesMut::new(),
            trailers: None,
            announced,
            waits: fields.contains_key(header::EXPECT) && announced.is_some_and(|length| length > asked_for),
            charge: budget.charge(),
            longest_pause: settings.body_timeout,
            deadline: Instant::now() + 2 * settings.body_timeout,
        }
    }

    /// Whether all of it has been read.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether it is larger than `limit`, as far as that is known.
    pub fn is_over(&self, limit: usize) -> bool {
        self.so_far().len() > limit || self.announced.is_some_and(|length| length > limit)
    }

    /// What has been read of it.
    pub fn so_far(&self) -> &[u8] {
        if self.more.is_empty() { &self.first } else { &self.more }
    }

    /// Reads a small body to its end, and of a larger one as much as a small one may have. A client that waits to be asked
    /// for a larger one is not asked yet.
    pub async fn begin(&mut self) -> Result<(), ErrorResponse> {
        match self.waits {
            true => Ok(()),
            false => self.read(SMALL).await,
        }
    }

    /// Reads to the end, or until there is more than `limit`.
    pub async fn read(&mut self, limit: usize) -> Result<(), ErrorResponse> {
        while !self.is_whole && self.so_far().len() <= limit {
            let pause = Instant::now() + self.longest_pause;
            let frame = match tokio::time::timeout_at(self.deadline.min(pause), self.rest.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => {
                    self.is_whole = true;
                    break;
                }
                Ok(Some(Err(_))) | Err(_) => return Err(incomplete()),
            };
            match frame.into_data() {
                Ok(data) => self.add(data)?,
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
            self.is_whole = self.rest.is_end_stream();
        }
        Ok(())
    }

    fn add(&mut self, data: Bytes) -> Result<(), ErrorResponse> {
        self.charge.add(data.len()).map_err(|OverBudget| over_budget())?;
        if self.first.is_empty() && self.more.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.more.extend_from_slice(&data);
        Ok(())
    }

    /// The body, of which all has been read, with what it uses of the budget.
    pub fn into_bytes(self) -> (Bytes, Charge) {
        (bytes(self.first, self.more), self.charge)
    }

    /// The body as it came: what has been read, and then the rest.
    pub fn into_body(self) -> Body {
        if self.is_whole && self.so_far().is_empty() && self.trailers.is_none() {
            // An absent body stays absent: otherwise it would be framed as one of unknown length.
            return Body::empty();
        }
        let rest = match self.is_whole {
            true => Body::empty(),
            false => Body::new(TimeoutBody::new(self.longest_pause, self.rest)),
        };
        let held = self.charge.of(bytes(self.first, self.more));
        let held = Some(held).filter(|held| !held.is_empty()).map(Frame::data);
        Resumed::body(held.into_iter().chain(self.trailers.map(Frame::trailers)), rest)
    }
}

fn bytes(first: Bytes, more: BytesMut) -> Bytes {
    if more.is_empty() { first } else { more.freeze() }
}

fn incomplete() -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::REQUEST_TIMEOUT,
        BODY_INCOMPLETE,
        Cause::ClientBody,
        "the body did not arrive whole, nothing was sent on",
    )
}

/// Too much is held of all bodies together.
pub fn over_budget() -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::SERVICE_UNAVAILABLE,
        SERVICE_NOT_AVAILABLE,
        Cause::Overload,
        "too much is held of all bodies together ([server] body_budget); nothing was sent on",
    )
}

/// A submission's body is over the limit.
pub fn too_large(limit: usize) -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "ERROR_GATEWAY_BODY_TOO_LARGE",
        Cause::BodyTooLarge,
        format!("the body is over the limit of {limit} bytes, which [server] body_limit sets"),
    )
}
