//! The reason why a request failed or was refused.

/// The cause of a failure, in the words of log and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Cause {
    /// The upstream's name did not resolve.
    Resolve,
    /// No connection to the upstream could be made.
    Connect,
    /// No connection to the upstream could be made in time.
    ConnectTimeout,
    /// The TLS handshake with the upstream failed.
    Tls,
    /// The upstream is the gateway itself.
    Loop,
    /// The proxy's name did not resolve.
    ProxyResolve,
    /// No connection to the proxy could be made.
    ProxyConnect,
    /// No connection through the proxy could be made in time.
    ProxyTimeout,
    /// The proxy made no connection to the upstream.
    ProxyRefused,
    /// The proxy does not respond as such a proxy does.
    ProxyProtocol,
    /// The upstream closed a new connection before anything was written to it.
    ClosedUnsent,
    /// The upstream closed the connection before its response.
    Closed,
    /// The upstream's response is not HTTP.
    NotHttp,
    /// The upstream did not respond in time.
    Timeout,
    /// The upstream's response ended early or stalled.
    CutOff,
    /// The gateway had too many requests in flight.
    Overload,
    /// A thread of the gateway panicked.
    Internal,
    /// The gateway stopped before the response had ended.
    Stopped,
    /// The request's body did not arrive whole.
    ClientBody,
    /// The client left, or stopped reading, before the response had ended.
    ClientGone,
    /// The body of a submission is over the limit.
    BodyTooLarge,
    /// The request target is too long, perhaps only with one more parameter.
    TargetTooLong,
    /// The client's address is not allowed.
    PeerNotAllowed,
    /// A browser sent it for a page of another site.
    CrossSite,
    /// The client asked for a proxy: CONNECT, or the URL of another host.
    NotAProxy,
    /// The client spoke TLS where there is none.
    TlsToPlain,
    /// The client did not speak TLS where it was due.
    PlainToTls,
    /// The client did not accept the certificate.
    CertificateRefused,
    /// There is no certificate for the name that the client asked for.
    NoCertificate,
    /// The client ended the TLS handshake without a word.
    HandshakeEnded,
    /// The TLS handshake with the client failed for another reason.
    TlsHandshake,
    /// The request has a transfer coding other than chunked.
    TransferCoding,
    /// The request head is malformed.
    Malformed,
    /// The request head is over the limit.
    HeadTooLarge,
    /// The request head took too long.
    HeadTimeout,
}

/// The side that a failure is due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The upstream, or the way to it.
    Upstream,
    /// The gateway.
    Gateway,
    /// The client.
    Client,
}

impl Cause {
    /// Whether the upstream got nothing of the request.
    pub fn is_unsent(self) -> bool {
        match self {
            Self::Closed | Self::NotHttp | Self::Timeout | Self::CutOff => false,
            cause => cause.fault() == Fault::Upstream,
        }
    }

    /// The side that the failure is due to.
    pub fn fault(self) -> Fault {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Loop
            | Self::ProxyResolve
            | Self::ProxyConnect
            | Self::ProxyTimeout
            | Self::ProxyRefused
            | Self::ProxyProtocol
            | Self::ClosedUnsent
            | Self::Closed
            | Self::NotHttp
            | Self::Timeout
            | Self::CutOff => Fault::Upstream,
            Self::Overload | Self::Internal | Self::Stopped => Fault::Gateway,
            Self::ClientBody
            | Self::ClientGone
            | Self::BodyTooLarge
            | Self::TargetTooLong
            | Self::PeerNotAllowed
            | Self::CrossSite
            | Self::NotAProxy
            | Self::TlsToPlain
            | Self::PlainToTls
            | Self::CertificateRefused
            | Self::NoCertificate
            | Self::HandshakeEnded
            | Self::TlsHandshake
            | Self::TransferCoding
            | Self::Malformed
            | Self::HeadTooLarge
            | Self::HeadTimeout => Fault::Client,
        }
    }
}
