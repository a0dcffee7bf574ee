//! Connections at rest. hyper-util's pool cannot choose by what a request can bear, so this one is ours.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};

use super::Reuse;

/// A connection, as what sends requests on it.
pub type Sender = SendRequest<Body>;

/// The connections at rest, the one that rests longest first.
#[derive(Debug)]
pub struct Pool {
    resting: Mutex<Vec<Resting>>,
    longest_rest: Duration,
}

#[derive(Debug)]
struct Resting {
    sender: Sender,
    since: Instant,
}

impl Pool {
    /// An empty pool. Connections that rested longer than `longest_rest` are closed.
    pub fn new(longest_rest: Duration) -> Self {
        Self {
            resting: Mutex::new(Vec::new()),
            longest_rest,
        }
    }

    /// Takes the connection that rested least, if it is open and rested no longer than the request can bear.
    pub fn take(&self, reuse: Reuse) -> Option<Sender> {
        let bearable = match reuse {
            Reuse::Any => self.longest_rest,
            Reuse::Rested(rest) => rest.min(self.longest_rest),
        };
        let mut resting = self.lock();
        self.close_old(&mut resting);
        while resting.last()?.since.elapsed() <= bearable {
            let sender = resting.pop()?.sender;
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Puts a connection to rest.
    fn put(&self, sender: Sender) {
        let mut resting = self.lock();
        self.close_old(&mut resting);
        resting.push(Resting {
            sender,
            since: Instant::now(),
        });
    }

    fn close_old(&self, resting: &mut Vec<Resting>) {
        let old = resting.partition_point(|resting| resting.since.elapsed() > self.longest_rest);
        resting.drain(..old);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Resting>> {
        // Nothing panics while it is held.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body, at whose end its connection goes to rest. Dropped before that, it closes the connection: an answer
/// that nobody reads to its end is in the way of the next.
#[derive(Debug)]
pub struct Leased {
    body: Incoming,
    lease: Option<(Sender, Arc<Pool>)>,
}

impl Leased {
    /// Ties a body to its connection.
    pub fn new(body: Incoming, sender: Sender, pool: Arc<Pool>) -> Self {
        let mut leased = Self {
            body,
            lease: Some((sender, pool)),
        };
        leased.end_lease_at_end();
        leased
    }

    fn end_lease_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.body)
            && let Some((mut sender, pool)) = self.lease.take()
        {
            tokio::spawn(async move {
                // Ready once hyper has finished the exchange; an error if the connection is to be closed.
                if sender.ready().await.is_ok() {
                    pool.put(sender);
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
