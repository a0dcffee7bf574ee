//! Ties a connection's progress to the bodies of an exchange: while one of them lasts, the connection is busy.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Error, body::Body};
use bytes::Bytes;
use http::{Request, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use super::progress::{Busy, Progress, Receiving};

/// How long the rest of a request's body is read that nobody wants any more: a client that is cut off while it sends may
/// never read the response.
const LINGER: Duration = Duration::from_secs(2);

/// The body of a request.
struct Received {
    body: Body,
    progress: Progress,
    /// While the body has not ended.
    busy: Option<Busy>,
    /// Whether the client waits to be asked for its body.
    waits: bool,
}

/// How far the body of a request has come when the request begins. A client that is not asked for its body (RFC 9110,
/// section 10.1.1) sends none after a response.
pub fn receiving(request: &Request<Incoming>) -> Receiving {
    match (
        request.body().is_end_stream(),
        request.headers().contains_key(header::EXPECT),
    ) {
        (true, _) => Receiving::Ended,
        (false, true) => Receiving::Unasked,
        (false, false) => Receiving::Open,
    }
}

/// A request whose body keeps the connection busy. A body that is dropped early is still read for a while.
pub fn receive(request: Request<Incoming>, progress: &Progress, busy: &Busy) -> Request<Body> {
    if request.body().is_end_stream() {
        return request.map(|_| Body::empty());
    }
    let waits = receiving(&request) == Receiving::Unasked;
    request.map(|body| {
        Body::new(Received {
            body: Body::new(body),
            progress: progress.clone(),
            busy: Some(busy.clone()),
            waits,
        })
    })
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if std::mem::take(&mut self.waits) {
            self.progress.ask_for_body();
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.progress.starve(cx.waker());
            return Poll::Pending;
        };
        if self.body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Received {
    fn end(&mut self) {
        if let Some(busy) = self.busy.take() {
            self.progress.end_body(busy.request());
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(busy) = self.busy.take().filter(|_| !self.waits) else {
            return;
        };
        // Without a runtime the process is ending.
        if let Ok(runtime) = Handle::try_current() {
            let mut body = std::mem::take(&mut self.body);
            let progress = self.progress.clone();
            runtime.spawn(async move {
                let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                let _ = tokio::time::timeout(LINGER, rest).await;
                progress.end_body(busy.request());
                drop(busy);
            });
        }
    }
}

/// The body of a response.
struct Sent {
    body: Body,
    /// While the body has not ended.
    busy: Option<Busy>,
}

/// A response's body that keeps the connection busy.
pub fn send(body: Body, busy: Busy) -> Body {
    Body::new(Sent { body, busy: Some(busy) })
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.busy = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
