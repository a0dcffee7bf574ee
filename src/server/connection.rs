//! One connection: TLS or not, HTTP on it, and what a proxy's client opens through it.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use http::{HeaderValue, Method, Request, Response, Version, header, uri::Authority};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::http1,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::{BoxError, Service};

use super::{
    Limits,
    body_guard::{self, RequestBody, ResponseBody},
    entrance::{Entrance, Tunnel, Way},
    fault::{self, ConnectionFault, FaultKind, TLS_HANDSHAKE},
    listener::Protocol,
    progress::{Overdue, Progress, Receiving},
    serve::{Stop, later},
    watched::Watched,
};
use crate::{idle_wake::Alarms, until::until};

pub type OnFault = Arc<dyn Fn(ConnectionFault) + Send + Sync>;

/// The most fields of a request. Further ones get 431 (Request Header Fields Too Large).
const MAX_FIELDS: usize = 256;

/// What one connection is served with.
pub struct Connection {
    /// How far a stop of the server has come.
    pub stop: watch::Receiver<Stop>,
    pub limits: Limits,
    pub on_fault: OnFault,
}

/// What a service of requests is. It is always ready: nothing waits in front of it.
pub trait Requests:
    Service<Request<RequestBody>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static;
}

impl<S, B> Requests for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Body = B;
}

/// A tunnel that a proxy's client asked for.
struct Asked {
    authority: Authority,
    upgrade: OnUpgrade,
}

impl Connection {
    /// Serves a connection to its end.
    pub async fn serve(self, stream: TcpStream, protocol: Protocol, service: impl Requests) -> Result<(), BoxError> {
        stream.set_nodelay(true)?;
        let entrance = Entrance {
            local: stream.local_addr()?,
            peer: stream.peer_addr()?,
            way: Way::Direct,
        };
        // What has TLS takes much more space: apart, so that plain connections do not carry it.
        match protocol {
            Protocol::Http => drop(self.http(stream, service, entrance).await?),
            Protocol::Https(tls) => Box::pin(self.https(stream, &tls, service, entrance)).await?,
            Protocol::Proxy(tls) => Box::pin(self.proxy(stream, &tls, service, entrance)).await?,
        }
        Ok(())
    }

    async fn https(
        &self,
        stream: TcpStream,
        tls: &TlsAcceptor,
        service: impl Requests,
        entrance: Entrance,
    ) -> Result<(), BoxError> {
        if self.unless_stopped(self.begins_tls(&stream)).await?? {
            let stream = self.handshake(tls, stream, entrance.peer).await?;
            self.http(stream, service, entrance).await?;
        } else {
            self.http(stream, service, entrance.through(Way::WithoutTls)).await?;
        }
        Ok(())
    }

    async fn proxy(
        &self,
        stream: TcpStream,
        tls: &TlsAcceptor,
        service: impl Requests,
        entrance: Entrance,
    ) -> Result<(), BoxError> {
        let asked = self.http(stream, service.clone(), entrance.through(Way::Proxy)).await?;
        let Some(Asked { authority, upgrade }) = asked else {
            return Ok(());
        };
        let stream = TokioIo::new(upgrade.await?);
        let tunnel = |server_name| {
            let authority = authority.to_string();
            entrance.through(Way::Tunnel(Arc::new(Tunnel { authority, server_name })))
        };
        // Clients that tunnel everything ask for that port before they speak without TLS.
        if authority.port_u16() == Some(80) {
            self.http(stream, service, tunnel(None)).await?;
        } else {
            let stream = self.handshake(tls, stream, entrance.peer).await?;
            let tunnel = tunnel(stream.get_ref().1.server_name().map(str::to_owned));
            self.http(stream, service, tunnel).await?;
        }
        Ok(())
    }

