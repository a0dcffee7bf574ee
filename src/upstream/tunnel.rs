//! Asks a proxy for a connection to the upstream. hyper speaks CONNECT: hyper-util's `Tunnel` says no status and drops what
//! comes behind the response. tokio-socks speaks SOCKS: the errors of hyper-util's `SocksV5` cannot be told apart, and it
//! looks names up on the thread that serves.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_socks::{Error as SocksError, TargetAddr, tcp::Socks5Stream};

use super::{
    UpstreamError,
    proxy::{Protocol, Proxy},
    refusal::Refusal,
};

/// Asks for a connection to `target` on a new connection to the proxy. Nothing of a request has been sent at that point.
pub async fn open(stream: TcpStream, proxy: &Proxy, target: &TargetAddr<'static>) -> Result<TcpStream, UpstreamError> {
    let opened = match proxy.protocol() {
        Protocol::Http => connect(stream, proxy, target).await,
        Protocol::Socks5 | Protocol::Socks5h => socks(stream, proxy, target).await,
    };
    opened.map_err(|failed| match failed {
        Failed::Refused(refusal) => UpstreamError::ProxyRefused {
            proxy: proxy.shown(),
            target: target.to_string(),
            refusal,
        },
        Failed::Strange(what) => UpstreamError::ProxyProtocol {
            proxy: proxy.shown(),
            what,
        },
    })
}

enum Failed {
    Refused(Refusal),
    /// It does not respond as such a proxy does.
    Strange(String),
}

impl Failed {
    fn strange(error: &impl ToString) -> Self {
        Self::Strange(error.to_string())
    }
}

async fn connect(stream: TcpStream, proxy: &Proxy, target: &TargetAddr<'static>) -> Result<TcpStream, Failed> {
    let authority = target.to_string();
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&authority)
        .header(header::HOST, &authority);
    if let Some(value) = proxy.credentials().and_then(|credentials| credentials.basic()) {
        request = request.header(header::PROXY_AUTHORIZATION, value);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failed::strange(&error))?;
    let strange = |error: hyper::Error| Failed::strange(&error);
    let mut client = http1::Builder::new();
    client.title_case_headers(true);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(strange)?;
    // Dropped, it closes the connection.
    let driver = pin!(connection.without_shutdown());
    let (response, driver) = match select(pin!(sender.send_request(request)), driver).await {
        Either::Left((response, driver)) => (response.map_err(strange)?, Either::Left(driver)),
        // A response that has come is in its channel.
        Either::Right((ended, response)) => (response.await.map_err(strange)?, Either::Right(ended)),
    };
    match response.status() {
        status if status.is_success() => {}
        // Tinyproxy has 401 for a wrong password.
        StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED => {
            return Err(Failed::Refused(unauthenticated(proxy, response.headers())));
        }
        status => return Err(Failed::Refused(Refusal::Status(status))),
    }
    let parts = match driver {
        Either::Left(driver) => driver.await,
        Either::Right(ended) => ended,
    };
    let parts = parts.map_err(strange)?;
    // The upstream sends nothing before it has got something, with TLS or without.
    if !parts.read_buf.is_empty() {
        return Err(Failed::Strange("it sent more than a response to CONNECT".to_owned()));
    }
    Ok(parts.io.into_inner())
}

/// What a 407 means.
fn unauthenticated(proxy: &Proxy, fields: &HeaderMap) -> Refusal {
    let names = [header::PROXY_AUTHENTICATE, header::WWW_AUTHENTICATE];
    let mut offers = names.iter().flat_map(|name| fields.get_all(name));
    let is_basic = |offer: &HeaderValue| {
        let offer = offer.to_str().unwrap_or_default();
        offer.split([' ', ',']).any(|word| word.eq_ignore_ascii_case("basic"))
    };
    match proxy.credentials() {
        _ if !offers.any(is_basic) => Refusal::Authentication,
        Some(_) => Refusal::Credentials,
        None => Refusal::NoCredentials,
    }
}

async fn socks(stream: TcpStream, proxy: &Proxy, target: &TargetAddr<'static>) -> Result<TcpStream, Failed> {
    let target = target.to_owned();
    let opened = match proxy.credentials() {
        Some(of) => Socks5Stream::connect_with_password_and_socket(stream, target, &of.user, &of.password).await,
        None => Socks5Stream::connect_with_socket(stream, target).await,
    };
    let has_credentials = proxy.credentials().is_some();
    opened.map(Socks5Stream::into_inner).map_err(|error| {
        Failed::Refused(match error {
            SocksError::NoAcceptableAuthMethods if has_credentials => Refusal::Authentication,
            SocksError::NoAcceptableAuthMethods | SocksError::AuthorizationRequired => Refusal::NoCredentials,
            SocksError::PasswordAuthFailure(_) => Refusal::Credentials,
            SocksError::GeneralSocksServerFailure => Refusal::Reply("general failure"),
            SocksError::ConnectionNotAllowedByRuleset => Refusal::Reply("connection not allowed by its rules"),
            SocksError::NetworkUnreachable => Refusal::Reply("network unreachable"),
            SocksError::HostUnreachable => Refusal::Reply("host unreachable"),
            SocksError::ConnectionRefused => Refusal::Reply("connection refused"),
            SocksError::TtlExpired => Refusal::Reply("TTL expired"),
            SocksError::CommandNotSupported => Refusal::Reply("command not supported"),
            SocksError::AddressTypeNotSupported => Refusal::Reply("address type not supported"),
            // Also for a reply that RFC 1928 does not know.
            SocksError::UnknownAuthMethod => return Failed::Strange("an unknown method or reply".to_owned()),
            error => return Failed::strange(&error),
        })
    })
}
