//! TLS on the clients' side: whose certificate a listener shows, and how handshakes are made.
//!
//! A listener of the API's own names may show a certificate that the user brings. For the names of other hosts, which
//! programs have fixed, only an authority of this machine's own can issue one.
//!
//! # Layout
//! - [`settings`]: which certificates, for which names
//! - [`local_ca`]: the authority; [`folder`]: its files
//! - [`own_certificate`]: a certificate that the user brings
//! - [`certificates`]: the certificate for a connection, by the name that its client asks for
//! - [`acceptor`](mod@acceptor): the handshake

pub mod acceptor;
pub mod certificates;
pub mod folder;
pub mod local_ca;
pub mod own_certificate;
pub mod settings;

pub use acceptor::acceptor;
pub use certificates::Certificates;
pub use local_ca::LocalCa;
pub use settings::{CertificateError, Settings};
