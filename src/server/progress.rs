//! The progress of a connection: for the time limits that hyper does not have, whose own timer counts an idle connection as
//! a slow head; and for clients that close their sending side before they have their response.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{Limits, entrance::Entrance};

/// A client that closes its sending side within this time of its last byte is still there, and reads its response: some
/// shell tools and HTTP/1.0 clients do that. One that closes later has given up.
const HALF_CLOSE: Duration = Duration::from_millis(100);

/// What a connection is doing, as far as a time limit depends on it.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing of a request has arrived since then.
    Idle(Instant),
    /// A head began to arrive then.
    Head(Instant),
    /// Requests are in flight.
    Busy,
}

/// The progress of a connection. Clones share it.
#[derive(Clone)]
pub struct Progress(Arc<Shared>);

struct Shared {
    entrance: Entrance,
    state: Mutex<State>,
    /// Whether the client has gone.
    gone: AtomicBool,
}

struct State {
    phase: Phase,
    /// How many parts of exchanges are in flight: a request's body and its response count alike.
    in_flight: u32,
    /// How many requests began.
    begun: u64,
    /// The first byte that arrived.
    first_byte: Option<u8>,
    body: Receiving,
    /// Whether bytes were written that are not flushed.
    is_unflushed: bool,
    /// Since when the client reads nothing of what is ready to be written.
    stalled: Option<Instant>,
    /// When the latest byte arrived.
    latest_byte: Instant,
    /// Whether the end of what the client sends has been seen.
    has_ended: bool,
    /// The reader that waits for the end to be passed on.
    reader: Option<Waker>,
    /// Whoever waits for more of the body.
    consumer: Option<Waker>,
}

/// How far the body of the latest request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// The client waits to be asked for it.
    Unasked,
    /// More of it may come, or is on its way through hyper.
    Open,
    /// It was to go on when the client stopped sending.
    CutOff,
    /// It has ended, or there is none.
    Ended,
}

impl State {
    /// Whether an end of what the client sends would make hyper drop what the client is still to get.
    fn withholds_end(&self) -> bool {
        match self.body {
            Receiving::Unasked | Receiving::Open => true,
            Receiving::CutOff => false,
            Receiving::Ended => self.in_flight > 0 || self.is_unflushed,
        }
    }
}

impl Progress {
    /// A connection on which nothing has arrived yet.
    pub fn new(entrance: Entrance) -> Self {
        let now = Instant::now();
        Self(Arc::new(Shared {
            entrance,
            state: Mutex::new(State {
                phase: Phase::Idle(now),
                in_flight: 0,
                begun: 0,
                first_byte: None,
                body: Receiving::Ended,
                is_unflushed: false,
                stalled: None,
                latest_byte: now,
                has_ended: false,
                reader: None,
                consumer: None,
            }),
            gone: AtomicBool::new(false),
        }))
    }

    /// How the connection came in.
    pub fn entrance(&self) -> &Entrance {
        &self.0.entrance
    }

    /// A request begins, whose body has come this far.
    pub fn begin(&self, body: Receiving) -> Begun {
        let has_body = body != Receiving::Ended;
        let mut state = self.0.state.lock();
        // Only a request that follows another at once has arrived before it began.
        let began = match state.phase {
            Phase::Head(_) => state.latest_byte,
            Phase::Idle(_) | Phase::Busy => Instant::now(),
        };
        state.phase = Phase::Busy;
        state.in_flight += 1 + u32::from(has_body);
        state.begun += 1;
        state.body = body;
        let part = |of_body| Busy {
            progress: self.clone(),
            of_body,
        };
        Begun {
            response: part(None),
            body: has_body.then(|| part(Some(state.begun))),
            client: Client {
                progress: self.clone(),
                began: began.into_std(),
            },
        }
    }

    /// Whether the client has gone: it reset the connection, or closed its sending side when it had waited for its response
    /// for a while. Its request in flight is polled when that happens.
    pub fn is_client_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    /// The client was asked for its body.
    pub fn ask_for_body(&self) {
        self.0.state.lock().body = Receiving::Open;
    }

    /// Whether the client still waits to be asked for its body.
    pub fn is_unasked(&self) -> bool {
        self.0.state.lock().body == Receiving::Unasked
    }

    /// hyper has no more of the body of the latest request for whoever reads it. Returns whether what the client sends has
    /// ended.
    pub fn starve(&self, consumer: &Waker) -> bool {
        let mut state = self.0.state.lock();
        if !state.has_ended {
            state.consumer = Some(consumer.clone());
        }
        state.has_ended
    }

    /// The body of the latest request was to go on when what the client sends ended.
    pub fn cut_off_body(&self) {
        let mut state = self.0.state.lock();
        state.body = Receiving::CutOff;
        wake_reader(state);
    }

    /// The first byte that arrived.
    pub fn first_byte(&self) -> Option<u8> {
        self.0.state.lock().first_byte
    }

