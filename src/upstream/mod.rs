//! The way to the vendor's API: hyper's client connections, and a small pool of them that knows what a submission costs.
//!
//! A request is sent at most once. A connection at rest may be closing just now, and what is written to it is lost without
//! a trace of whether it was read; so a submission takes only one that rested briefly, else a new one ([`Reuse`]). A second
//! attempt is made only where hyper hands the request back, unsent.
//!
//! # Layout
//! - [`origin`]: the upstream's URL
//! - [`dial`]: names, TCP, TLS; [`error`]: what may go wrong from there on
//! - [`socket`]: a TCP connection that hyper and the pool share
//! - [`pool`]: connections at rest; [`closes`]: what is learned from those that the upstream closed

pub mod closes;
pub mod dial;
pub mod error;
pub mod origin;
pub mod pool;
pub mod socket;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tower_http::timeout::TimeoutBody;
use tracing::{debug, warn};

pub use dial::TlsError;
pub use error::UpstreamError;
pub use origin::{Origin, OriginError};
use {
    dial::{Dialer, Stream},
    pool::{Connection, Leased, Pool, Rest},
    socket::Socket,
};

/// Where the upstream is and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The upstream's URL.
    pub url: Origin,
    /// Another URL of the same API, used only where no connection to the first can be made.
    pub fallback: Option<Origin>,
    /// An address to dial in the place of the URL's host; Host field and SNI stay the URL's.
    pub connect_to: Option<SocketAddr>,
    /// From the look-up of the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub timeout: Duration,
    /// Between two pieces of an answer; and how long a pooled connection may rest.
    pub idle_timeout: Duration,
    /// The longest rest of a connection that a submission takes.
    pub reuse_idle: Duration,
    /// A PEM file of certificates to trust as well as the built-in roots.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Origin::vendor(),
            fallback: None,
            connect_to: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            reuse_idle: Duration::from_secs(2),
            ca_file: None,
        }
    }
}

/// Which connections at rest a request may take. Either way none that rested half as long as the upstream lets them, where
/// that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Any that is open.
    Any,
    /// One that rested no longer than this.
    Rested(Duration),
}

/// The upstream.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    first: Route,
    fallback: Option<Route>,
    /// When no connection to the first could be made.
    first_failed: Mutex<Option<Instant>>,
}

/// How long the fallback is used before the first is tried again.
const FIRST_RESTS: Duration = Duration::from_secs(10);

impl Upstream {
    /// Prepares connections; none is made before the first request. `own` are the addresses of the gateway's own
    /// listeners, which no connection may lead to.
    pub fn new(settings: Settings, own: &[SocketAddr]) -> Result<Self, TlsError> {
        let route = |origin: &Origin, connect_to| Route::new(origin, connect_to, &settings, own);
        Ok(Self {
            first: route(&settings.url, settings.connect_to)?,
            fallback: settings
                .fallback
                .as_ref()
                .map(|origin| route(origin, None))
                .transpose()?,
            first_failed: Mutex::new(None),
            settings,
        })
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.settings.url
    }

    /// The longest rest of a connection that a submission takes.
    pub fn reuse_idle(&self) -> Duration {
        self.settings.reuse_idle
    }

    /// Fails with [`UpstreamError::Loop`] if the upstream's name leads to one of the gateway's own listeners at the moment.
    /// Names are looked up, nothing is connected to. (Each connection is checked again when it is made.)
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        let routes = std::iter::once(&self.first).chain(&self.fallback);
        for route in routes {
            route.dialer.leads_back().await?;
        }
        Ok(())
    }

    /// Sends a request and waits for the answer's head; its body streams.
    pub async fn send(&self, request: Request, reuse: Reuse) -> Result<Response, UpstreamError> {
        let exchange = self.exchange(request, reuse);
        match tokio::time::timeout(self.settings.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(UpstreamError::Timeout(self.settings.timeout)),
        }
    }

    async fn exchange(&self, mut request: Request, reuse: Reuse) -> Result<Response, UpstreamError> {
        loop {
            let (route, (mut connection, is_fresh)) = self.connection(reuse).await?;
            if let Some(host) = request.headers_mut().get_mut(header::HOST) {
                host.clone_from(route.dialer.origin().host_field());
            }
            let mut error = match connection.sender.try_send_request(request).await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(UpstreamError::Switched);
                }
                Ok(response) => return Ok(route.streaming(response, connection, self.settings.idle_timeout)),
                Err(error) => error,
            };
            // hyper hands a request back only if no byte of it was written.
            match error.take_message() {
                Some(unsent) if !is_fresh => request = unsent,
                Some(_) => return Err(UpstreamError::Unsent(error.into_error())),
                None => return Err(UpstreamError::of_exchange(error.into_error())),
            }
        }
    }

    /// A connection, and whether it is fresh. No byte of a request has left before there is one, so that trying the
    /// fallback after the first is no second sending.
    async fn connection(&self, reuse: Reuse) -> Result<(&Route, (Connection, bool)), UpstreamError> {
        let Some(fallback) = &self.fallback else {
            return Ok((&self.first, self.first.connection(reuse).await?));
        };
        let rests = self.first_failed().is_some_and(|failed| failed.elapsed() < FIRST_RESTS);
        if !rests {
            match self.first.connection(reuse).await {
                Ok(connection) => {
                    *self.first_failed() = None;
                    return Ok((&self.first, connection));
                }
                Err(error) => {
                    warn!(
                        cause = error.cause(),
                        "{error}; the fallback {} is used",
                        fallback.dialer.origin()
                    );
                    *self.first_failed() = Some(Instant::now());
                }
            }
        }
        Ok((fallback, fallback.connection(reuse).await?))
    }

    fn first_failed(&self) -> MutexGuard<'_, Option<Instant>> {
        // Nothing panics while it is held.
        self.first_failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One way to the API.
