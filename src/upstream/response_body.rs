//! The body of a response from the upstream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower::BoxError;

use super::{lease::Leased, outgoing::size_of};
use crate::timed_body::TimedBody;

/// The body of a response.
pub enum ResponseBody {
    /// It is there.
    Whole {
        /// What is still to be passed on.
        data: Option<Bytes>,
        /// Whether its length was announced. If not, it is not announced to the client either.
        has_length: bool,
    },
    /// It arrives, with no pause that is too long.
    Arriving(Box<TimedBody<Leased>>),
}

impl ResponseBody {
    /// A body of which the beginning has been read.
    pub fn new(mut body: Leased, idle_timeout: Duration) -> Self {
        match body.take_whole() {
            Some((data, has_length)) => Self::Whole { data, has_length },
            None => Self::Arriving(Box::new(TimedBody::new(idle_timeout, body))),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole { data, .. } => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Arriving(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, .. } => data.is_none(),
            Self::Arriving(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { data, has_length: true } => size_of(data.as_ref()),
            // Of unknown length to whoever passes it on.
            Self::Whole {
                data,
                has_length: false,
            } => size_of(data.as_ref()) + SizeHint::new(),
            Self::Arriving(body) => body.size_hint(),
        }
    }
}
