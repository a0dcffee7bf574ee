//! A stream whose connection's progress is told what arrives and what is written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::progress::Progress;
use crate::small_writes::{Space, join};

/// A stream that reports to a [`Progress`] when bytes arrive and end, and when they cannot be written.
pub struct Watched<I> {
    stream: I,
    progress: Progress,
    /// Whether there may be something to flush. The progress knows it too, but only under its lock, and hyper flushes whenever
    /// it looks at the stream.
    is_unflushed: bool,
}

impl<I> Watched<I> {
    /// Watches a stream.
    pub fn new(stream: I, progress: Progress) -> Self {
        Self {
            stream,
            progress,
            is_unflushed: false,
        }
    }

    fn noted<T>(&mut self, poll: Poll<T>) -> Poll<T> {
        self.is_unflushed = true;
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
            Poll::Pending => return self.noted(poll),
            Poll::Ready(_) if std::mem::take(&mut self.is_unflushed) => self.progress.note_flushed(),
            Poll::Ready(_) => {}
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
