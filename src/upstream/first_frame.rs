//! A response whose body is broken from the start. The client's side would end the connection before it has written a
//! byte of the response, and a client that gets nothing at all may submit again.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Error, body::Body, response::Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// Looks at the first frame of a response, if it is there already. Fails if the body is broken there.
pub fn check(response: Response) -> Result<Response, Error> {
    let (head, mut rest) = response.into_parts();
    if rest.is_end_stream() {
        return Ok(Response::from_parts(head, rest));
    }
    let body = match rest.frame().now_or_never() {
        Some(Some(Err(error))) => return Err(error),
        Some(Some(Ok(first))) => Body::new(Begun {
            first: Some(first),
            rest,
        }),
        // It has ended, or nothing is there yet.
        Some(None) | None => rest,
    };
    Ok(Response::from_parts(head, body))
}

/// A body whose first frame has been read.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }
}
