//! Ties a connection's progress to the bodies of an exchange: while one of them lasts, the connection is busy.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use super::progress::{Begun, Busy, Client, Receiving};
use crate::idle_wake::take;

/// How long the rest of a request's body is read that nobody wants any more: a client that is cut off while it sends may
/// never read the response.
const LINGER: Duration = Duration::from_secs(2);

/// The body of a request. It keeps the connection busy; dropped early, it is still read for a while.
#[derive(Default)]
pub struct RequestBody {
    /// `None` if there is none.
    body: Option<Incoming>,
    /// While it has not ended.
    busy: Option<Busy>,
    /// Whether the client waits to be asked for it.
    waits: bool,
    client: Option<Client>,
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

/// A request whose body keeps the connection busy, and what its response keeps busy.
pub fn receive(request: Request<Incoming>, receiving: Receiving, begun: Begun) -> (Request<RequestBody>, Busy) {
    let request = request.map(|body| RequestBody {
        body: begun.body.is_some().then_some(body),
        busy: begun.body,
        waits: receiving == Receiving::Unasked,
        client: Some(begun.client),
    });
    (request, begun.response)
}

impl RequestBody {
    /// The client, once; `None` outside of a server. It is not among the request's extensions, since each of these is an
    /// allocation and a hash.
    pub fn take_client(&mut self) -> Option<Client> {
        self.client.take()
    }

    /// Whether the client waits to be asked for it (RFC 9110, section 10.1.1).
    pub fn is_unasked(&self) -> bool {
        self.waits
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Some(busy) = &this.busy
            && std::mem::take(&mut this.waits)
        {
            busy.progress().ask_for_body();
        }
        let mut polled = take(body, cx);
        if polled.is_pending()
            && let Some(busy) = &this.busy
            && busy.progress().starve(cx.waker())
        {
            // Another thread may have read the rest before it saw the end, and after it was asked.
            polled = take(body, cx);
            if polled.is_pending() {
                busy.progress().cut_off_body();
            }
        }
        let frame = ready!(polled);
        if body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            this.busy = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(busy) = self.busy.take().filter(|_| !self.waits) else {
            return;
        };
        // Without a runtime the process is ending.
        if let (Some(mut body), Ok(runtime)) = (self.body.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                let _ = tokio::time::timeout(LINGER, rest).await;
                drop(busy);
            });
        }
    }
}

/// The body of a response. It keeps the connection busy.
pub struct ResponseBody<B> {
    body: B,
    /// While it has not ended.
    busy: Option<Busy>,
}

impl<B> ResponseBody<B> {
    /// Ties a body to its exchange, if there is one.
    pub fn new(body: B, busy: Option<Busy>) -> Self {
        Self { body, busy }
    }
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
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