#[derive(Debug)]
struct Route {
    dialer: Dialer,
    pool: Arc<Pool>,
}

impl Route {
    fn new(
        origin: &Origin,
        connect_to: Option<SocketAddr>,
        settings: &Settings,
        own: &[SocketAddr],
    ) -> Result<Self, TlsError> {
        Ok(Self {
            dialer: Dialer::new(origin, connect_to, settings, own)?,
            pool: Arc::new(Pool::new(settings.idle_timeout)),
        })
    }

    async fn connection(&self, reuse: Reuse) -> Result<(Connection, bool), UpstreamError> {
        if let Some(rested) = self.pool.take(reuse) {
            return Ok((rested, false));
        }
        let connection = match self.dialer.dial().await? {
            Stream::Plain(socket) => self.handshake(TokioIo::new(socket.clone()), socket).await?,
            Stream::Tls(stream, socket) => self.handshake(TokioIo::new(*stream), socket).await?,
        };
        Ok((connection, true))
    }

    async fn handshake<I>(&self, io: I, socket: Socket) -> Result<Connection, UpstreamError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, driver) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(io)
            .await
            .map_err(UpstreamError::Closed)?;
        let pool = self.pool.clone();
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                debug!("a connection to the upstream ended: {error}");
            }
            pool.tidy();
        });
        Ok(Connection {
            sender,
            socket,
            driver: driver.abort_handle(),
        })
    }

    /// The answer with its body, at whose end the connection goes back to rest.
    fn streaming(
        &self,
        response: http::Response<hyper::body::Incoming>,
        connection: Connection,
        idle: Duration,
    ) -> Response {
        let (head, body) = response.into_parts();
        let rest = rest_allowed(&head);
        let body = Leased::new(body, rest, connection, self.pool.clone());
        let body = TimeoutBody::new(idle, body.map_err(axum::Error::new));
        Response::from_parts(head, Body::new(body))
    }
}

/// What an answer says of the rest of its connection.
fn rest_allowed(head: &http::response::Parts) -> Rest {
    let fields = &head.headers;
    let has_length = fields.contains_key(header::CONTENT_LENGTH) || fields.contains_key(header::TRANSFER_ENCODING);
    let is_empty = matches!(head.status.as_u16(), 204 | 304);
    let ends_with_its_body = !has_length && !is_empty;
    let is_closed = fields.get_all(header::CONNECTION).iter().any(says_close);
    if head.version != Version::HTTP_11 || ends_with_its_body || is_closed {
        return Rest::Never;
    }
    let announced = fields
        .get("keep-alive")
        .and_then(|value| keep_alive_timeout(value.to_str().ok()?));
    announced.map_or(Rest::Unsaid, Rest::AtMost)
}

/// The parameter `timeout` of a Keep-Alive field, in seconds: `timeout=5, max=100`.
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    let mut parameters = value.split(',').filter_map(|parameter| parameter.split_once('='));
    let timeout = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"));
    timeout
        .and_then(|(_, seconds)| seconds.trim().parse().ok())
        .map(Duration::from_secs)
}

/// Whether a Connection field announces that the connection ends with this answer.
fn says_close(connection: &HeaderValue) -> bool {
    let mut options = connection.to_str().unwrap_or_default().split(',');
    options.any(|option| option.trim().eq_ignore_ascii_case("close"))
}
