//! The record of a request in flight. It is written when it is dropped, so that every request leaves exactly one: when
//! its response has ended, or when its client left and nothing is done for it any more.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full, Limited};
use tokio::runtime::Handle;
use tower::BoxError;

use super::{
    Body, Gateway, Response,
    content_coding::Coded,
    error_response::{ErrorResponse, ResponseFormat},
    fields::DECISION,
    places::Place,
    response_reader::{ResponseReader, plain},
};
use crate::{
    observe::{Cause, Observers, Record, record::shown_path},
    server::{Client, ConnectionFault, Entrance, FaultKind},
    submission::{Dialect, Endpoint},
    task,
    upstream::ResponseBody,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The record of a request in flight.
pub struct Recording {
    /// What is known so far.
    pub record: Record,
    /// The form of the gateway's own responses to it.
    pub format: ResponseFormat,
    /// Its place among the requests in flight, once it has one.
    pub place: Option<Place>,
    gateway: Arc<Gateway>,
    client: Option<Client>,
    /// How many bytes of the request's body arrive while it is sent on.
    streamed: Option<Arc<AtomicU64>>,
    /// Reads the response, if it is about a task.
    reader: Option<ResponseReader>,
    /// Whether the response has ended. Otherwise the client has left, or the gateway stops.
    is_complete: bool,
}

impl Recording {
    /// Begins the record of a request.
    pub fn begin(
        gateway: Arc<Gateway>,
        head: &Parts,
        client: Option<Client>,
        endpoint: Endpoint,
        dialect: Option<Dialect>,
    ) -> Box<Self> {
        let began = client.as_ref().map_or_else(Instant::now, |client| client.began);
        Box::new(Self {
            record: Record {
                peer: client.as_ref().map(|client| client.entrance().peer.ip()),
                client_id: client_id(&head.headers),
                path: shown_path(head.uri.path()),
                endpoint,
                dialect,
                method: Some(head.method.clone()),
                agent: head.headers.get(header::USER_AGENT).cloned(),
                ..Record::begun(began)
            },
            format: ResponseFormat::of(&head.uri, endpoint),
            place: None,
            gateway,
            client,
            streamed: None,
            reader: None,
            is_complete: false,
        })
    }

    /// How the request came in.
    pub fn entrance(&self) -> Option<&Entrance> {
        self.client.as_ref().map(Client::entrance)
    }

    /// Counts the bytes of the request's body that arrive while it is sent on.
    pub fn count(&mut self) -> Arc<AtomicU64> {
        self.streamed.insert(Arc::default()).clone()
    }

    /// Notes what a request asks about a task, if that is followed and its body is there. Returns the id that it names, as
    /// written.
    pub fn note_request(&mut self, target: &str, body: &[u8], fields: &HeaderMap) -> Option<String> {
        // A browser's preflight request (OPTIONS) is no poll.
        let is_about_task = matches!(self.record.method, Some(Method::GET | Method::HEAD | Method::POST))
            && task::request::is_about_task(self.record.endpoint, target);
        if !is_about_task || !self.gateway.observers.ledger.is_on() {
            return None;
        }
        let body = plain(body, Coded::of(fields))?;
        let request = task::request::read(self.record.endpoint, target, &body)?;
        self.record.call = Some(request.call);
        self.record.task = request.task();
        // One that is a number needs no second look.
        let id = request.id.filter(|_| self.record.task.is_none());
        id.map(Cow::into_owned)
    }

    /// Notes the upstream's response. What it says about a task is read as it passes.
    pub fn note_response(&mut self, response: &http::Response<ResponseBody>) {
        let record = &mut self.record;
        record.upstream_status = Some(response.status());
        let is_about_task = record.is_submission() || record.call.is_some();
        self.reader = (is_about_task && self.gateway.observers.ledger.is_on())
            .then(|| ResponseReader::new(record.call, response.headers()));
    }

    /// Whether the client has gone.
    pub fn is_client_gone(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_gone)
    }

    /// Renders a refusal or failure, and records its cause.
    pub fn refuse(&mut self, response: &ErrorResponse) -> Response {
        if let Some(cause) = response.cause {
            self.record.cause = Some(cause);
            self.record.error = Some(response.description.clone());
        }
        self.format.render(response)
    }

    /// Ties the record to a response: it is written when the response has ended, and so ends the request's place.
    pub fn finish(mut self: Box<Self>, response: Response) -> http::Response<Recorded> {
        let status = response.status();
        // A client that has left gets nothing.
        self.record.status = (self.record.cause != Some(Cause::ClientGone)).then_some(status);
        let has_no_body = self.record.method == Some(Method::HEAD)
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || response.body().is_end_stream();
        let length = response.headers().get(header::CONTENT_LENGTH);
        // hyper does not ask for more once it has the announced length.
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        self.is_complete = has_no_body || length == Some(0);
        response.map(|body| Recorded {
            body,
            length,
            recording: Some(self),
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let has_left = self.is_client_gone();
        let record = &mut self.record;
        if record.cause.is_none() && (has_left || !self.is_complete) {
            record.cause = Some(match self.gateway.has_cut_off() {
                true => Cause::Stopped,
                false => Cause::ClientGone,
            });
        }
        record.took = record.began.elapsed();
        record.vendor = self.reader.as_ref().and_then(ResponseReader::result);
        record.bytes_in += self.streamed.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        self.gateway.observers.observe(record);
    }
}

/// Records a connection, or a head, that no request came of.
pub fn record_fault(observers: &Observers, fault: ConnectionFault) {
    let (status, cause) = match fault.kind {
        FaultKind::Refused(status) => match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (Some(status), Cause::HeadTooLarge),
            StatusCode::URI_TOO_LONG => (Some(status), Cause::TargetTooLong),
            _ => (Some(status), Cause::Malformed),
        },
        FaultKind::Http2 => (None, Cause::Malformed),
        FaultKind::TimedOut => (None, Cause::HeadTimeout),
        FaultKind::TlsToPlain => (Some(StatusCode::BAD_REQUEST), Cause::TlsToPlain),
        FaultKind::PlainToTls => (None, Cause::PlainToTls),
        FaultKind::CertificateRefused => (None, Cause::CertificateRefused),
        FaultKind::NoCertificate => (None, Cause::NoCertificate),
        FaultKind::HandshakeEnded => (None, Cause::HandshakeEnded),
        FaultKind::Handshake => (None, Cause::TlsHandshake),
    };
    observers.observe(&Record {
        peer: Some(fault.peer),
        status,
        cause: Some(cause),
        ..Record::with_new_id()
    });
}

/// The client's own id, if it is one that may be shown.
fn client_id(fields: &HeaderMap) -> Option<String> {
    let id = fields.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_shown = (1..=64).contains(&id.len()) && id.bytes().all(is_plain);
    is_shown.then(|| id.to_owned())
}

/// A response body at whose end the record is written.
pub struct Recorded {
    body: Body,
    /// The announced length.
    length: Option<u64>,
    recording: Option<Box<Recording>>,
}

/// How much of a response is read that its client does not take, in bytes.
const UNTAKEN: usize = 1 << 20;

impl Drop for Recorded {
    /// A client left before the end of its response. If a task was created it is paid for, so what the upstream says about
    /// it is still read; the exchange keeps its place meanwhile.
    fn drop(&mut self) {
        let Some(recording) = self.recording.take() else {
            return;
        };
        let is_paid = recording.record.is_submission() && recording.record.upstream_status.is_some();
        let is_open = !recording.is_complete && recording.record.cause.is_none();
        // Without a runtime the process is ending.
        if is_paid
            && is_open
            && let Ok(runtime) = Handle::try_current()
        {
            let body = std::mem::replace(&mut self.body, Either::Left(Full::default()));
            let mut recording = recording;
            runtime.spawn(async move {
                let rest = Limited::new(body, UNTAKEN).collect().await;
                if let (Ok(rest), Some(reader)) = (rest, &mut recording.reader) {
                    reader.pass(&rest.to_bytes(), true);
                }
                drop(recording);
            });
        }
    }
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let this = &mut *self;
        if let Some(recording) = &mut this.recording {
            let record = &mut recording.record;
            if record.is_submission()
                && let Some(Ok(frame)) = &mut frame
                && let Some(trailers) = frame.trailers_mut()
            {
                // A client could take it for the gateway's own.
                trailers.remove(DECISION);
            }
            match &frame {
                Some(Ok(frame)) => {
                    record.bytes_out += data_length(frame);
                    let is_whole = this.length.is_some_and(|length| record.bytes_out >= length);
                    recording.is_complete = is_whole || this.body.is_end_stream();
                    if let (Some(reader), Some(data)) = (&mut recording.reader, frame.data_ref()) {
                        reader.pass(data, recording.is_complete);
                    }
                }
                Some(Err(error)) => {
                    record.cause = Some(Cause::CutOff);
                    record.error = Some(format!("the response ended early ({error})"));
                }
                None => {
                    recording.is_complete = true;
                    recording.reader.iter_mut().for_each(ResponseReader::end);
                }
            }
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

/// How many bytes of data a frame has.
pub fn data_length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}
