//! A request's body as it arrives: held until it is whole, or as far as it has to be read before the rest can stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::{
    Settings,
    budget::{Budget, Charge, OverBudget, SMALL},
    error_response::{BODY_INCOMPLETE, ErrorResponse, SERVICE_NOT_AVAILABLE},
    places::Arriving,
    recording::data_length,
};
use crate::{observe::Cause, server::RequestBody, timed_body::TimedBody, upstream::Outgoing};

/// What hyper may hold of a body that streams: as much as its buffers take of what was read, of what is on its way from one
/// connection to the other, and of what waits to be written.
const BUFFERS: usize = 1 << 20;

/// A body that is arriving.
pub struct HeldBody {
    rest: RequestBody,
    /// The first frame, whose bytes need not be copied if it is the only one.
    first: Bytes,
    more: BytesMut,
    trailers: Option<Box<HeaderMap>>,
    is_whole: bool,
    announced: Option<usize>,
    /// Whether the client waits to be asked for it (RFC 9110, section 10.1.1) and is larger than what is asked for at once.
    waits: bool,
    charge: Charge,
    /// The longest pause between two frames.
    longest_pause: Duration,
    /// Set when it is waited for. A body that drips could otherwise hold its place for ever.
    deadline: Option<Instant>,
}

impl HeldBody {
    /// Nothing of it has been read.
    pub fn new(body: RequestBody, settings: &Settings, budget: &Arc<Budget>) -> Self {
        let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let asked_for = SMALL.min(settings.body_limit);
        Self {
            is_whole: body.is_end_stream(),
            waits: body.is_unasked() && announced.is_some_and(|length| length > asked_for),
            rest: body,
            first: Bytes::new(),
            more: BytesMut::new(),
            trailers: None,
            announced,
            charge: budget.charge(),
            longest_pause: settings.body_timeout,
            deadline: None,
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

    /// Whether its length is known.
    pub fn is_announced(&self) -> bool {
        self.announced.is_some()
    }

    /// What has been read of it.
    pub fn so_far(&self) -> &[u8] {
        if self.more.is_empty() { &self.first } else { &self.more }
    }

    /// Reads a small body to its end, and of a larger one as much as a small one may have. A client that waits to be asked
    /// for a larger one is not asked yet. `arrived` counts its bytes.
    pub async fn begin(&mut self, arrived: &mut u64) -> Result<(), ErrorResponse> {
        match self.waits {
            true => Ok(()),
            false => self.read(SMALL, arrived).await,
        }
    }

    /// Reads to the end, or until there is more than `limit`. `arrived` counts its bytes.
    pub async fn read(&mut self, limit: usize, arrived: &mut u64) -> Result<(), ErrorResponse> {
        while !self.is_whole && self.so_far().len() <= limit {
            // What is there is not timed.
            let frame = match self.rest.frame().now_or_never() {
                Some(frame) => frame,
                None => self.next_frame().await.ok_or_else(incomplete)?,
            };
            let Some(frame) = frame else {
                self.is_whole = true;
                break;
            };
            match frame.map_err(|_| incomplete())?.into_data() {
                Ok(data) => {
                    *arrived += data.len() as u64;
                    self.add(data)?;
                }
                Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
            }
            self.is_whole = self.rest.is_end_stream();
        }
        Ok(())
    }

    /// Waits for the next frame; `None` if it takes too long.
    async fn next_frame(&mut self) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let now = Instant::now();
        let deadline = self.deadline(now);
        let frame = tokio::time::timeout_at(deadline.min(now + self.longest_pause), self.rest.frame());
        frame.await.ok()
    }

    /// When all of it has to be there, if it is waited for from now on or earlier.
    fn deadline(&mut self, now: Instant) -> Instant {
        *self.deadline.get_or_insert(now + self.longest())
    }

    fn longest(&self) -> Duration {
        2 * self.longest_pause
    }

    /// Charges what is held of it in all buffers while it streams: no more than is still to come.
    pub fn charge_buffers(&mut self) -> Result<(), ErrorResponse> {
        let rest = self.announced.map(|length| length.saturating_sub(self.so_far().len()));
        let held = rest.map_or(BUFFERS, |rest| rest.min(BUFFERS));
        self.charge.add(held).map_err(|OverBudget| over_budget())
    }

    fn add(&mut self, data: Bytes) -> Result<(), ErrorResponse> {
        self.charge.add(data.len()).map_err(|OverBudget| over_budget())?;
        if self.first.is_empty() && self.more.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.more.is_empty() {
            // Room for all of a small body: it takes no memory until something is written there.
            self.more.reserve(self.announced.unwrap_or_default().min(SMALL));
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.more.extend_from_slice(&data);
        Ok(())
    }

    /// The body, of which all has been read, with what it uses of the budget.
    pub fn take_bytes(&mut self) -> (Bytes, Charge) {
        let bytes = match self.more.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.more).freeze(),
        };
        (bytes, self.charge.take())
    }

    /// The body as it came: what has been read, and then the rest, whose bytes are added to a count as they arrive. It holds
    /// `arriving` for as long.
    pub fn take_body(&mut self, count: impl FnOnce() -> Arc<AtomicU64>, arriving: Option<Arriving>) -> Outgoing {
        let (held, charge) = self.take_bytes();
        if self.is_whole {
            let held = if held.is_empty() { held } else { charge.of(held) };
            return Outgoing::whole(held, self.trailers.take());
        }
        let count = count();
        let deadline = self.deadline(Instant::now());
        let rest = std::mem::take(&mut self.rest);
        let rest = TimedBody::new(self.longest_pause, rest)
            .until(deadline)
            .map_frame(move |frame| {
                let _until_it_has_arrived = (&arriving, &charge);
                count.fetch_add(data_length(&frame), Ordering::Relaxed);
                frame
            });
        Outgoing::arriving(held, rest, self.longest())
    }
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
