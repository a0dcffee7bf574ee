//! Listeners: the accept loop that API, admin side and sandbox share. It is our own because `axum::serve` neither
//! preserves the spelling of field names nor leaves out the Date field.

use std::{
    convert::Infallible,
    future::{self, Future},
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
    net::{TcpListener, TcpSocket, TcpStream},
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
    /// How long a client may take nothing of an answer that is there for it.
    pub write_timeout: Duration,
    /// How many connections may be open at once, over all listeners. More wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            connections: 10_000,
        }
    }
}

/// How many connections the system holds that were not accepted yet. Beyond it a client waits for a second and tries again.
const BACKLOG: u32 = 1024;

/// Listens on an address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // On Windows it would mean that two programs may listen on one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The address that a connection came in on, an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddress(pub SocketAddr);

/// Serves the connections of all listeners until `stop` completes, then lets what runs finish within `grace`. Whether all
/// did is returned. The limits are of all listeners together.
pub async fn serve<S>(
    listeners: Vec<TcpListener>,
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
    // The listener that is asked first: in turn, so that none waits for the others.
    let mut first = 0;
    loop {
        let accept = async {
            // The semaphore is never closed.
            let permit = free.clone().acquire_owned().await;
            (accept(&listeners, first).await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut stop => break,
            accepted = accept => accepted,
        };
        first += 1;
        let stream = match accepted {
            Ok(stream) => stream,
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
    drop(listeners);
    tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
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
    let progress = Progress::default();
    let stream = Watched {
        stream,
        progress: progress.clone(),
    };
    let of_service = progress.clone();
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
        () = progress.overdue(limits) => Ok(()),
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

/// What is known of a connection's progress. Clones are of the same connection.
#[derive(Clone)]
struct Progress(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// Since when the client takes nothing of what there is to be written.
    stalled: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Resting(Instant::now()),
            stalled: None,
        })))
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is whole and will be answered, until what is returned is dropped.
    fn begin(&self) -> Busy {
        self.state().phase = Phase::Busy;
        Busy(self.clone())
    }

    /// Bytes came.
    fn note_bytes(&self) {
        let mut state = self.state();
        if let Phase::Resting(_) = state.phase {
            state.phase = Phase::Head(Instant::now());
        }
    }

    /// Something was to be written, and the client took it or did not.
    fn note_write(&self, is_stalled: bool) {
        let stalled = &mut self.state().stalled;
        *stalled = is_stalled.then(|| stalled.unwrap_or_else(Instant::now));
    }

    /// Completes when a rest, a head or the client's taking of an answer has taken too long.
    async fn overdue(&self, limits: &Limits) {
        // Something with a nearer deadline may begin while a farther one is slept through.
        let nap = limits.head_timeout.min(limits.keep_alive).min(limits.write_timeout);
        loop {
            let now = Instant::now();
            let deadline = {
                let state = self.state();
                let of_phase = match state.phase {
                    Phase::Resting(since) => Some(since + limits.keep_alive),
                    Phase::Head(since) => Some(since + limits.head_timeout),
                    Phase::Busy => None,
                };
                let of_write = state.stalled.map(|since| since + limits.write_timeout);
                [of_phase, of_write].into_iter().flatten().min()
            };
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            tokio::time::sleep_until(deadline.unwrap_or(now + nap).min(now + nap)).await;
        }
    }
}

/// A request that is being answered. Its end is the beginning of a rest.
struct Busy(Progress);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().phase = Phase::Resting(Instant::now());
    }
}

/// A stream that notes when bytes come, and when they cannot go.
struct Watched<I> {
    stream: I,
    progress: Progress,
}

impl<I> Watched<I> {
    fn noted<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.progress.note_write(poll.is_pending());
        poll
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.progress.note_bytes();
        }
        Poll::Ready(result)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(poll)
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
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(poll)
    }
}