    /// Bytes arrived.
    pub fn note_bytes(&self, bytes: &[u8]) {
        let mut state = self.0.state.lock();
        state.first_byte = state.first_byte.or_else(|| bytes.first().copied());
        state.latest_byte = Instant::now();
        // Empty lines in front of a head are none of it (RFC 9112, section 2.2); some clients end a body with one.
        let is_empty_line = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if matches!(state.phase, Phase::Idle(_)) && !is_empty_line {
            state.phase = Phase::Head(state.latest_byte);
        }
    }

    /// What the client sends has ended, perhaps by a reset. Returns whether hyper must not know yet; `reader` is woken when
    /// it may.
    pub fn note_end(&self, is_reset: bool, reader: &Waker) -> bool {
        let mut state = self.0.state.lock();
        if !state.withholds_end() {
            return false;
        }
        let is_late = !state.has_ended && state.latest_byte.elapsed() > HALF_CLOSE;
        state.has_ended = true;
        state.reader = Some(reader.clone());
        let consumer = state.consumer.take();
        drop(state);
        // It finds out whether the body is whole.
        consumer.into_iter().for_each(Waker::wake);
        // Once: a stream may repeat its error for as long as it is read.
        if (is_reset || is_late) && !self.0.gone.swap(true, Ordering::Relaxed) {
            // The connection's own: its request in flight is polled once more.
            reader.wake_by_ref();
        }
        true
    }

    /// Bytes were ready to be written; the client took them or stalls.
    pub fn note_write(&self, is_stalled: bool) {
        let mut state = self.0.state.lock();
        state.is_unflushed = true;
        state.stalled = is_stalled.then(|| state.stalled.unwrap_or_else(Instant::now));
    }

    /// All bytes were written.
    pub fn note_flushed(&self) {
        let mut state = self.0.state.lock();
        state.is_unflushed = false;
        state.stalled = None;
        wake_reader(state);
    }

    /// Completes when an idle time, a head or a stalled client has exceeded its limit.
    pub async fn overdue(&self, limits: &Limits) -> Overdue {
        // An earlier deadline may arise during the sleep for a later one.
        let nap = limits.head_timeout.min(limits.keep_alive).min(limits.write_timeout);
        loop {
            let now = Instant::now();
            let deadline = {
                let state = self.0.state.lock();
                let of_phase = match state.phase {
                    Phase::Idle(since) => Some((since + limits.keep_alive, Overdue::Idle)),
                    Phase::Head(since) => Some((since + limits.head_timeout, Overdue::Head)),
                    Phase::Busy => None,
                };
                let of_write = state
                    .stalled
                    .map(|since| (since + limits.write_timeout, Overdue::Write));
                [of_phase, of_write].into_iter().flatten().min_by_key(|(at, _)| *at)
            };
            if let Some((_, overdue)) = deadline.filter(|(at, _)| *at <= now) {
                return overdue;
            }
            let next = deadline.map_or(now + nap, |(at, _)| at.min(now + nap));
            tokio::time::sleep_until(next).await;
        }
    }
}

/// A limit that a connection exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It was idle for too long.
    Idle,
    /// A head took too long.
    Head,
    /// The client read nothing for too long.
    Write,
}

/// Wakes a reader that an end is withheld from, once it may know.
fn wake_reader(mut state: MutexGuard<'_, State>) {
    if !state.withholds_end()
        && let Some(reader) = state.reader.take()
    {
        drop(state);
        reader.wake();
    }
}

/// A request that begins.
pub struct Begun {
    /// Lasts until its response has ended.
    pub response: Busy,
    /// Lasts until its body has ended, or nobody waits for more of it; `None` if there is no body.
    pub body: Option<Busy>,
    pub client: Client,
}

/// A part of an exchange that is in flight. At the end of the last one the connection becomes idle.
pub struct Busy {
    progress: Progress,
    /// The number of the request whose body this is; `None` for a response.
    of_body: Option<u64>,
}

impl Busy {
    /// The progress of its connection.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.progress.0.state.lock();
        // The next request may have begun already. A body that was never asked for may still come.
        if self.of_body == Some(state.begun) && state.body != Receiving::Unasked {
            state.body = Receiving::Ended;
            state.consumer = None;
        }
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.phase = Phase::Idle(Instant::now());
        }
        wake_reader(state);
    }
}

/// The client of a request.
pub struct Client {
    progress: Progress,
    /// When the head of its request had arrived.
    pub began: std::time::Instant,
}

impl Client {
    /// How its request came in.
    pub fn entrance(&self) -> &Entrance {
        self.progress.entrance()
    }

    /// Whether it has gone.
    pub fn is_gone(&self) -> bool {
        self.progress.is_client_gone()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::atomic::AtomicUsize, task::Wake};

    use super::*;
    use crate::server::Way;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A TLS stream that has met a broken record says so whenever it is read.
    #[test]
    fn a_client_that_goes_wakes_its_request_once() {
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let progress = Progress::new(Entrance {
            local: nobody,
            peer: nobody,
            way: Way::Direct,
        });
        let _begun = progress.begin(Receiving::Open);
        for _ in 0..3 {
            assert!(progress.note_end(true, &woken.clone().into()));
        }
        assert!(progress.is_client_gone());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
