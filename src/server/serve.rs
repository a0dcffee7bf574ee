//! The accept loop.

use std::{
    future, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
};
use tracing::{debug, warn};

use super::{
    Limits,
    connection::{Connection, OnFault, Requests},
    fault::ConnectionFault,
    listener::{Listener, Protocol},
};

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It serves.
    Not,
    /// Requests in flight may finish.
    Begun,
    /// They are cut off: each is polled once more, to see that.
    CutOff,
}

/// A server of connections. The limits hold for all its listeners together.
pub struct Server {
    listeners: Vec<Listener>,
    limits: Limits,
    on_fault: OnFault,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// A server with the default limits.
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            limits: Limits::default(),
            on_fault: Arc::new(|_| {}),
            open: Arc::default(),
        }
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Counts the open connections in `open`.
    pub fn count(mut self, open: Arc<AtomicUsize>) -> Self {
        self.open = open;
        self
    }

    /// Calls a function for each connection, or head, that no request came of.
    pub fn on_fault(mut self, call: impl Fn(ConnectionFault) + Send + Sync + 'static) -> Self {
        self.on_fault = Arc::new(call);
        self
    }

    /// Serves until the process ends.
    pub async fn run_forever(self, service: impl Requests) {
        let (_runs, stop) = watch::channel(Stop::Not);
        self.run(service, stop, Duration::ZERO).await;
    }

    /// Serves until it is told to stop, then lets requests in flight finish within `grace`. Returns whether all did.
    pub async fn run(self, service: impl Requests, mut stop: watch::Receiver<Stop>, grace: Duration) -> bool {
        let free = Arc::new(Semaphore::new(self.limits.connections));
        // The listener that is asked first: each in turn, so that none waits for the others.
        let mut first = 0;
        loop {
            let accept = async {
                // The semaphore is never closed.
                let permit = free.clone().acquire_owned().await;
                (accept(&self.listeners, first).await, permit)
            };
            let (accepted, permit) = tokio::select! {
                _ = later(&mut stop, Stop::Not) => break,
                accepted = accept => accepted,
            };
            first += 1;
            let (stream, protocol) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely out of descriptors: other connections have to close first.
                    warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = Connection {
                stop: stop.clone(),
                limits: self.limits.clone(),
                on_fault: self.on_fault.clone(),
            };
            let service = service.clone();
            let counted = Counted::new(&self.open);
            tokio::spawn(async move {
                if let Err(error) = connection.serve(stream, protocol, service).await {
                    debug!("a connection ended early: {error}");
                }
                drop((permit, counted));
            });
        }
        drop(self.listeners);
        // Once all are free, every connection has ended.
        let ended = free.acquire_many(u32::try_from(self.limits.connections).unwrap_or(u32::MAX));
        tokio::time::timeout(grace, ended).await.is_ok()
    }
}

/// One of the open connections, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The next connection of any listener.
async fn accept(listeners: &[Listener], first: usize) -> io::Result<(TcpStream, Protocol)> {
    future::poll_fn(|cx| {
        let in_turn = listeners.iter().cycle().skip(first % listeners.len().max(1));
        for listener in in_turn.take(listeners.len()) {
            if let Poll::Ready(accepted) = listener.socket.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| (stream, listener.protocol.clone())));
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits until a stop has come further than `seen`.
pub async fn later(stop: &mut watch::Receiver<Stop>, seen: Stop) -> Stop {
    let reached = stop.wait_for(|stop| *stop != seen).await.map(|stop| *stop);
    match reached {
        Ok(stop) => stop,
        // Whoever could tell has gone: that is a stop, too.
        Err(_) if seen == Stop::Not => Stop::Begun,
        Err(_) => future::pending().await,
    }
}
