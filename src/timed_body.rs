//! A body whose pauses have a limit. tower-http's hides that a body has ended, and how long it is: hyper asks no further
//! for a body of a known length, and then nobody knew that all of it was handed over.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;

/// A body that fails if its next frame takes too long.
#[derive(Debug)]
pub struct TimedBody<B> {
    body: B,
    longest_pause: Duration,
    /// When all of it has to be there.
    deadline: Option<Instant>,
    /// There once a frame had to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

/// A frame, or the whole, took too long.
#[derive(Debug, thiserror::Error)]
#[error("it took too long")]
pub struct TooSlow;

impl<B> TimedBody<B> {
    /// Limits the pauses of a body.
    pub fn new(longest_pause: Duration, body: B) -> Self {
        Self {
            body,
            longest_pause,
            deadline: None,
            timer: None,
            is_waiting: false,
        }
    }

    /// Limits the whole as well.
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pause = Instant::now() + self.longest_pause;
        let deadline = self.deadline.map_or(pause, |deadline| deadline.min(pause));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !std::mem::replace(&mut self.is_waiting, true) {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.is_waiting = false;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => self.poll_timer(cx).map(|()| Some(Err(TooSlow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_pause_is_timed_and_not_the_whole() {
        let frames = stream::unfold(0, |number| async move {
            let pause = if number < 12 { 100 } else { 3_600_000 };
            sleep(Duration::from_millis(pause)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from("a"))), number + 1))
        });
        let mut body = TimedBody::new(Duration::from_secs(1), StreamBody::new(Box::pin(frames)));
        for _ in 0..12 {
            assert!(body.frame().await.unwrap().unwrap().is_data());
        }
        let begin = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.is::<TooSlow>() && begin.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn the_whole_is_timed_if_it_has_a_deadline() {
        let frames = stream::unfold((), |()| async {
            sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from("a"))), ()))
        });
        let deadline = Instant::now() + Duration::from_millis(500);
        let body = TimedBody::new(Duration::from_secs(60), StreamBody::new(Box::pin(frames))).until(deadline);
        assert!(body.collect().await.unwrap_err().is::<TooSlow>() && Instant::now() >= deadline);
    }

    #[test]
    fn its_length_and_end_are_those_of_the_body() {
        let mut body = TimedBody::new(Duration::from_secs(1), Full::from("abc"));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
        assert!(body.frame().now_or_never().is_some() && body.is_end_stream());
    }
}
