//! Whether a request is served here at all, as far as its head and its peer tell.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{StatusCode, header, request::Parts};
use ipnet::IpNet;

use super::{
    Gateway,
    cross_site::{CrossSite, is_cross_site},
    error_response::ErrorResponse,
    request_target,
};
use crate::{observe::Cause, server::Entrance, upstream};

/// A range of addresses (RFC 4632), such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRange(IpNet);

/// A text is no [`PeerRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a range of addresses, such as \"10.0.0.0/8\" or \"fd00::/8\", or one address")]
pub struct PeerRangeError;

impl FromStr for PeerRange {
    type Err = PeerRangeError;

    fn from_str(text: &str) -> Result<Self, PeerRangeError> {
        let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| PeerRangeError)
    }
}

impl fmt::Display for PeerRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Refuses a request that is not served here.
pub fn check(
    gateway: &Gateway,
    head: &Parts,
    has_no_body: bool,
    entrance: Option<&Entrance>,
) -> Result<(), ErrorResponse> {
    if !entrance.is_none_or(|entrance| is_allowed(entrance.peer.ip(), &gateway.settings.allow)) {
        return Err(ErrorResponse::new(
            StatusCode::FORBIDDEN,
            "ERROR_GATEWAY_PEER_NOT_ALLOWED",
            Cause::PeerNotAllowed,
            "this address is not allowed to use the gateway ([server] allow)",
        ));
    }
    if gateway.settings.cross_site == CrossSite::Deny && is_cross_site(&head.headers, &gateway.settings.names) {
        return Err(ErrorResponse::new(
            StatusCode::FORBIDDEN,
            "ERROR_GATEWAY_CROSS_SITE",
            Cause::CrossSite,
            "a browser sent this for a page of another site, and [server] cross_site denies that",
        ));
    }
    // One that is missing is tolerated: hand-written clients leave it out.
    if head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "ERROR_GATEWAY_MALFORMED",
            Cause::Malformed,
            "the request has more than one Host field (RFC 9112, section 3.2)",
        ));
    }
    request_target::check(head, has_no_body, entrance, &gateway.names)?;
    if !upstream::takes_codings_off(&head.headers) {
        return Err(ErrorResponse::new(
            StatusCode::NOT_IMPLEMENTED,
            "ERROR_GATEWAY_TRANSFER_CODING",
            Cause::TransferCoding,
            "the only transfer coding served is chunked, once; nothing was sent on",
        ));
    }
    Ok(())
}

/// Whether a peer is served: this machine always, all others if no range says whom.
fn is_allowed(peer: IpAddr, ranges: &[PeerRange]) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() || ranges.is_empty() || ranges.iter().any(|range| range.0.contains(&peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_the_ranges_are_allowed() {
        let ranges = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(|range| range.parse().unwrap());
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.255.0.1", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(is_allowed(peer.parse().unwrap(), &ranges), expected, "{peer}");
            assert!(is_allowed(peer.parse().unwrap(), &[]), "{peer}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "example.com", "10.0.0.0/8 "] {
            assert_eq!(text.parse::<PeerRange>(), Err(PeerRangeError), "{text}");
        }
    }
}
