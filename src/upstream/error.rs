//! The reason why there is no response from the upstream.

use std::{error::Error, io, time::Duration};

use super::refusal::Refusal;
use crate::observe::Cause;

/// The reason why there is no response from the upstream. Its `Display` says what happened and which setting helps, and
/// shows nothing of the request.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The name did not resolve.
    #[error(
        "the upstream's name {host} could not be resolved ({error}); check [upstream] url and the DNS of this machine"
    )]
    Resolve { host: String, error: io::Error },
    /// No TCP connection.
    #[error(
        "no connection to the upstream {origin} ({error}); check [upstream] url, and whether it is reachable from this machine"
    )]
    Connect { origin: String, error: io::Error },
    /// No connection in time.
    #[error(
        "no connection to the upstream {origin} within {timeout:?} ([upstream] connect_timeout): its name was not resolved in time, or nothing answers there"
    )]
    ConnectTimeout { origin: String, timeout: Duration },
    /// The TLS handshake failed.
    #[error(
        "the upstream {origin} failed the TLS handshake ({error}); [upstream] ca_file trusts a certificate of your own, and system_roots those of this system"
    )]
    Tls { origin: String, error: io::Error },
    /// The connection led back to this gateway.
    #[error("the upstream {origin} is this gateway itself: {why}")]
    Loop { origin: String, why: &'static str },
    /// The proxy's name did not resolve.
    #[error(
        "the name of the proxy {proxy} could not be resolved ({error}); check [upstream] proxy and the DNS of this machine"
    )]
    ProxyResolve { proxy: String, error: io::Error },
    /// No TCP connection to the proxy.
    #[error(
        "no connection to the proxy {proxy} ({error}); check [upstream] proxy, and whether it is reachable from this machine"
    )]
    ProxyConnect { proxy: String, error: io::Error },
    /// No connection through the proxy in time.
    #[error(
        "no connection to the upstream {origin} through the proxy {proxy} within {timeout:?} ([upstream] connect_timeout): the proxy did not respond in time, or the upstream did not; check [upstream] proxy"
    )]
    ProxyTimeout {
        proxy: String,
        origin: String,
        timeout: Duration,
    },
    /// The proxy made no connection to the upstream.
    #[error(
        "the proxy {proxy} made no connection to {target} ({refusal}); check [upstream] proxy, and whether the proxy allows and reaches that address"
    )]
    ProxyRefused {
        proxy: String,
        target: String,
        refusal: Refusal,
    },
    /// What the proxy sent is not what such a proxy sends, or it sent nothing.
    #[error(
        "the proxy {proxy} does not respond as such a proxy does ({what}); check scheme, host and port of [upstream] proxy"
    )]
    ProxyProtocol { proxy: String, what: String },
    /// The proxy is this gateway.
    #[error("the proxy {proxy} is this gateway itself; [upstream] proxy has to name another, or be left out")]
    ProxyLoop { proxy: String },
    /// A new connection ended before anything was written to it.
    #[error("the upstream closed a new connection at once ({}); nothing was sent on it", with_source(.0))]
    Unsent(hyper::Error),
    /// The client's body ended early or stopped arriving, after part of it was sent.
    #[error("the body did not arrive whole ({}); the upstream got part of it", with_source(.0))]
    Body(hyper::Error),
    /// The connection ended before the response.
    #[error(
        "the upstream closed the connection without a response ({}); the request may have reached it and was not sent again",
        with_source(.0)
    )]
    Closed(hyper::Error),
    /// The response is not HTTP, or its head is beyond the HTTP library's limit.
    #[error(
        "the upstream's response is not HTTP ({}); check that [upstream] url names the API. The request may have reached it and was not sent again",
        with_source(.0)
    )]
    NotHttp(hyper::Error),
    /// The response has a transfer coding other than chunked, which no request asked for (RFC 9112, section 7.4).
    #[error(
        "the upstream's response has a transfer coding other than chunked; check that [upstream] url names the API. The request may have reached it and was not sent again"
    )]
    TransferCoding,
    /// The body of the response broke off before any of it was passed on.
    #[error("the upstream's response broke off at its beginning ({}); the request reached it and was not sent again", with_source(.0))]
    CutOff(hyper::Error),
    /// The head of the response did not arrive in time.
    #[error(
        "the upstream did not respond within {0:?} ([upstream] timeout); the request may have reached it and was not sent again"
    )]
    Timeout(Duration),
    /// The client left before the response, and nothing is lost by not waiting for it.
    #[error("the client closed its connection before the response; its request was cancelled")]
    ClientGone,
    /// It responded with 101 (Switching Protocols), which no request that was sent on asks for (RFC 9110, section 15.2.2).
    #[error("the upstream switched protocols without being asked to; check that [upstream] url names the API")]
    Switched,
}

/// hyper's words for an error, and after them those of the system or of TLS.
fn with_source(error: &hyper::Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

impl UpstreamError {
    pub(super) fn of_exchange(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::NotHttp(error)
        } else if error.is_user() {
            Self::Body(error)
        } else {
            Self::Closed(error)
        }
    }

    /// The cause in the record.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Resolve { .. } => Cause::Resolve,
            Self::Connect { .. } => Cause::Connect,
            Self::ConnectTimeout { .. } => Cause::ConnectTimeout,
            Self::Tls { .. } => Cause::Tls,
            Self::Loop { .. } | Self::ProxyLoop { .. } => Cause::Loop,
            Self::ProxyResolve { .. } => Cause::ProxyResolve,
            Self::ProxyConnect { .. } => Cause::ProxyConnect,
            Self::ProxyTimeout { .. } => Cause::ProxyTimeout,
            Self::ProxyRefused { .. } => Cause::ProxyRefused,
            Self::ProxyProtocol { .. } => Cause::ProxyProtocol,
            Self::Unsent(_) => Cause::ClosedUnsent,
            Self::Body(_) => Cause::ClientBody,
            Self::Closed(_) => Cause::Closed,
            Self::NotHttp(_) | Self::Switched | Self::TransferCoding => Cause::NotHttp,
            Self::CutOff(_) => Cause::CutOff,
            Self::Timeout(_) => Cause::Timeout,
            Self::ClientGone => Cause::ClientGone,
        }
    }
}
