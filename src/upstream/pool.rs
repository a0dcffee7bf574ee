//! Idle connections. hyper-util's pool cannot choose a connection per request, so this one is our own.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::Sleep};

use super::{
    Reuse,
    idle_limit::Closes,
    outgoing::Outgoing,
    socket::{Pending, Socket},
};

/// A connection: the sender of requests, and the socket that shows whether it is open. It is closed as soon as it is
/// dropped: hyper alone would first write what it still holds of a request, for as long as the upstream takes.
#[derive(Debug)]
pub struct Connection {
    /// Sends requests.
    pub sender: SendRequest<Outgoing>,
    pub socket: Socket,
    /// How many responses have come on it.
    pub responses: usize,
    /// The time that a response has: kept from one request to the next, since to move a timer costs less than to make one.
    pub timer: Pin<Box<Sleep>>,
    /// The task that reads and writes it.
    pub driver: AbortHandle,
}

impl Connection {
    /// Lets go of the task that waited for the latest response: the timer would hold its memory, long after its end perhaps.
    fn forget_task(&mut self) {
        let _pending = self.timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a response says about how long its connection may be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleLimit {
    /// The upstream closes it after the response.
    Closes,
    /// As long as its Keep-Alive field says.
    Announced(Duration),
    /// The response does not say.
    Unknown,
}

/// The most connections that are idle at once. More than that many requests do not come at the same moment.
const MAX_IDLE: usize = 128;

/// The most that are idle for longer than [`SURPLUS_TIME`].
const KEPT: usize = 16;

/// How long more than [`KEPT`] are idle. A connection is small, but it keeps the pages of memory in use that it shares with
/// what a burst of requests has freed.
const SURPLUS_TIME: Duration = Duration::from_secs(30);

/// The idle connections, and what is known about how long the upstream keeps them.
#[derive(Debug)]
pub struct Pool {
    state: Mutex<State>,
    max_idle_time: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Ordered by idle time, the longest first.
    idle: Vec<Idle>,
    closes: Closes,
    /// How often one was taken.
    reused: u64,
}

/// The connections to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// How many are idle now.
    pub idle: usize,
    /// How many were made.
    pub opened: u64,
    /// How often one was used again.
    pub reused: u64,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    /// The upstream's idle limit by its Keep-Alive field.
    announced: Option<Duration>,
}

impl Idle {
    /// Whether it is too old for any request: idle for `max_idle_time`, or for half of the upstream's idle limit, as it is
    /// known from other connections or was announced. Polls obey that limit too: a lost poll can cost the client its token.
    fn is_too_old(&self, known: Option<Duration>, max_idle_time: Duration, now: Instant) -> bool {
        let limits = [known, self.announced].into_iter().flatten().map(|limit| limit / 2);
        now - self.since >= limits.fold(max_idle_time, Duration::min)
    }

    /// Records that the upstream closed it.
    fn note_close(&self, closes: &mut Closes, now: Instant) {
        match self.connection.responses {
            1 => closes.note_first(now - self.since, now),
            _ => closes.note(now - self.since, now),
        }
    }
}

impl Pool {
    /// An empty pool. Connections that were idle for `max_idle_time` are closed.
    pub fn new(max_idle_time: Duration) -> Self {
        Self {
            state: Mutex::default(),
            max_idle_time,
        }
    }

    /// Takes the connection with the shortest idle time, if it is open and the request may reuse it.
    pub fn take(&self, reuse: Reuse, now: Instant) -> Option<Connection> {
        let mut state = self.state.lock();
        loop {
            // Not one whose exchange hyper has still to finish: of a request that was not written whole yet, perhaps.
            let latest = state.idle.iter().rposition(|idle| idle.connection.sender.is_ready())?;
            let known = state.closes.shortest(now);
            let is_too_old = state.idle[latest].is_too_old(known, self.max_idle_time, now);
            if let Reuse::IdleLess(limit) = reuse
                && !is_too_old
                && now - state.idle[latest].since >= limit
            {
                return None;
            }
            let idle = state.idle.remove(latest);
            if is_too_old {
                continue;
            }
            match idle.connection.socket.pending() {
                Pending::Nothing => {
                    state.reused += 1;
                    return Some(idle.connection);
                }
                Pending::Bytes => {}
                Pending::End => idle.note_close(&mut state.closes, now),
            }
        }
    }

    /// How many are idle, and how often one was taken.
    pub fn counts(&self) -> PoolCounts {
        let state = self.state.lock();
        PoolCounts {
            idle: state.idle.len(),
            reused: state.reused,
            ..PoolCounts::default()
        }
    }

    /// Adds a connection whose response has ended.
    pub fn put(&self, mut connection: Connection, announced: Option<Duration>) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let known = state.closes.shortest(now);
        // The others have been idle for a shorter time. All are looked at when one ends: that is not often.
        while let Some(longest) = state.idle.first()
            && (state.idle.len() == MAX_IDLE || longest.is_too_old(known, self.max_idle_time, now))
        {
            state.idle.remove(0);
        }
        connection.responses += 1;
        connection.forget_task();
        let is_closed = connection.sender.is_closed();
        state.idle.push(Idle {
            connection,
            since: now,
            announced,
        });
        drop(state);
        // It ended with its response, and was tidied away before it was here: what that says is wanted for the next request.
        if is_closed {
            self.tidy();
        }
    }

    /// Removes connections beyond need. Called now and then. Those that are too old for any request stay among the few: when
    /// the upstream closes one, that says how long it keeps them.
    pub fn trim(&self, now: Instant) {
        let idle = &mut self.state.lock().idle;
        let unused = idle.partition_point(|idle| now - idle.since >= SURPLUS_TIME);
        idle.drain(..unused.min(idle.len().saturating_sub(KEPT)));
    }

    /// Removes connections that were closed while idle, and those that are too old. Called when one ends.
    pub fn tidy(&self) {
        let mut state = self.state.lock();
        let State { idle, closes, .. } = &mut *state;
        let now = Instant::now();
        idle.retain(|idle| {
            let is_open = !idle.connection.sender.is_closed();
            if !is_open {
                idle.note_close(closes, now);
            }
            is_open
        });
        let known = closes.shortest(now);
        idle.retain(|idle| !idle.is_too_old(known, self.max_idle_time, now));
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::upstream::{Settings, route::Route};

    #[tokio::test]
    async fn what_a_burst_leaves_is_closed_after_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let route = Route::new(&origin, None, &Settings::default(), &[]).unwrap();
        let pool = Pool::new(Duration::from_secs(60));
        for _ in 0..MAX_IDLE + 1 {
            pool.put(route.make().await.unwrap(), None);
        }
        let now = Instant::now();
        let idle_after = |seconds| {
            pool.trim(now + Duration::from_secs(seconds));
            pool.counts().idle
        };
        assert_eq!([25, 30, 60].map(idle_after), [MAX_IDLE, KEPT, KEPT]);
    }
}
