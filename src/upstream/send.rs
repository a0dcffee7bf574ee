//! Sends a request to the upstream, at most once.

use std::{
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use tokio::time::timeout_at;
use tracing::warn;

use super::{
    Origin, Outgoing, ResponseBody, Settings, TlsError, UpstreamError,
    pool::{Connection, PoolCounts},
    route::Route,
};
use crate::until::until;

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

    /// Closes idle connections beyond need, at the time `now`. Called now and then.
    pub fn trim(&self, now: Instant) {
        self.routes().for_each(|route| route.trim(now));
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

    /// Sends a request, for which there is time since `began`, and waits for the response's header section; the body streams.
    /// When the client has gone, the request is cancelled, unless it is a submission and written as a whole: then its task
    /// exists, and is paid for. (Whoever finds that a client has gone has its request polled.)
    pub async fn send(
        &self,
        mut request: Box<Request<Outgoing>>,
        purpose: Purpose,
        began: Instant,
        is_client_gone: impl Fn() -> bool,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let limit = self.settings.timeout;
        let reuse = match purpose {
            Purpose::Submission => Reuse::IdleLess(self.settings.reuse_idle),
            Purpose::Other => Reuse::Any,
        };
        let arrival = request.body().arrival();
        let mut deadline = began + limit;
        let mut now = began;
        loop {
            let reused = self.reused(reuse, now);
            let is_fresh = reused.is_none();
            let (route, mut connection) = match reused {
                Some(reused) => reused,
                // Apart, so that requests that need none do not carry the space.
                None => Box::pin(self.made(deadline, &is_client_gone)).await?,
            };
            // It names the first origin.
            if self.fallback.is_some()
                && let Some(host) = request.headers_mut().get_mut(header::HOST)
            {
                host.clone_from(route.origin().host_field());
            }
            request.body_mut().begin(&connection.socket);
            let is_needless =
                || is_client_gone() && !(purpose == Purpose::Submission && connection.socket.is_request_written());
            let mut response = pin!(connection.sender.try_send_request(*request));
            let sent = loop {
                connection.timer.as_mut().reset(deadline.into());
                tokio::select! {
                    biased;
                    sent = response.as_mut() => break sent,
                    () = until(is_needless) => return Err(UpstreamError::ClientGone),
                    () = connection.timer.as_mut() => {
                        now = Instant::now();
                        deadline = arrival.as_ref().map_or(deadline, |arrival| arrival.deadline(began, limit, now));
                        if deadline <= now {
                            return Err(UpstreamError::Timeout(limit));
                        }
                    }
                }
            };
            let mut error = match sent {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(UpstreamError::Switched);
                }
                Ok(response) if !takes_codings_off(response.headers()) => return Err(UpstreamError::TransferCoding),
                Ok(response) => return route.streaming(response, connection),
                Err(error) => error,
            };
            // hyper hands a request back only if no byte of it was written.
            match error.take_message() {
                Some(unsent) if !is_fresh => *request = unsent,
                Some(_) => return Err(UpstreamError::Unsent(error.into_error())),
                None => return Err(UpstreamError::of_exchange(error.into_error())),
            }
            now = Instant::now();
        }
    }

    /// An idle connection to the origin that is used at the moment.
    fn reused(&self, reuse: Reuse, now: Instant) -> Option<(&Route, Connection)> {
        let route = match &self.fallback {
            Some(fallback) if self.is_first_failing(now) => fallback,
            _ => &self.first,
        };
        Some((route, route.reuse(reuse, now)?))
    }

    /// A new connection, unless it takes too long or the client goes.
    async fn made(
        &self,
        deadline: Instant,
        is_client_gone: impl Fn() -> bool,
    ) -> Result<(&Route, Connection), UpstreamError> {
        tokio::select! {
            biased;
            made = timeout_at(deadline.into(), self.make()) => match made {
                Ok(made) => made,
                Err(_) => Err(UpstreamError::Timeout(self.settings.timeout)),
            },
            () = until(is_client_gone) => Err(UpstreamError::ClientGone),
        }
    }

    /// A connection to the first origin, or to the fallback if none to the first can be made. No byte of the request has
    /// been written at that point, so that it is not sent twice.
    async fn make(&self) -> Result<(&Route, Connection), UpstreamError> {
        let Some(fallback) = &self.fallback else {
            return Ok((&self.first, self.first.make().await?));
        };
        if !self.is_first_failing(Instant::now()) {
            match self.first.make().await {
                Ok(connection) => {
                    *self.first_failed.lock() = None;
                    return Ok((&self.first, connection));
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
        Ok((fallback, fallback.make().await?))
    }

    /// Whether no connection to the first origin could be made a short while ago.
    fn is_first_failing(&self, now: Instant) -> bool {
        let failed = *self.first_failed.lock();
        failed.is_some_and(|failed| now - failed < FALLBACK_TIME)
    }
}
