//! A response body that returns its connection to the pool.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::{Connection, IdleLimit, Pool};

/// A response body that returns its connection to the pool at its end. Dropped before that, it closes the connection: an
/// unread response would come before the next one.
#[derive(Debug)]
pub struct Leased {
    body: Incoming,
    lease: Option<(Connection, Arc<Pool>)>,
    limit: IdleLimit,
}

impl Leased {
    /// Ties a body to its connection.
    pub fn new(body: Incoming, limit: IdleLimit, connection: Connection, pool: Arc<Pool>) -> Self {
        let mut leased = Self {
            body,
            lease: Some((connection, pool)),
            limit,
        };
        leased.end_lease_at_end();
        leased
    }

    fn end_lease_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.body)
            && let Some((mut connection, pool)) = self.lease.take()
        {
            let limit = self.limit;
            tokio::spawn(async move {
                // Ready once hyper has finished the exchange; an error if the connection is closed. A response that came
                // before its request was written may leave the connection busy for ever.
                let ready = tokio::time::timeout(pool.max_idle_time(), connection.sender.ready());
                match (ready.await, limit) {
                    (_, IdleLimit::Closes) | (Err(_), _) => {}
                    (Ok(Ok(())), IdleLimit::Announced(limit)) => pool.put(connection, Some(limit)),
                    (Ok(Ok(())), IdleLimit::Unknown) => pool.put(connection, None),
                    (Ok(Err(_)), _) => pool.note_close(Duration::ZERO),
                }
            });
        }
    }
}

impl http_body::Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.end_lease_at_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
