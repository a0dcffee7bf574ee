//! Looks names up.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

/// How many lookups may run at once. Each holds a thread until the system's resolver gives up, perhaps long after anyone
/// waits for it, and other work needs threads too.
const LOOKUPS: usize = 32;

/// The system's resolver, with an error type of its own.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Semaphore>);

/// A name that did not resolve.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub struct Unresolved(io::ErrorKind, String);

impl Unresolved {
    pub fn to_io(&self) -> io::Error {
        io::Error::new(self.0, self.1.clone())
    }
}

impl Resolver {
    /// Looks up the addresses of a name, with a port.
    pub async fn look_up(&self, name: &str, port: u16) -> Result<std::vec::IntoIter<SocketAddr>, Unresolved> {
        // The semaphore is never closed.
        let permit = self.0.clone().acquire_owned().await;
        let name = name.to_owned();
        let looked_up = tokio::task::spawn_blocking(move || {
            let addresses = (name.as_str(), port).to_socket_addrs();
            drop(permit);
            addresses
        });
        let unresolved = |error: io::Error| Unresolved(error.kind(), error.to_string());
        looked_up.await.map_err(io::Error::from).flatten().map_err(unresolved)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = BoxFuture<'static, Result<Self::Response, Unresolved>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        async move { resolver.look_up(name.as_str(), 0).await }.boxed()
    }
}
