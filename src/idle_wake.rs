//! Spares connections a wake-up for nothing. hyper wakes the task that sends a body whenever a chunk of it is taken, after the
//! last chunk as well, when that task has nothing more to send (hyper 1.12, `body/chan.rs`). It would look through its whole
//! connection twice per request, once on either side.

use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

thread_local! {
    /// Whether a chunk is being taken on this thread.
    static IS_TAKING: Cell<bool> = const { Cell::new(false) };
    /// What was woken meanwhile.
    static WOKEN: Cell<Option<Arc<Alarm>>> = const { Cell::new(None) };
}

/// What a connection is polled with, in one task, so that [`take`] can hold back its wake-ups.
#[derive(Default)]
pub struct Alarms {
    /// The alarm of its task, and the same as the waker that the connection is given.
    alarm: Option<(Arc<Alarm>, Waker)>,
}

impl Alarms {
    /// Polls the connection.
    pub fn poll<F: Future>(&mut self, connection: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
        let known = self.alarm.take().filter(|(alarm, _)| alarm.0.will_wake(cx.waker()));
        let (_, waker) = self.alarm.insert(known.unwrap_or_else(|| {
            let alarm = Arc::new(Alarm(cx.waker().clone()));
            (alarm.clone(), alarm.into())
        }));
        connection.poll(&mut Context::from_waker(waker))
    }
}

/// Wakes a task, but not while a chunk is taken on the same thread: then it is for [`take`] to do, or not.
struct Alarm(Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if !IS_TAKING.get() {
            self.0.wake_by_ref();
        } else if let Some(other) = WOKEN.replace(Some(self)) {
            other.0.wake_by_ref();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match IS_TAKING.get() {
            true => self.clone().wake(),
            false => self.0.wake_by_ref(),
        }
    }
}

/// Takes the next frame of a body, and does not wake whoever sends it if that was the last one.
pub fn take(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let taking = Taking::begin();
    let frame = Pin::new(&mut *body).poll_frame(cx);
    if let Some(woken) = taking.end()
        && !body.is_end_stream()
    {
        woken.0.wake_by_ref();
    }
    frame
}

/// Ends what it begins, in a panic too.
struct Taking;

impl Taking {
    fn begin() -> Self {
        IS_TAKING.set(true);
        Self
    }

    fn end(self) -> Option<Arc<Alarm>> {
        drop(self);
        WOKEN.take()
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        IS_TAKING.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// How often a connection is polled until it has responded to these writes, and how long the body was.
    async fn served(writes: &[&[u8]], has_alarms: bool) -> (usize, usize) {
        let (near, mut far) = duplex(1 << 20);
        let length = Arc::new(AtomicUsize::new(0));
        let taken = length.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let taken = taken.clone();
            async move {
                let mut body = request.into_body();
                while let Some(frame) = poll_fn(|cx| take(&mut body, cx)).await {
                    let data = frame.unwrap().into_data().unwrap();
                    taken.fetch_add(data.len(), Ordering::Relaxed);
                }
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let connection = tokio::spawn(async move {
            let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(near), service));
            let mut alarms = Alarms::default();
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                match has_alarms {
                    true => alarms.poll(connection.as_mut(), cx),
                    false => connection.as_mut().poll(cx),
                }
            })
            .await
        });
        for write in writes {
            far.write_all(write).await.unwrap();
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let mut response = [0; 12];
        far.read_exact(&mut response).await.unwrap();
        assert_eq!(&response, b"HTTP/1.1 200");
        tokio::task::yield_now().await;
        let polls = polls.load(Ordering::Relaxed);
        connection.abort();
        (polls, length.load(Ordering::Relaxed))
    }

    /// The first poll finds nothing but for the request that is there already.
    #[tokio::test]
    async fn a_connection_is_not_woken_for_the_last_chunk() {
        let whole: &[&[u8]] = &[b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde"];
        assert_eq!(served(whole, true).await, (1, 5));
        // hyper has learned it as soon as this fails.
        assert_eq!(served(whole, false).await, (2, 5));
    }

    #[tokio::test]
    async fn it_is_woken_for_every_other_chunk() {
        let head = b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc".as_slice();
        assert_eq!(served(&[head, b"de", b"fghij"], true).await.1, 10);
        let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".as_slice();
        assert_eq!(
            served(&[head, b"3\r\nabc\r\n2\r\nde\r\n", b"0\r\n\r\n"], true).await.1,
            5
        );
        let large = [
            b"POST / HTTP/1.1\r\ncontent-length: 500000\r\n\r\n".as_slice(),
            &[b'a'; 500_000],
        ]
        .concat();
        assert_eq!(served(&[&large], true).await.1, 500_000);
    }
}
