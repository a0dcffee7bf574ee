//! Connections at rest. hyper-util's pool cannot choose by what a request can bear, so this one is ours.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use tokio::task::AbortHandle;

use super::{
    Reuse,
    closes::Closes,
    socket::{News, Socket},
};

/// A connection: what sends requests on it, and what shows whether it is open. Dropped, it is closed at once: hyper alone
/// would first write what it still holds of a request, for as long as the upstream takes.
#[derive(Debug)]
pub struct Connection {
    /// Sends requests.
    pub sender: SendRequest<Body>,
    /// What it runs on.
    pub socket: Socket,
    /// The task that reads and writes it.
    pub driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What an answer says of how long its connection may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The upstream closes it.
    Never,
    /// As long as its Keep-Alive field says.
    AtMost(Duration),
    /// It may rest, and nothing is said of how long.
    Unsaid,
}

/// The most connections that rest at once. More than that many requests do not come at the same moment.
const MOST: usize = 128;

/// The connections at rest, and what is known of how long the upstream lets them.
#[derive(Debug)]
pub struct Pool {
    state: Mutex<State>,
    longest_rest: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// The one that rests longest comes first.
    resting: Vec<Resting>,
    closes: Closes,
}

#[derive(Debug)]
struct Resting {
    connection: Connection,
    since: Instant,
    /// How long the upstream said that it may.
    announced: Option<Duration>,
}

impl Pool {
    /// An empty pool. Connections that rested longer than `longest_rest` are closed.
    pub fn new(longest_rest: Duration) -> Self {
        Self {
            state: Mutex::default(),
            longest_rest,
        }
    }

    /// Takes the connection that rested least, if it is open and rested no longer than the request can bear.
    pub fn take(&self, reuse: Reuse) -> Option<Connection> {
        let mut state = self.state();
        loop {
            state.tidy(self.longest_rest);
            let now = Instant::now();
            let rested = now - state.resting.last()?.since;
            if let Reuse::Rested(longest) = reuse
                && rested >= longest
            {
                return None;
            }
            let connection = state.resting.pop()?.connection;
            match connection.socket.news() {
                News::None if connection.sender.is_ready() => return Some(connection),
                News::None | News::Bytes => {}
                News::End => state.closes.note(rested, now),
            }
        }
    }

    /// Puts a connection to rest.
    fn put(&self, connection: Connection, announced: Option<Duration>) {
        let mut state = self.state();
        state.tidy(self.longest_rest);
        if state.resting.len() == MOST {
            state.resting.remove(0);
        }
        state.resting.push(Resting {
            connection,
            since: Instant::now(),
            announced,
        });
    }

    /// Notes that the upstream closed a connection that could have rested, without having said that it would.
    fn note_close(&self, rested: Duration) {
        self.state().closes.note(rested, Instant::now());
    }

    /// Looks for connections that were closed at rest. Called when one ends.
    pub fn tidy(&self) {
        self.state().tidy(self.longest_rest);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what is closed, learns from it, and drops what nothing may take any longer: what rested for `longest_rest`, or
    /// half as long as the upstream is known to let it. Polls as well keep away from a close that is known to come: one that
    /// is lost costs a client its token.
    fn tidy(&mut self, longest_rest: Duration) {
        let now = Instant::now();
        let closes = &mut self.closes;
        self.resting.retain(|resting| {
            let is_open = !resting.connection.sender.is_closed();
            if !is_open {
                closes.note(now - resting.since, now);
            }
            is_open
        });
        let observed = closes.shortest(now).map(|closed| closed / 2);
        self.resting.retain(|resting| {
            let announced = resting.announced.map(|announced| announced / 2);
            let limits = [observed, announced].into_iter().flatten();
            now - resting.since < limits.fold(longest_rest, Duration::min)
        });
    }
}

/// An answer's body, at whose end its connection goes to rest. Dropped before that, it closes the connection: an answer
/// that nobody reads to its end is in the way of the next.
#[derive(Debug)]
pub struct Leased {
    body: Incoming,
    lease: Option<(Connection, Arc<Pool>)>,
    rest: Rest,
}

impl Leased {
    /// Ties a body to its connection.
    pub fn new(body: Incoming, rest: Rest, connection: Connection, pool: Arc<Pool>) -> Self {
        let mut leased = Self {
            body,
            lease: Some((connection, pool)),
            rest,
        };
        leased.end_lease_at_end();
        leased
    }

    fn end_lease_at_end(&mut self) {
        if http_body::Body::is_end_stream(&self.body)
            && let Some((mut connection, pool)) = self.lease.take()
        {
            let rest = self.rest;
            tokio::spawn(async move {
                // Ready once hyper has finished the exchange; an error if the connection is closed. An answer that came
                // before its request was written may leave it busy for ever.
                let ready = tokio::time::timeout(pool.longest_rest, connection.sender.ready());
                match (ready.await, rest) {
                    (_, Rest::Never) | (Err(_), _) => {}
                    (Ok(Ok(())), Rest::AtMost(rest)) => pool.put(connection, Some(rest)),
                    (Ok(Ok(())), Rest::Unsaid) => pool.put(connection, None),
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
