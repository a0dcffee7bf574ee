//! The way to the vendor's API: hyper's client connections, and a small pool of them that knows what a submission costs.
//!
//! A request is sent at most once. A connection at rest may be closing just now, and what is written to it is lost without
//! a trace of whether it was read; so a submission takes only one that rested briefly, else a new one ([`Reuse`]). A second
//! attempt is made only where hyper hands the request back, unsent.
//!
//! # Layout
//! - [`origin`]: the upstream's URL
//! - [`dial`]: names, TCP, TLS
//! - [`pool`]: connections at rest

pub mod dial;
pub mod origin;
pub mod pool;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Version, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tower_http::timeout::TimeoutBody;
use tracing::debug;

pub use dial::TlsError;
pub use origin::{Origin, OriginError};
use {
    dial::{Dialer, Stream},
    pool::{Leased, Pool, Sender},
};

/// Where the upstream is and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The upstream's URL.
    pub url: Origin,
    /// An address to dial in the place of the URL's host; Host field and SNI stay the URL's.
    pub connect_to: Option<std::net::SocketAddr>,
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
            connect_to: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            reuse_idle: Duration::from_secs(2),
            ca_file: None,
        }
    }
}

/// Which connections at rest a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Any that is open.
    Any,
    /// One that rested no longer than this.
    Rested(Duration),
}

/// Why there is no answer from the upstream. The text says what happened and which setting helps; it holds nothing of the request.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The name did not resolve.
    #[error(
        "the upstream's name {host} could not be resolved ({error}); is it spelled right in [upstream] url, and does DNS work on this machine?"
    )]
    Resolve {
        /// The upstream's host.
        host: String,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// No TCP connection.
    #[error(
        "no connection to the upstream {origin} ({error}); is [upstream] url right, and is it reachable from this machine?"
    )]
    Connect {
        /// The upstream.
        origin: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// No connection in time.
    #[error("no connection to the upstream {origin} within {timeout:?} ([upstream] connect_timeout)")]
    ConnectTimeout {
        /// The upstream.
        origin: String,
        /// The time it had.
        timeout: Duration,
    },
    /// The TLS handshake failed.
    #[error(
        "the upstream {origin} failed the TLS handshake ({error}); a certificate of your own is trusted by [upstream] ca_file"
    )]
    Tls {
        /// The upstream.
        origin: String,
        /// What rustls said.
        error: std::io::Error,
    },
    /// The connection ended before an answer's head.
    #[error(
        "the upstream closed the connection without an answer ({0}); the request may have reached it and was not sent again"
    )]
    Closed(hyper::Error),
    /// No answer's head in time.
    #[error(
        "the upstream did not answer within {0:?} ([upstream] timeout); the request may have reached it and was not sent again"
    )]
    Timeout(Duration),
}

impl UpstreamError {
    /// A word for metrics and log.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::ConnectTimeout { .. } => "connect-timeout",
            Self::Tls { .. } => "tls",
            Self::Closed(_) => "closed",
            Self::Timeout(_) => "timeout",
        }
    }
}

/// The upstream.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    dialer: Dialer,
    pool: Arc<Pool>,
}

impl Upstream {
    /// Prepares connections; none is made before the first request.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        Ok(Self {
            dialer: Dialer::new(&settings)?,
            pool: Arc::new(Pool::new(settings.idle_timeout)),
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
            let rested = self.pool.take(reuse);
            let is_fresh = rested.is_none();
            let mut sender = match rested {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.streaming(response, sender)),
                Err(error) => error,
            };
            // hyper hands a request back only if no byte of it was written.
            match error.take_message() {
                Some(unsent) if !is_fresh => request = unsent,
                _ => return Err(UpstreamError::Closed(error.into_error())),
            }
        }
    }

    async fn connect(&self) -> Result<Sender, UpstreamError> {
        match self.dialer.dial().await? {
            Stream::Plain(stream) => self.handshake(TokioIo::new(stream)).await,
            Stream::Tls(stream) => self.handshake(TokioIo::new(*stream)).await,
        }
    }

    async fn handshake<I>(&self, io: I) -> Result<Sender, UpstreamError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(io)
            .await
            .map_err(UpstreamError::Closed)?;
        let pool = self.pool.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection to the upstream ended: {error}");
            }
            pool.tidy();
        });
        Ok(sender)
    }

    /// The answer with its body, at whose end the connection goes back to rest.
    fn streaming(&self, response: http::Response<hyper::body::Incoming>, sender: Sender) -> Response {
        let (head, body) = response.into_parts();
        let may_rest = head.version == Version::HTTP_11
            && (head.headers.contains_key(header::CONTENT_LENGTH)
                || head.headers.contains_key(header::TRANSFER_ENCODING))
            && !head.headers.get_all(header::CONNECTION).iter().any(says_close);
        let body = Leased::new(body, may_rest, sender, self.pool.clone());
        let body = TimeoutBody::new(self.settings.idle_timeout, body.map_err(axum::Error::new));
        Response::from_parts(head, Body::new(body))
    }
}

/// Whether a Connection field announces that the connection ends with this answer.
fn says_close(connection: &HeaderValue) -> bool {
    let options = connection.to_str().unwrap_or_default().split(',');
    options
        .into_iter()
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}
