//! The progress of a connection: for the time limits that hyper does not have, whose own timer counts an idle connection as
//! a slow head; and for clients that close their sending side before they have their response.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::Limits;
use crate::small_writes::{Space, join};

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

impl Default for Progress {
    fn default() -> Self {
        let now = Instant::now();
        Self(Arc::new(Shared {
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
}

impl Progress {
    /// A request begins. The connection is busy until the returned value and its clones are dropped.
    pub fn begin(&self, body: Receiving) -> Busy {
        let mut state = self.0.state.lock();
        state.phase = Phase::Busy;
        state.in_flight += 1;
        state.begun += 1;
        state.body = body;
        Busy {
            progress: self.clone(),
            number: state.begun,
        }
    }

    /// Tells when the client has gone.
    pub fn client_gone(&self) -> ClientGone {
        ClientGone(self.clone())
    }

    /// The client was asked for its body.
    pub fn ask_for_body(&self) {
        self.0.state.lock().body = Receiving::Open;
    }

    /// Whether the client still waits to be asked for its body.
    pub fn is_unasked(&self) -> bool {
        self.0.state.lock().body == Receiving::Unasked
    }

    /// The body of a request has ended, or nobody waits for more of it. The next request may have begun already.
    fn end_body(&self, request: u64) {
        let mut state = self.0.state.lock();
        if state.begun == request {
            state.body = Receiving::Ended;
            state.consumer = None;
            wake_reader(state);
        }
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
    fn note_bytes(&self, bytes: &[u8]) {
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
    fn note_end(&self, is_reset: bool, reader: &Waker) -> bool {
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
    fn note_write(&self, is_stalled: bool) {
        let mut state = self.0.state.lock();
        state.is_unflushed = true;
        state.stalled = is_stalled.then(|| state.stalled.unwrap_or_else(Instant::now));
    }

    /// All bytes were written.
    fn note_flushed(&self) {
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

/// A part of an exchange that is in flight. At the end of the last one the connection becomes idle.
pub struct Busy {
    progress: Progress,
    number: u64,
}

impl Busy {
    /// The progress of its connection.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The body of its request has ended, or nobody waits for more of it.
    pub fn end_body(self) {
        self.progress.end_body(self.number);
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.progress.0.state.lock().in_flight += 1;
        Self {
            progress: self.progress.clone(),
            number: self.number,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.progress.0.state.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.phase = Phase::Idle(Instant::now());
            wake_reader(state);
        }
    }
}

/// Tells whether the client of a connection has gone: it reset the connection, or closed its sending side when it had waited
/// for its response for a while. Its request in flight is polled when that happens.
#[derive(Clone)]
pub struct ClientGone(Progress);

impl ClientGone {
    /// Whether the client has gone.
    pub fn is_gone(&self) -> bool {
        self.0.0.gone.load(Ordering::Relaxed)
    }
}

/// A stream that reports to a [`Progress`] when bytes arrive and end, and when they cannot be written.
pub struct Watched<I> {
    stream: I,
    progress: Progress,
}

impl<I> Watched<I> {
    /// Watches a stream.
    pub fn new(stream: I, progress: Progress) -> Self {
        Self { stream, progress }
    }

    fn noted<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.progress.note_write(poll.is_pending());
        poll
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.progress.note_bytes(&buffer.filled()[before..]);
            return Poll::Ready(result);
        }
        // TLS calls an end without its alert an error.
        let is_reset = result
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::UnexpectedEof);
        match self.progress.note_end(is_reset, cx.waker()) {
            true => Poll::Pending,
            false => Poll::Ready(result),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        match poll {
            Poll::Ready(_) => self.progress.note_flushed(),
            Poll::Pending => self.progress.note_write(true),
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut space = Space::new();
        let stream = Pin::new(&mut self.stream);
        let poll = match join(slices, &mut space) {
            Some(bytes) => stream.poll_write(cx, bytes),
            None => stream.poll_write_vectored(cx, slices),
        };
        self.noted(poll)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake};

    use super::*;

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
        let progress = Progress::default();
        let _busy = progress.begin(Receiving::Open);
        for _ in 0..3 {
            assert!(progress.note_end(true, &woken.clone().into()));
        }
        assert!(progress.client_gone().is_gone());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