    async fn handshake<I>(&self, tls: &TlsAcceptor, stream: I, peer: SocketAddr) -> Result<TlsStream<I>, BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = tokio::time::timeout(self.limits.head_timeout, tls.accept(stream));
        match self.unless_stopped(handshake).await? {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                self.fault(fault::of_handshake(&error), peer);
                Err(error.into())
            }
            Err(elapsed) => {
                self.fault(FaultKind::TimedOut, peer);
                Err(elapsed.into())
            }
        }
    }

    /// Waits for what comes before HTTP, unless the server stops meanwhile: nothing is in flight then.
    async fn unless_stopped<T>(&self, wait: impl Future<Output = T>) -> Result<T, BoxError> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = wait => Ok(result),
            _ = later(&mut stop, Stop::Not) => Err("the server stopped".into()),
        }
    }

    /// Whether a client begins a TLS handshake. One that says nothing is idle, and its connection ends like any other.
    async fn begins_tls(&self, stream: &TcpStream) -> Result<bool, BoxError> {
        let mut first = [0];
        let peeked = tokio::time::timeout(self.limits.keep_alive, stream.peek(&mut first)).await?;
        Ok(peeked? > 0 && first == [TLS_HANDSHAKE])
    }

    fn fault(&self, kind: FaultKind, peer: SocketAddr) {
        (self.on_fault)(ConnectionFault { peer: peer.ip(), kind });
    }

    /// Waits for what happens to a connection from outside, when a stop has come as far as `seen`.
    fn event(&self, progress: &Progress, seen: Stop) -> BoxFuture<'static, Event> {
        let (progress, limits, mut stop) = (progress.clone(), self.limits.clone(), self.stop.clone());
        let event = async move {
            tokio::select! {
                overdue = progress.overdue(&limits) => Event::Overdue(overdue),
                stop = later(&mut stop, seen) => Event::Stop(stop),
            }
        };
        event.boxed()
    }

    /// Serves HTTP. Returns the tunnel that a proxy's client asked for and was granted.
    async fn http<I>(&self, stream: I, service: impl Requests, entrance: Entrance) -> Result<Option<Asked>, BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = entrance.peer;
        let is_misdirected = matches!(entrance.way, Way::WithoutTls);
        let progress = Progress::new(entrance);
        let stream = Watched::new(stream, progress.clone());
        let of_service = progress.clone();
        let asked = Arc::new(Mutex::new(None));
        let granted = asked.clone();
        // Not a tower service: hyper would begin it later, and perhaps hear before that that the client sends no more.
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let receiving = body_guard::receiving(&request);
            let begun = of_service.begin(receiving);
            let version = request.version();
            let asked = tunnel_wished(&mut request, &of_service.entrance().way);
            let tunnel = asked.map(|asked| (asked, granted.clone()));
            let (request, busy) = body_guard::receive(request, receiving, begun);
            let mut service = service.clone();
            let is_ready = service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
            debug_assert!(is_ready);
            // Boxed, so that an idle connection does not carry the space of a request in flight.
            let response = Box::pin(service.call(request));
            async move {
                let mut response = response.await?;
                if response.status().is_success()
                    && let Some((asked, granted)) = tunnel
                {
                    *granted.lock() = Some(asked);
                    return Ok(response.map(|body| ResponseBody::new(body, None)));
                }
                // It may send its body all the same, which would be taken for the next request.
                let is_unasked = receiving == Receiving::Unasked && busy.progress().is_unasked();
                if is_unasked || is_misdirected || ends_with_connection(version, &response) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, Some(busy))))
            }
        });
        let connection = http1::Builder::new()
            .preserve_header_case(true)
            .auto_date_header(false)
            // hyper's own timer counts an idle connection as a slow head; `Progress` tells them apart.
            .header_read_timeout(None)
            .max_header_size(self.limits.head)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let mut alarms = Alarms::default();
        // Polled only when it has been woken, and not whenever the connection is.
        let mut events = FuturesUnordered::from_iter([self.event(&progress, Stop::Not)]);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                result = poll_fn(|cx| alarms.poll(connection.as_mut(), cx)) => {
                    let error = result.as_ref().err();
                    if let Some(kind) = error.and_then(|error| fault::of_head(error, progress.first_byte())) {
                        self.fault(kind, peer);
                    }
                    result?;
                    break;
                }
                Some(event) = events.next() => match event {
                    Event::Overdue(overdue) => {
                        if overdue == Overdue::Head {
                            self.fault(FaultKind::TimedOut, peer);
                        }
                        break;
                    }
                    Event::Stop(stop) => {
                        is_stopping = true;
                        connection.as_mut().graceful_shutdown();
                        events.push(self.event(&progress, stop));
                    }
                },
                // A stop does not wait for a client that has gone.
                () = until(|| is_stopping && progress.is_client_gone()) => break,
            }
        }
        let asked = asked.lock().take();
        Ok(asked)
    }
}

/// What happens to a connection from outside of it.
enum Event {
    /// It exceeded a limit.
    Overdue(Overdue),
    /// A stop has come as far as this.
    Stop(Stop),
}

/// The tunnel that a request to a proxy asks for.
fn tunnel_wished(request: &mut Request<Incoming>, way: &Way) -> Option<Asked> {
    let is_asked = matches!(way, Way::Proxy) && request.method() == Method::CONNECT;
    let authority = is_asked.then(|| request.uri().authority().cloned()).flatten()?;
    Some(Asked {
        authority,
        upgrade: upgrade::on(request),
    })
}

/// Serves HTTP on a stream, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) async fn serve_one<I>(stream: I, service: impl Requests, limits: Limits) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (_runs, stop) = watch::channel(Stop::Not);
    let connection = Connection {
        stop,
        limits,
        on_fault: Arc::new(|_| {}),
    };
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    let entrance = Entrance {
        local: nobody,
        peer: nobody,
        way: Way::Direct,
    };
    connection.http(stream, service, entrance).await.map(drop)
}

/// Without a length, the end of the connection is the end of a response to HTTP/1.0, which knows no chunks. hyper ends it
/// there, but still announces that it stays open to a client that asked for that.
fn ends_with_connection(version: Version, response: &Response<impl Body>) -> bool {
    version == Version::HTTP_10
        && response.size_hint().exact().is_none()
        && !response.headers().contains_key(header::CONTENT_LENGTH)
}
