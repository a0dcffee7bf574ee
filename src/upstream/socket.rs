//! A TCP connection that hyper and the pool share: hyper reads and writes it, the pool has to know whether the upstream
//! closed it. The system knows as soon as the close arrives, hyper only once its task has run. And whoever waits for a
//! response has to know whether the request was written as a whole.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::Shutdown,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::small_writes::{Space, join};

/// The connection. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Socket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    sending: AtomicU8,
}

/// How far the latest request has been written, each step after the one before.
mod sending {
    /// hyper has not been given all of it.
    pub const BEGUN: u8 = 0;
    /// hyper has been given all of it.
    pub const HANDED_OVER: u8 = 1;
    /// hyper has written since.
    pub const WRITING: u8 = 2;
    /// hyper has written all that it held.
    pub const WRITTEN: u8 = 3;
}

/// What has arrived on an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing, as it should be.
    Nothing,
    /// Bytes that belong to no response, such as a TLS session ticket or a close_notify alert.
    Bytes,
    /// The end of the connection.
    End,
}

impl Socket {
    /// Shares a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Shared {
            stream,
            sending: AtomicU8::new(sending::BEGUN),
        }))
    }

    /// What has arrived on an idle connection.
    pub fn pending(&self) -> Pending {
        match SockRef::from(&self.0.stream).peek(&mut [MaybeUninit::uninit()]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pending::Nothing,
            Ok(0) | Err(_) => Pending::End,
            Ok(_) => Pending::Bytes,
        }
    }

    /// A request is about to be sent.
    pub fn begin_request(&self) {
        self.0.sending.store(sending::BEGUN, Ordering::Relaxed);
    }

    /// hyper has been given all of the request.
    pub fn end_request(&self) {
        self.0.sending.store(sending::HANDED_OVER, Ordering::Relaxed);
    }

    /// Whether all of the latest request has been written.
    pub fn is_request_written(&self) -> bool {
        self.0.sending.load(Ordering::Relaxed) == sending::WRITTEN
    }

    fn step(&self, from: u8, to: u8) {
        let sending = &self.0.sending;
        // Where another step is due there is nothing to exchange.
        if sending.load(Ordering::Relaxed) == from {
            let _ = sending.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Tries until it would not block. A write that fails is left to the reader: the upstream may have responded before it
    /// closed the connection, and then that response counts.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match write(&self.0.stream) {
                Ok(length) => {
                    self.step(sending::HANDED_OVER, sending::WRITING);
                    return Poll::Ready(Ok(length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if is_closed(&error) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Whether an error says that the other side closed the connection. Reading then has an end, too.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let room = buffer.remaining();
            let mut read = None;
            let result = stream.try_io(Interest::READABLE, || {
                let length = stream.try_read_buf(buffer)?;
                read = Some(length);
                match length {
                    // It has emptied the socket. tokio takes this for "would block", so that the next read waits without
                    // a call that finds out.
                    1.. if length < room => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
            match result {
                _ if read.is_some() => return Poll::Ready(Ok(())),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Ok(()) | Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut space = Space::new();
        match join(slices, &mut space) {
            Some(bytes) => self.poll_write(cx, bytes),
            None => self.poll_write_with(cx, |stream| stream.try_write_vectored(slices)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(sending::WRITING, sending::WRITTEN);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0.stream).shutdown(Shutdown::Write))
    }
}
