//! A response body that returns its connection to the pool.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    outgoing::size_of,
    pool::{Connection, IdleLimit, Pool},
};
use crate::idle_wake::take;

/// A response body that returns its connection to the pool at its end. Dropped before that, it closes the connection: an
/// unread response would come before the next one.
#[derive(Debug)]
pub struct Leased {
    /// The first frame, if it has been read.
    first: Option<Frame<Bytes>>,
    body: Incoming,
    lease: Option<(Connection, Arc<Pool>)>,
    limit: IdleLimit,
}

impl Leased {
    /// Ties a body to its connection.
    pub fn new(body: Incoming, limit: IdleLimit, connection: Connection, pool: Arc<Pool>) -> Self {
        let mut leased = Self {
            first: None,
            body,
            lease: Some((connection, pool)),
            limit,
        };
        leased.end_lease_at_end();
        leased
    }

    /// Reads the first frame, if it is there already. Fails if the body is broken there: the client's side would end the
    /// connection before it has written a byte of the response, and a client that gets nothing at all may submit again.
    pub fn begin(&mut self) -> Result<(), hyper::Error> {
        // It has ended, or nothing is there yet, if there is no frame.
        self.first = self.frame().now_or_never().flatten().transpose()?;
        Ok(())
    }

    /// All that is left of it, and whether its length was announced; `None` if more may come.
    pub fn take_whole(&mut self) -> Option<(Option<Bytes>, bool)> {
        let is_whole = self.lease.is_none() && self.first.as_ref().is_none_or(Frame::is_data);
        let has_length = http_body::Body::size_hint(&self.body).exact().is_some();
        is_whole.then(|| (self.first.take().and_then(|first| first.into_data().ok()), has_length))
    }

    fn end_lease_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.body)
            && let Some((connection, pool)) = self.lease.take()
        {
            match self.limit {
                // It came before the end of its request, which may never come: nothing can follow on this connection.
                _ if !connection.socket.is_request_written() => {}
                IdleLimit::Closes => {}
                IdleLimit::Announced(limit) => pool.put(connection, Some(limit)),
                IdleLimit::Unknown => pool.put(connection, None),
            }
        }
    }
}

impl http_body::Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let frame = ready!(take(&mut self.body, cx));
        self.end_lease_at_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        size_of(self.first.as_ref().and_then(Frame::data_ref)) + self.body.size_hint()
    }
}
