//! Listeners: the accept loop that API, admin side and sandbox share. It is our own because `axum::serve` neither
//! preserves the spelling of field names nor leaves out the Date field.

use std::{
    convert::Infallible,
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use crate::guarded::guard;

/// What a listener grants its connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub head: usize,
    /// How long a head may take from its first byte to its last.
    pub head_timeout: Duration,
    /// How long a connection may rest between requests.
    pub keep_alive: Duration,
    /// How many connections may be open at once. More wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            head_timeout: Duration::from_secs(10),
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
    let free = Arc::new(Semaphore::new(limits.connections));
    let mut stop = pin!(stop);
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
    let phase = SharedPhase::default();
    let stream = Watched {
        stream,
        phase: phase.clone(),
    };
    let of_service = phase.clone();
    let service = tower::service_fn(move |request| {
        let busy = of_service.begin();
        let service = service.clone();
        async move { Ok::<_, Infallible>(guard(service.oneshot(request).await?, busy)) }
    });
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        // hyper's own timer takes a resting connection for a slow head: ours tells them apart.
        .header_read_timeout(None)
        .max_header_size(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        result = watcher.watch(connection) => Ok(result?),
        () = phase.overdue(limits) => Ok(()),
    }
}

/// What a connection is doing, as far as a time limit depends on it.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing of a request has come since then.
    Resting(Instant),
    /// A head began to come then.
    Head(Instant),
    /// Requests are being answered.
    Busy,
}

#[derive(Clone)]
struct SharedPhase(Arc<Mutex<Phase>>);

impl Default for SharedPhase {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Phase::Resting(Instant::now()))))
    }
}

impl SharedPhase {
    fn get(&self) -> MutexGuard<'_, Phase> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is whole and will be answered, until what is returned is dropped.
    fn begin(&self) -> Busy {
        *self.get() = Phase::Busy;
        Busy(self.clone())
    }

    /// Bytes came.
    fn note_bytes(&self) {
        let mut phase = self.get();
        if let Phase::Resting(_) = *phase {
            *phase = Phase::Head(Instant::now());
        }
    }

    /// Completes when a rest or a head has taken too long.
    async fn overdue(&self, limits: &Limits) {
        loop {
            let deadline = match *self.get() {
                Phase::Resting(since) => since + limits.keep_alive,
                Phase::Head(since) => since + limits.head_timeout,
                Phase::Busy => Instant::now() + limits.head_timeout.min(limits.keep_alive),
            };
            if deadline <= Instant::now() {
                return;
            }
            // A head that begins while a rest is slept through has a deadline of its own, which may be nearer.
            tokio::time::sleep_until(deadline.min(Instant::now() + limits.head_timeout)).await;
        }
    }
}

/// A request that is being answered. Its end is the beginning of a rest.
struct Busy(SharedPhase);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.get() = Phase::Resting(Instant::now());
    }
}

/// A stream that notes when bytes come.
struct Watched<I> {
    stream: I,
    phase: SharedPhase,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.phase.note_bytes();
        }
        Poll::Ready(result)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
