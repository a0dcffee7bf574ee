//! The accept loop.

use std::{
    convert::Infallible,
    future::{self, Future},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, Version, header};
use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use super::{
    Limits, body_guard,
    progress::{Overdue, Progress, Watched},
};

/// The address that a connection came in on, an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddress(pub SocketAddr);

/// The address that a connection came from, an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// The reason why no request came of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It was refused with this status, by the HTTP library.
    Refused(StatusCode),
    /// It is the preface of HTTP/2, and the connection was closed.
    Http2,
    /// It took too long, and the connection was closed.
    TimedOut,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type OnHeadError = Arc<dyn Fn(HeadError) + Send + Sync>;

/// A server of connections. The limits hold for all its listeners together.
pub struct Server {
    listeners: Vec<TcpListener>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    on_head_error: OnHeadError,
}

impl Server {
    /// A server with the default limits and without TLS.
    pub fn new(listeners: Vec<TcpListener>) -> Self {
        Self {
            listeners,
            tls: None,
            limits: Limits::default(),
            on_head_error: Arc::new(|_| {}),
        }
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Speaks TLS, if there is an acceptor.
    pub fn tls(mut self, tls: Option<TlsAcceptor>) -> Self {
        self.tls = tls;
        self
    }

    /// Calls a function for each head that no request came of.
    pub fn on_head_error(mut self, call: impl Fn(HeadError) + Send + Sync + 'static) -> Self {
        self.on_head_error = Arc::new(call);
        self
    }

    /// Serves until the process ends.
    pub async fn run_forever<S>(self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        self.run(service, future::pending(), Duration::ZERO).await;
    }

    /// Serves until `stop` completes, then lets requests in flight finish within `grace`. Returns whether all did.
    pub async fn run<S>(self, service: S, stop: impl Future<Output = ()>, grace: Duration) -> bool
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let graceful = GracefulShutdown::new();
        let (stopped, stopping) = watch::channel(());
        let free = Arc::new(Semaphore::new(self.limits.connections));
        let mut stop = pin!(stop);
        // The listener that is asked first: each in turn, so that none waits for the others.
        let mut first = 0;
        loop {
            let accept = async {
                // The semaphore is never closed.
                let permit = free.clone().acquire_owned().await;
                (accept(&self.listeners, first).await, permit)
            };
            let (accepted, permit) = tokio::select! {
                () = &mut stop => break,
                accepted = accept => accepted,
            };
            first += 1;
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Most likely out of descriptors: other connections have to close first.
                    warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = Connection {
                stopping: stopping.clone(),
                tls: self.tls.clone(),
                limits: self.limits.clone(),
                on_head_error: self.on_head_error.clone(),
            };
            let (service, watcher) = (service.clone(), graceful.watcher());
            tokio::spawn(async move {
                if let Err(error) = connection.serve(stream, service, watcher).await {
                    debug!("a connection ended early: {error}");
                }
                drop(permit);
            });
        }
        drop((self.listeners, stopped));
        tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
    }
}

/// The next connection of any listener.
async fn accept(listeners: &[TcpListener], first: usize) -> io::Result<TcpStream> {
    future::poll_fn(|cx| {
        let in_turn = listeners.iter().cycle().skip(first % listeners.len().max(1));
        for listener in in_turn.take(listeners.len()) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

/// The most fields of a request. Further ones get 431 (Request Header Fields Too Large).
const MAX_FIELDS: usize = 256;

/// What one connection is served with.
struct Connection {
    /// Closed when the server stops.
    stopping: watch::Receiver<()>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    on_head_error: OnHeadError,
}

impl Connection {
    async fn serve<S>(self, stream: TcpStream, service: S, watcher: Watcher) -> Result<(), BoxError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        stream.set_nodelay(true)?;
        let local = LocalAddress(stream.local_addr()?);
        let peer = PeerAddress(stream.peer_addr()?);
        let service = service.map_request(move |mut request: Request<Body>| {
            request.extensions_mut().insert(local);
            request.extensions_mut().insert(peer);
            request
        });
        match &self.tls {
            Some(tls) => {
                let stream = tokio::time::timeout(Duration::from_secs(10), tls.accept(stream)).await??;
                self.serve_http(stream, service, watcher).await
            }
            None => self.serve_http(stream, service, watcher).await,
        }
    }

    async fn serve_http<I, S>(self, stream: I, service: S, watcher: Watcher) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let progress = Progress::default();
        let stream = Watched::new(stream, progress.clone());
        let of_service = progress.clone();
        // Not a tower service: hyper would begin it later, and perhaps hear before that that the client sends no more.
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let busy = of_service.begin(body_guard::receiving(&request));
            let version = request.version();
            let mut request = body_guard::receive(request, &of_service, &busy);
            request.extensions_mut().insert(of_service.client_gone());
            let (service, progress) = (service.clone(), of_service.clone());
            async move {
                let mut response = service.oneshot(request).await?;
                // It may send its body all the same, which would be taken for the next request.
                if progress.is_unasked() || ends_with_connection(version, &response) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|body| body_guard::send(body, busy)))
            }
        });
        let connection = http1::Builder::new()
            .preserve_header_case(true)
            .auto_date_header(false)
            // hyper's own timer counts an idle connection as a slow head; `Progress` tells them apart.
            .header_read_timeout(None)
            .max_header_size(self.limits.head)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            result = watcher.watch(connection) => {
                if let Some(error) = result.as_ref().err().and_then(head_error) {
                    (self.on_head_error)(error);
                }
                Ok(result?)
            }
            overdue = progress.overdue(&self.limits) => {
                if overdue == Overdue::Head {
                    (self.on_head_error)(HeadError::TimedOut);
                }
                Ok(())
            }
            // A stop does not wait for a client that has gone.
            () = async { progress.client_gone().wait().await; closed(self.stopping).await } => Ok(()),
        }
    }
}

/// Serves one connection, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) async fn serve_one<I, S>(stream: I, service: S, limits: Limits) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (_running, stopping) = watch::channel(());
    let connection = Connection {
        stopping,
        tls: None,
        limits,
        on_head_error: Arc::new(|_| {}),
    };
    let graceful = GracefulShutdown::new();
    connection.serve_http(stream, service, graceful.watcher()).await
}

/// Completes when the sender is dropped.
pub async fn closed(mut receiver: watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

/// Without a length, the end of the connection is the end of a response to HTTP/1.0, which knows no chunks. hyper ends it
/// there, but still announces that it stays open to a client that asked for that.
fn ends_with_connection(version: Version, response: &Response<Body>) -> bool {
    version == Version::HTTP_10
        && response.size_hint().exact().is_none()
        && !response.headers().contains_key(header::CONTENT_LENGTH)
}

/// What hyper did about a head that it does not accept; `None` if the error is not about a head.
fn head_error(error: &hyper::Error) -> Option<HeadError> {
    let refused = |status| Some(HeadError::Refused(status));
    // hyper has no method that tells the two apart that are too large.
    let is_target = || error.to_string().contains("URI too long");
    match (error.is_parse_too_large(), error.is_parse()) {
        (true, _) if is_target() => refused(StatusCode::URI_TOO_LONG),
        (true, _) => refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (false, true) if error.is_parse_version_h2() => Some(HeadError::Http2),
        (false, true) => refused(StatusCode::BAD_REQUEST),
        (false, false) => None,
    }
}
