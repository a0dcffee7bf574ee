//! Connections, or heads, that no request came of.

use std::{error::Error, io, net::IpAddr};

use http::StatusCode;
use rustls::{AlertDescription, InvalidMessage};

/// A connection, or a head on it, that no request came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFault {
    /// The client's address.
    pub peer: IpAddr,
    /// The reason.
    pub kind: FaultKind,
}

/// The reason why no request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The head was refused with this status, by the HTTP library.
    Refused(StatusCode),
    /// The head is the preface of HTTP/2, and the connection was closed.
    Http2,
    /// The head took too long, and the connection was closed.
    TimedOut,
    /// The client began a TLS handshake where there is no TLS, and got the HTTP library's 400.
    TlsToPlain,
    /// The client spoke something else in a tunnel where TLS was due.
    PlainToTls,
    /// The client did not accept the certificate.
    CertificateRefused,
    /// There is no certificate for the name that the client asked for.
    NoCertificate,
    /// The client ended the TLS handshake without a word: some do if they do not accept the certificate.
    HandshakeEnded,
    /// The TLS handshake failed for another reason.
    Handshake,
}

/// The first byte of a TLS handshake (RFC 8446, section 5.1).
pub const TLS_HANDSHAKE: u8 = 22;

/// What hyper did about a head that it does not accept; `None` if the error is not about a head. `first` is the first byte
/// that came on the connection.
pub fn of_head(error: &hyper::Error, first: Option<u8>) -> Option<FaultKind> {
    let refused = |status| Some(FaultKind::Refused(status));
    // hyper has no method that tells the two apart that are too large.
    let is_target = || error.to_string().contains("URI too long");
    match (error.is_parse_too_large(), error.is_parse()) {
        (true, _) if is_target() => refused(StatusCode::URI_TOO_LONG),
        (true, _) => refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (false, true) if error.is_parse_version_h2() => Some(FaultKind::Http2),
        (false, true) if first == Some(TLS_HANDSHAKE) => Some(FaultKind::TlsToPlain),
        (false, true) => refused(StatusCode::BAD_REQUEST),
        (false, false) => None,
    }
}

/// What went wrong in a TLS handshake.
pub fn of_handshake(error: &io::Error) -> FaultKind {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA, UnsupportedCertificate};
    let of_tls = error
        .get_ref()
        .and_then(|error| (error as &(dyn Error + 'static)).downcast_ref::<rustls::Error>());
    match of_tls {
        None => FaultKind::HandshakeEnded,
        Some(rustls::Error::AlertReceived(
            BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA | UnsupportedCertificate,
        )) => FaultKind::CertificateRefused,
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => FaultKind::PlainToTls,
        // rustls says so in words alone.
        Some(rustls::Error::General(text)) if text.contains("no server certificate") => FaultKind::NoCertificate,
        Some(_) => FaultKind::Handshake,
    }
}
