//! The body of a request on its way to the upstream.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

use super::socket::Socket;

/// The body of a request: what has been read of it, and then what still arrives.
#[derive(Default)]
pub struct Outgoing {
    read: Option<Bytes>,
    rest: Option<UnsyncBoxBody<Bytes, BoxError>>,
    trailers: Option<Box<HeaderMap>>,
    /// Is told when all of it has been handed over.
    socket: Option<Socket>,
    /// There if the rest still arrived when it was made.
    arrival: Option<Arrival>,
}

/// The arrival of a body. Clones are of the same.
#[derive(Clone, Debug)]
pub struct Arrival {
    whole: Arc<OnceLock<Instant>>,
    /// How long it takes at most.
    longest: Duration,
}

impl Arrival {
    /// When the upstream, to which a request has been sent since `began`, should have responded: it has its time, `limit`,
    /// from when it can have read the request.
    pub fn deadline(&self, began: Instant, limit: Duration, now: Instant) -> Instant {
        let readable = self.whole.get().copied();
        readable.unwrap_or_else(|| now.min(began + self.longest)) + limit
    }
}

impl Outgoing {
    /// A body of which all has been read.
    pub fn whole(read: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self {
            read: Some(read).filter(|read| !read.is_empty()),
            trailers,
            ..Self::default()
        }
    }

    /// A body of which the beginning has been read. The rest ends, or fails, before it has taken `longest`.
    pub fn arriving(
        read: Bytes,
        rest: impl Body<Data = Bytes, Error = BoxError> + Send + 'static,
        longest: Duration,
    ) -> Self {
        Self {
            rest: Some(UnsyncBoxBody::new(rest)),
            arrival: Some(Arrival {
                whole: Arc::default(),
                longest,
            }),
            ..Self::whole(read, None)
        }
    }

    /// The body is about to be written on a connection, which is to know when all of it has been handed over.
    pub fn begin(&mut self, socket: &Socket) {
        socket.begin_request();
        if self.is_end_stream() {
            socket.end_request();
        }
        self.socket = Some(socket.clone());
    }

    /// Its arrival; `None` if all of it had been read.
    pub fn arrival(&self) -> Option<Arrival> {
        self.arrival.clone()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(read) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers)))),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.poll_next(cx));
        if frame.is_none() || self.is_end_stream() {
            if let Some(socket) = &self.socket {
                socket.end_request();
            }
            if let Some(arrival) = &self.arrival {
                arrival.whole.get_or_init(Instant::now);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.trailers.is_none() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match &self.rest {
            Some(rest) => rest.size_hint(),
            None => SizeHint::with_exact(0),
        };
        size_of(self.read.as_ref()) + rest
    }
}

/// The size of data that is there.
pub fn size_of(data: Option<&Bytes>) -> SizeHint {
    SizeHint::with_exact(data.map_or(0, Bytes::len) as u64)
}
