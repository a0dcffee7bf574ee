//! A body whose beginning has been read.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Error, body::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// A body whose beginning has been read: those frames, and then the rest.
pub struct Resumed {
    read: VecDeque<Frame<Bytes>>,
    rest: Body,
}

impl Resumed {
    /// The whole body again.
    pub fn body(read: impl IntoIterator<Item = Frame<Bytes>>, rest: Body) -> Body {
        let read = read.into_iter().collect();
        Body::new(Self { read, rest })
    }
}

impl http_body::Body for Resumed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        size_hint(&self.read, self.rest.size_hint())
    }
}

/// The size of a body of which these frames have been read.
pub fn size_hint<'f>(read: impl IntoIterator<Item = &'f Frame<Bytes>>, rest: SizeHint) -> SizeHint {
    let data = read.into_iter().filter_map(Frame::data_ref);
    let read = data.map(Bytes::len).sum::<usize>() as u64;
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower() + read);
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper + read);
    }
    hint
}
