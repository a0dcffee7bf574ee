//! Sends a request to the upstream, at most once.

use std::{
    future,
    net::SocketAddr,
    pin::{Pin, pin},
    time::Duration,
};

use http::{HeaderMap, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{
    Origin, Outgoing, ResponseBody, Settings, TlsError, UpstreamError,
    pool::PoolCounts,
    route::{Fetched, Route},
    socket::Socket,
};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It creates a task, which costs money.
    Submission,
    /// It asks about tasks or an account.
    Other,
}

/// Whether hyper takes every transfer coding off a body with these fields: it does for one `chunked` alone.
pub fn takes_codings_off(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let is_known = codings
        .next()
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    is_known && codings.next().is_none()
}

/// Completes when the response to a request is of no use any more.
async fn needless(client_gone: Pin<&mut impl Future<Output = ()>>, purpose: Purpose, socket: &Socket) {
    client_gone.await;
    if purpose == Purpose::Submission && socket.is_request_written() {
        future::pending().await
    }
}

/// The idle connections that a request may reuse. Never one that has been idle for half of the upstream's idle limit or
/// longer, if that limit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Any that is open.
    Any,
    /// One that has been idle for less than this.
    IdleLess(Duration),
}

#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    first: Route,
    fallback: Option<Route>,
    /// When a connection to the first could not be made.
    first_failed: Mutex<Option<Instant>>,
}

/// How long the fallback is used before the first is tried again.
const FALLBACK_TIME: Duration = Duration::from_secs(10);

impl Upstream {
    /// Prepares connections; none is made before the first request. A connection to one of the gateway's own listeners,
    /// `own`, is refused.
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

    pub fn origin(&self) -> &Origin {
        &self.settings.url
    }

    /// The connections so far, to the first and the fallback together.
    pub fn counts(&self) -> PoolCounts {
        let fallback = self.fallback.as_ref().map(Route::counts).unwrap_or_default();
        let first = self.first.counts();
        PoolCounts {
            idle: first.idle + fallback.idle,
            opened: first.opened + fallback.opened,
            reused: first.reused + fallback.reused,
        }
    }

    /// The first, and the fallback if there is one.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.settings.origins()
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.first).chain(&self.fallback)
    }

    /// Makes a connection to each origin and closes it, without a request. Returns how long each took.
    pub async fn try_connections(&self) -> Vec<(&Origin, Result<Duration, UpstreamError>)> {
        let mut results = Vec::new();
        for route in self.routes() {
            let began = Instant::now();
            results.push((route.origin(), route.try_connection().await.map(|()| began.elapsed())));
        }
        results
    }

    /// Fails with [`UpstreamError::Loop`] if the address of the upstream, or of its fallback, is one of the gateway's own
    /// listeners. No name is looked up.
    pub fn leads_back_for_certain(&self) -> Result<(), UpstreamError> {
        self.routes().try_for_each(Route::leads_back_for_certain)
    }

    /// Fails with [`UpstreamError::Loop`] if the upstream's name leads to one of the gateway's own listeners at the moment.
    /// Names are looked up, nothing is connected to. (Each connection is checked again when it is made.)
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        for route in self.routes() {
            route.leads_back().await?;
        }
        Ok(())
    }

    /// Sends a request and waits for the response's header section; the body streams. When `client_gone` completes, the
    /// request is cancelled, unless it is a submission and written as a whole: then its task exists, and is paid for.
    pub async fn send(
        &self,
        request: Box<Request<Outgoing>>,
        purpose: Purpose,
        client_gone: impl Future<Output = ()>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let limit = self.settings.timeout;
        let arrival = request.body().arrival();
        let client_gone = pin!(client_gone);
        let mut exchange = pin!(self.exchange(request, purpose, client_gone));
        let begin = Instant::now();
        let mut deadline = begin + limit;
        loop {
            if let Ok(result) = timeout_at(deadline, exchange.as_mut()).await {
                return result;
            }
            let now = Instant::now();
            // The upstream has its time from when it can have read the request.
            deadline = match &arrival {
                Some(arrival) => match arrival.whole() {
                    Some(whole) => whole + limit,
                    None => now.min(begin + arrival.longest) + limit,
                },
                None => now,
            };
            if deadline <= now {
                return Err(UpstreamError::Timeout(limit));
            }
        }
    }

    async fn exchange(
        &self,
        mut request: Box<Request<Outgoing>>,
        purpose: Purpose,
        mut client_gone: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let reuse = match purpose {
            Purpose::Submission => Reuse::IdleLess(self.settings.reuse_idle),
            Purpose::Other => Reuse::Any,
        };
        loop {
            let (route, mut fetched) = tokio::select! {
                biased;
                fetched = self.connection(reuse) => fetched?,
                () = &mut client_gone => return Err(UpstreamError::ClientGone),
            };
            if let Some(host) = request.headers_mut().get_mut(header::HOST) {
                host.clone_from(route.origin().host_field());
            }
            let socket = fetched.connection.socket.clone();
            request.body_mut().begin(&socket);
            let sent = tokio::select! {
                biased;
                sent = fetched.connection.sender.try_send_request(*request) => sent,
                () = needless(client_gone.as_mut(), purpose, &socket) => return Err(UpstreamError::ClientGone),
            };
            let mut error = match sent {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(UpstreamError::Switched);
                }
                Ok(response) if !takes_codings_off(response.headers()) => return Err(UpstreamError::TransferCoding),
                Ok(response) => {
                    return route.streaming(response, fetched.connection);
                }
                Err(error) => error,
            };
            // hyper hands a request back only if no byte of it was written.
            match error.take_message() {
                Some(unsent) if !fetched.is_fresh => *request = unsent,
                Some(_) => return Err(UpstreamError::Unsent(error.into_error())),
                None => return Err(UpstreamError::of_exchange(error.into_error())),
            }
        }
    }

    /// A connection to the first origin, or to the fallback if none to the first can be made. No byte of the request has
    /// been written at that point, so that it is not sent twice.
    async fn connection(&self, reuse: Reuse) -> Result<(&Route, Fetched), UpstreamError> {
        let Some(fallback) = &self.fallback else {
            return Ok((&self.first, self.first.connection(reuse).await?));
        };
        let is_waiting = self
            .first_failed
            .lock()
            .is_some_and(|failed| failed.elapsed() < FALLBACK_TIME);
        if !is_waiting {
            match self.first.connection(reuse).await {
                Ok(fetched) => {
                    *self.first_failed.lock() = None;
                    return Ok((&self.first, fetched));
                }
                Err(error) => {
                    warn!(
                        cause = %error.cause(),
                        "{error}; the fallback {} is used",
                        fallback.origin()
                    );
                    *self.first_failed.lock() = Some(Instant::now());
                }
            }
        }
        Ok((fallback, fallback.connection(reuse).await?))
    }
}
