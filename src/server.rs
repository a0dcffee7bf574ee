//! Listeners: the accept loop that API, admin side and sandbox share. It is our own because `axum::serve` neither
//! preserves the spelling of field names nor leaves out the Date field.

use std::{convert::Infallible, future::Future, net::SocketAddr, time::Duration};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

/// What a listener grants its connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub head: usize,
    /// How long a connection may rest between requests.
    pub keep_alive: Duration,
    /// How many connections may be open at once. More wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            keep_alive: Duration::from_secs(120),
            connections: 10_000,
        }
    }
}

/// The address that a connection came in on, an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddress(pub SocketAddr);

/// Serves connections until `stop` completes, then lets what runs finish within `grace`. Whether all did is returned.
pub async fn serve<S>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: S,
    limits: Limits,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let graceful = GracefulShutdown::new();
    let free = std::sync::Arc::new(Semaphore::new(limits.connections));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accept = async {
            // The semaphore is never closed.
            let permit = free.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut stop => break,
            accepted = accept => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely out of descriptors: others have to close first.
                warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, service, watcher, limits) = (tls.clone(), service.clone(), graceful.watcher(), limits.clone());
        tokio::spawn(async move {
            match connection(stream, tls, service, watcher, &limits).await {
                Ok(()) => {}
                Err(error) => debug!("a connection ended early: {error}"),
            }
            drop(permit);
        });
    }
    drop(listener);
    tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn connection<S>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: S,
    watcher: Watcher,
    limits: &Limits,
) -> Result<(), BoxError>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    stream.set_nodelay(true)?;
    let local = LocalAddress(stream.local_addr()?);
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(local);
        request
    });
    match tls {
        Some(tls) => {
            let stream = tokio::time::timeout(Duration::from_secs(10), tls.accept(stream)).await??;
            http(stream, service, watcher, limits).await
        }
        None => http(stream, service, watcher, limits).await,
    }
}

async fn http<I, S>(stream: I, service: S, watcher: Watcher, limits: &Limits) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.keep_alive)
        .max_header_size(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    Ok(watcher.watch(connection).await?)
}
