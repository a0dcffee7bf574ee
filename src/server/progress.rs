//! The progress of a connection, for the time limits that hyper does not have: hyper's own timer counts an idle
//! connection as a slow head.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::Limits;

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
pub struct Progress(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// Since when the client reads nothing of what is ready to be written.
    stalled: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Idle(Instant::now()),
            stalled: None,
        })))
    }
}

impl Progress {
    /// A request is in flight until the returned value is dropped.
    pub fn begin(&self) -> Busy {
        self.0.lock().phase = Phase::Busy;
        Busy(self.clone())
    }

    /// Bytes arrived.
    fn note_bytes(&self) {
        let mut state = self.0.lock();
        if let Phase::Idle(_) = state.phase {
            state.phase = Phase::Head(Instant::now());
        }
    }

    /// Bytes were ready to be written; the client took them or stalls.
    fn note_write(&self, is_stalled: bool) {
        let stalled = &mut self.0.lock().stalled;
        *stalled = is_stalled.then(|| stalled.unwrap_or_else(Instant::now));
    }

    /// Completes when an idle time, a head or a stalled client has exceeded its limit.
    pub async fn overdue(&self, limits: &Limits) -> Overdue {
        // An earlier deadline may arise during the sleep for a later one.
        let nap = limits.head_timeout.min(limits.keep_alive).min(limits.write_timeout);
        loop {
            let now = Instant::now();
            let deadline = {
                let state = self.0.lock();
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

/// A request in flight. At its end the connection becomes idle.
pub struct Busy(Progress);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.lock().phase = Phase::Idle(Instant::now());
    }
}

/// A stream that reports to a [`Progress`] when bytes arrive, and when they cannot be written.
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
            self.progress.note_bytes();
        }
        Poll::Ready(result)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(poll)
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
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(poll)
    }
}
