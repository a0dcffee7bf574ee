//! Clients that speak to the wrong port, or do not trust the certificate: somebody has to change a setting of the client,
//! and only the gateway's log can say which.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing::warn;

use super::{Cause, Record};

/// How often a client is warned about.
const PERIOD: Duration = Duration::from_secs(60);

/// How many warnings are remembered. Beyond that none is given.
const MAX_REMEMBERED: usize = 1024;

/// Warns about misdirected clients, each at most once a minute.
#[derive(Debug, Default)]
pub struct Misdirected(Mutex<HashMap<(IpAddr, Cause), Instant>>);

impl Misdirected {
    /// Warns, if a record is about such a client and its warning is due.
    pub fn observe(&self, record: &Record) {
        let (Some(peer), Some(cause)) = (record.peer, record.cause) else {
            return;
        };
        macro_rules! warning {
            ($message:literal) => {
                if self.is_due(peer, cause, record.ended()) {
                    warn!(%peer, cause = <&str>::from(cause), $message)
                }
            };
        }
        match cause {
            Cause::TlsToPlain => warning!(
                "a client speaks TLS to a port without TLS: give it the address with http:// instead of https://, or the port of [server.tls]"
            ),
            Cause::PlainToTls => warning!(
                "a client does not speak TLS to a port with TLS: give it the address with https:// instead of http://, or the port of [server] listen"
            ),
            Cause::CertificateRefused => warning!(
                "a client does not trust the certificate: nocache-gateway ca show says how to make it trust the local CA"
            ),
            Cause::HandshakeEnded => warning!(
                "a client ended its TLS handshake without a word: perhaps it does not trust the certificate (nocache-gateway ca show)"
            ),
            Cause::NoCertificate => warning!(
                "a client asks for a name that there is no certificate for: list it in [server] names, [server.proxy] names or [server.hosts] names"
            ),
            Cause::NotAProxy => warning!(
                "a client asks for a host that is not the API's: use the gateway, and its proxy, for the API's client alone"
            ),
            _ => {}
        }
    }

    fn is_due(&self, peer: IpAddr, cause: Cause, now: Instant) -> bool {
        let mut warned = self.0.lock();
        let is_recent = |at: &Instant| now.duration_since(*at) < PERIOD;
        if warned.get(&(peer, cause)).is_some_and(is_recent) {
            return false;
        }
        if warned.len() >= MAX_REMEMBERED {
            warned.retain(|_, at| is_recent(at));
        }
        let has_room = warned.len() < MAX_REMEMBERED;
        if has_room {
            warned.insert((peer, cause), now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_warned_about_once_a_minute() {
        let start = Instant::now();
        let misdirected = Misdirected::default();
        let is_due = |last: u32, cause, seconds| {
            misdirected.is_due(
                IpAddr::from(last.to_be_bytes()),
                cause,
                start + Duration::from_secs(seconds),
            )
        };
        assert!(is_due(1, Cause::TlsToPlain, 0));
        assert!(!is_due(1, Cause::TlsToPlain, 59));
        assert!(is_due(1, Cause::PlainToTls, 59), "another mistake");
        assert!(is_due(2, Cause::TlsToPlain, 59), "another client");
        assert!(is_due(1, Cause::TlsToPlain, 60));
    }

    #[test]
    fn many_clients_take_bounded_memory() {
        let start = Instant::now();
        let misdirected = Misdirected::default();
        let warned = (0..5_000_u32)
            .filter(|peer| misdirected.is_due(IpAddr::from(peer.to_be_bytes()), Cause::TlsToPlain, start))
            .count();
        assert_eq!(warned, MAX_REMEMBERED);
        assert!(misdirected.is_due(IpAddr::from([9, 9, 9, 9]), Cause::TlsToPlain, start + PERIOD));
        assert_eq!(misdirected.0.lock().len(), 1);
    }
}
