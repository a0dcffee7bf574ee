//! An origin with its connections: takes an idle one or makes a new one.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Response, Version, header};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::{
    Origin, ResponseBody, Reuse, Settings, TlsError, UpstreamError,
    dial::{Dialer, Stream},
    lease::Leased,
    pool::{Connection, IdleLimit, Pool, PoolCounts},
    socket::Socket,
};
use crate::idle_wake::Alarms;

/// The most fields of a response.
const MAX_FIELDS: usize = 1024;

/// The largest header section of a response, in bytes.
const MAX_HEAD: usize = 256 << 10;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An origin with its connections.
#[derive(Debug)]
pub struct Route {
    dialer: Dialer,
    pool: Arc<Pool>,
    /// How many connections were made.
    opened: AtomicU64,
    /// Between two reads of a response body.
    idle_timeout: Duration,
}

impl Route {
    /// Prepares connections; see [`Dialer::new`].
    pub fn new(
        origin: &Origin,
        connect_to: Option<SocketAddr>,
        settings: &Settings,
        own: &[SocketAddr],
    ) -> Result<Self, TlsError> {
        Ok(Self {
            dialer: Dialer::new(origin, connect_to, settings, own)?,
            pool: Arc::new(Pool::new(settings.idle_timeout)),
            opened: AtomicU64::new(0),
            idle_timeout: settings.idle_timeout,
        })
    }

    /// Where it leads.
    pub fn origin(&self) -> &Origin {
        self.dialer.origin()
    }

    /// Fails if its name leads to one of the gateway's own listeners.
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        self.dialer.leads_back().await
    }

    /// Makes a connection and closes it.
    pub async fn try_connection(&self) -> Result<(), UpstreamError> {
        self.dialer.dial().await.map(drop)
    }

    /// Fails if its address is one of the gateway's own listeners.
    pub fn leads_back_for_certain(&self) -> Result<(), UpstreamError> {
        self.dialer.leads_back_for_certain()
    }

    /// The connections so far.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            opened: self.opened.load(Ordering::Relaxed),
            ..self.pool.counts()
        }
    }

    /// Closes idle connections beyond need.
    pub fn trim(&self, now: Instant) {
        self.pool.trim(now);
    }

    /// An idle connection that may be reused.
    pub fn reuse(&self, reuse: Reuse, now: Instant) -> Option<Connection> {
        self.pool.take(reuse, now)
    }

    /// A new connection.
    pub async fn make(&self) -> Result<Connection, UpstreamError> {
        let stream = self.dialer.dial().await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        match stream {
            Stream::Plain(socket) => self.handshake(TokioIo::new(socket.clone()), socket).await,
            Stream::Tls(stream, socket) => self.handshake(TokioIo::new(*stream), socket).await,
        }
    }

    async fn handshake<I>(&self, io: I, socket: Socket) -> Result<Connection, UpstreamError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, driver) = client().handshake(io).await.map_err(UpstreamError::Closed)?;
        let pool = self.pool.clone();
        let driver = tokio::spawn(async move {
            // Dropped before the pool looks: only then is the sender closed.
            let ended = {
                let (mut driver, mut alarms) = (pin!(driver), Alarms::default());
                poll_fn(|cx| alarms.poll(driver.as_mut(), cx)).await
            };
            if let Err(error) = ended {
                debug!("a connection to the upstream ended: {error}");
            }
            pool.tidy();
        });
        Ok(Connection {
            sender,
            socket,
            responses: 0,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            driver: driver.abort_handle(),
        })
    }

    /// The response with its body, at whose end the connection returns to the pool. Fails if the body is broken from its
    /// start.
    pub fn streaming(
        &self,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let (head, body) = response.into_parts();
        let limit = idle_limit(&head);
        let mut body = Leased::new(body, limit, connection, self.pool.clone());
        body.begin().map_err(UpstreamError::CutOff)?;
        let body = ResponseBody::new(body, self.idle_timeout);
        Ok(Response::from_parts(head, body))
    }
}

/// The client's side of a connection to the upstream.
pub fn client() -> http1::Builder {
    let mut client = http1::Builder::new();
    client
        .preserve_header_case(true)
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD);
    client
}

/// What a response says about how long its connection may be idle.
fn idle_limit(head: &http::response::Parts) -> IdleLimit {
    let fields = &head.headers;
    let has_length = fields.contains_key(header::CONTENT_LENGTH) || fields.contains_key(header::TRANSFER_ENCODING);
    let is_empty = matches!(head.status.as_u16(), 204 | 304);
    let ends_with_its_body = !has_length && !is_empty;
    let is_closed = fields.get_all(header::CONNECTION).iter().any(says_close);
    if head.version != Version::HTTP_11 || ends_with_its_body || is_closed {
        return IdleLimit::Closes;
    }
    let announced = fields
        .get(KEEP_ALIVE)
        .and_then(|value| keep_alive_timeout(value.to_str().ok()?));
    announced.map_or(IdleLimit::Unknown, IdleLimit::Announced)
}

/// The parameter `timeout` of a Keep-Alive field, in seconds: `timeout=5, max=100`.
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    let mut parameters = value.split(',').filter_map(|parameter| parameter.split_once('='));
    let timeout = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"));
    timeout
        .and_then(|(_, seconds)| seconds.trim().parse().ok())
        .map(Duration::from_secs)
}

/// Whether a Connection field announces that the connection ends with this response.
fn says_close(connection: &HeaderValue) -> bool {
    let mut options = connection.as_bytes().split(|byte| *byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
