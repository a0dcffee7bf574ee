//! Sends a request to the upstream, at most once.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{extract::Request, response::Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use tracing::warn;

use super::{
    Origin, Settings, TlsError, UpstreamError,
    route::{Fetched, Route},
};

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

    /// The longest idle time of a connection that a submission reuses.
    pub fn reuse_idle(&self) -> Duration {
        self.settings.reuse_idle
    }

    /// Fails with [`UpstreamError::Loop`] if the upstream's name leads to one of the gateway's own listeners at the moment.
    /// Names are looked up, nothing is connected to. (Each connection is checked again when it is made.)
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        let routes = std::iter::once(&self.first).chain(&self.fallback);
        for route in routes {
            route.leads_back().await?;
        }
        Ok(())
    }

    /// Sends a request and waits for the response's header section; the body streams.
    pub async fn send(&self, request: Request, reuse: Reuse) -> Result<Response, UpstreamError> {
        let exchange = self.exchange(request, reuse);
        match tokio::time::timeout(self.settings.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(UpstreamError::Timeout(self.settings.timeout)),
        }
    }

    async fn exchange(&self, mut request: Request, reuse: Reuse) -> Result<Response, UpstreamError> {
        loop {
            let (route, mut fetched) = self.connection(reuse).await?;
            if let Some(host) = request.headers_mut().get_mut(header::HOST) {
                host.clone_from(route.origin().host_field());
            }
            let mut error = match fetched.connection.sender.try_send_request(request).await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(UpstreamError::Switched);
                }
                Ok(response) => return Ok(route.streaming(response, fetched.connection)),
                Err(error) => error,
            };
            // hyper hands a request back only if no byte of it was written.
            match error.take_message() {
                Some(unsent) if !fetched.is_fresh => request = unsent,
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
