//! The handshake.

use std::sync::Arc;

use rustls::{ServerConfig, server::ResolvesServerCert};
use tokio_rustls::TlsAcceptor;

/// An acceptor that shows the certificate which `certificates` chooses. It offers HTTP/1.1 alone (RFC 7301).
pub fn acceptor(certificates: Arc<dyn ResolvesServerCert>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A client that opens a connection per poll resumes its session: one round trip and two signatures less.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
