//! Which request targets are served. This is a gateway to one API, not an open proxy: a target that names a host has to
//! name the upstream or the gateway itself (RFC 9112, section 3.2.2), and only the proxy's listener serves CONNECT, for
//! the upstream's names. The Host field is never judged, but in a tunnel: clients that speak to a 2captcha address send
//! that name on purpose.

use http::{HeaderMap, Method, StatusCode, header, request::Parts, uri::Authority};

use super::{Settings, error_response::ErrorResponse};
use crate::{
    observe::Cause,
    server::{Entrance, Tunnel, Way},
    submission::Host,
    upstream::Origin,
};

/// The hosts that a request may name.
#[derive(Clone, Debug)]
pub struct Names {
    /// The upstream's, each with its port.
    upstream: Vec<(Host, u16)>,
    /// Further names of the gateway's own, on any port.
    own: Vec<String>,
    /// Further names that the proxy stands for.
    proxied: Vec<String>,
}

impl Names {
    pub fn new<'o>(upstream: impl Iterator<Item = &'o Origin>, settings: &Settings) -> Self {
        Self {
            upstream: upstream.map(|origin| (origin.host().clone(), origin.port())).collect(),
            own: [&settings.names[..], &settings.hosts_file_names].concat(),
            proxied: settings.proxy_names.clone(),
        }
    }

    /// Whether an authority is that of the upstream, of one of its names and a port on which it could be reached.
    fn is_upstream(&self, host: &Host, port: Option<u16>) -> bool {
        let mut upstream = self.upstream.iter();
        upstream.any(|(name, of_name)| name == host && port.is_none_or(|port| [80, 443, *of_name].contains(&port)))
    }

    /// Whether a proxy's client may name an authority.
    fn is_proxied(&self, authority: &Authority) -> bool {
        Host::of_authority(authority.as_str()).is_some_and(|(host, port)| {
            let is_usual = port.is_none_or(|port| [80, 443].contains(&port));
            self.is_upstream(&host, port) || is_usual && host.is_one_of(&self.proxied)
        })
    }

    /// Whether an absolute-form target names the upstream or the gateway itself.
    fn is_served(&self, authority: &Authority, entrance: Option<&Entrance>) -> bool {
        Host::of_authority(authority.as_str()).is_some_and(|(host, port)| {
            let is_local = entrance.is_some_and(|Entrance { local, .. }| {
                port.unwrap_or(80) == local.port() && (host.is_loopback() || host == Host::Address(local.ip()))
            });
            is_local || self.is_upstream(&host, port) || host.is_one_of(&self.own)
        })
    }
}

/// Refuses a request that is not for the API.
pub fn check(head: &Parts, has_no_body: bool, entrance: Option<&Entrance>, names: &Names) -> Result<(), ErrorResponse> {
    let authority = head.uri.authority();
    let is_connect = head.method == Method::CONNECT;
    match entrance.map_or(&Way::Direct, |entrance| &entrance.way) {
        Way::Direct if is_connect => Err(refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "this listener is not a proxy: only that of [server.proxy] serves CONNECT; or give your client this address instead of the API's",
        )),
        Way::Direct => match authority {
            Some(authority) if !names.is_served(authority, entrance) => Err(refused(
                StatusCode::MISDIRECTED_REQUEST,
                "this is a gateway to one API, not a proxy: the request is for another host ([server] names adds a name)",
            )),
            _ => Ok(()),
        },
        Way::WithoutTls => Err(ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "ERROR_GATEWAY_WITHOUT_TLS",
            Cause::PlainToTls,
            "this port speaks TLS: give your client the address with https:// instead of http://, or the port of [server] listen",
        )),
        Way::Proxy if is_connect && !has_no_body => Err(ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "ERROR_GATEWAY_MALFORMED",
            Cause::Malformed,
            "CONNECT has no content (RFC 9110, section 9.3.6)",
        )),
        Way::Proxy => match authority {
            // The target of CONNECT is host and port alone (RFC 9112, section 3.2.3).
            Some(authority) if names.is_proxied(authority) && !(is_connect && head.uri.scheme().is_some()) => Ok(()),
            Some(_) => Err(refused(
                StatusCode::FORBIDDEN,
                "this proxy serves the upstream's names alone, on ports 80 and 443: use it for the API's client only ([server.proxy] names adds a name)",
            )),
            None => Err(refused(
                StatusCode::MISDIRECTED_REQUEST,
                "this is the port of the proxy: give it to your client as its HTTPS_PROXY, or the port of [server] listen as the API's address",
            )),
        },
        Way::Tunnel(_) if is_connect => Err(refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "CONNECT is not served in a tunnel",
        )),
        Way::Tunnel(tunnel) => match is_consistent(tunnel, authority, &head.headers) {
            true => Ok(()),
            false => Err(refused(
                StatusCode::MISDIRECTED_REQUEST,
                "the host of this request, the name in its TLS handshake and the host that CONNECT named are not the same",
            )),
        },
    }
}

fn refused(status: StatusCode, description: &str) -> ErrorResponse {
    ErrorResponse::new(status, "ERROR_GATEWAY_NOT_A_PROXY", Cause::NotAProxy, description)
}

/// Whether whatever names a host in a tunnel names the one that CONNECT named. Ports are not compared: clients leave out
/// the usual ones.
fn is_consistent(tunnel: &Tunnel, authority: Option<&Authority>, fields: &HeaderMap) -> bool {
    let host = |authority: &str| Host::of_authority(authority).map(|(host, _)| host);
    let Some(connected) = host(&tunnel.authority) else {
        return false;
    };
    let of_field = fields.get(header::HOST).map(|field| field.to_str().unwrap_or_default());
    let named = [
        tunnel.server_name.as_deref(),
        authority.map(Authority::as_str),
        of_field,
    ];
    named
        .into_iter()
        .flatten()
        .all(|named| host(named).as_ref() == Some(&connected))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn names() -> Names {
        let upstream = [
            Origin::vendor(),
            "https://ru.api.capmonster.cloud:8443".parse().unwrap(),
        ];
        let settings = Settings {
            names: vec!["gate.internal".into()],
            hosts_file_names: vec!["rucaptcha.com".into()],
            proxy_names: vec!["2captcha.com".into()],
            ..Settings::default()
        };
        Names::new(upstream.iter(), &settings)
    }

    fn entrance(way: Way) -> Entrance {
        Entrance {
            local: "192.0.2.7:6622".parse().unwrap(),
            peer: "127.0.0.1:1".parse().unwrap(),
            way,
        }
    }

    /// What is served without and with the listener of the proxy.
    #[test]
    fn only_the_upstream_and_the_gateway_itself_are_served() {
        for (authority, direct, proxied) in [
            ("api.capmonster.cloud", true, true),
            ("API.capmonster.cloud.:80", true, true),
            ("api.capmonster.cloud:443", true, true),
            ("api.capmonster.cloud:", true, true),
            ("api.capmonster.cloud:8080", false, false),
            ("api.capmonster.cloud:8443", false, false),
            ("ru.api.capmonster.cloud:8443", true, true),
            ("ru.api.capmonster.cloud:443", true, true),
            ("de.api.capmonster.cloud:443", false, false),
            ("capmonster.cloud:443", false, false),
            ("api.capmonster.cloud.evil.example:443", false, false),
            ("2captcha.com:443", false, true),
            ("2captcha.com:22", false, false),
            ("localhost:6622", true, false),
            ("127.0.0.1:6622", true, false),
            ("[::1]:6622", true, false),
            ("[::ffff:192.0.2.7]:6622", true, false),
            ("192.0.2.7:6622", true, false),
            ("192.0.2.8:6622", false, false),
            ("localhost:22", false, false),
            ("localhost", false, false),
            ("gate.internal", true, false),
            ("gate.internal:443", true, false),
            ("rucaptcha.com", true, false),
            ("evil.example:443", false, false),
            ("[2001:db8::1]:443", false, false),
            ("169.254.169.254:80", false, false),
            ("user@api.capmonster.cloud", false, false),
            ("user:pw@api.capmonster.cloud:443", false, false),
            ("evil.example@api.capmonster.cloud:443", false, false),
            ("127.0.0.1:6622.evil.example", false, false),
            ("api.capmonster.cloud:+443", false, false),
            ("gate.internal:99999", false, false),
        ] {
            // The HTTP library refuses what is not an authority.
            let Ok(authority) = authority.parse::<Authority>() else {
                assert!(!direct && !proxied, "{authority}");
                continue;
            };
            let is_served = names().is_served(&authority, Some(&entrance(Way::Direct)));
            assert_eq!(
                (is_served, names().is_proxied(&authority)),
                (direct, proxied),
                "{authority}"
            );
        }
    }

    #[test]
    fn in_a_tunnel_every_name_of_a_host_is_the_one_that_connect_named() {
        for (connected, server_name, target, host, expected) in [
            ("a.example:443", Some("a.example"), "/", Some("a.example"), true),
            ("A.example:443", Some("a.example"), "/", Some("a.example:443"), true),
            ("a.example:443", None, "/", Some("a.example"), true),
            ("a.example:443", Some("a.example"), "/", None, true),
            (
                "a.example:443",
                Some("a.example"),
                "https://a.example/",
                Some("a.example"),
                true,
            ),
            ("a.example:443", Some("b.example"), "/", Some("a.example"), false),
            ("a.example:443", Some("a.example"), "/", Some("b.example"), false),
            ("a.example:443", Some("b.example"), "/", Some("b.example"), false),
            (
                "a.example:443",
                Some("a.example"),
                "https://b.example/",
                Some("a.example"),
                false,
            ),
            ("a.example:443", Some("a.example"), "/", Some("x@a.example"), false),
            ("a.example:443", Some("a.example"), "/", Some(""), false),
            ("a.example:443", Some("a.example"), "/", Some("a.example\u{e9}"), false),
        ] {
            let tunnel = Tunnel {
                authority: connected.into(),
                server_name: server_name.map(Into::into),
            };
            let mut request = Request::builder().uri(target);
            if let Some(host) = host {
                request = request.header(header::HOST, host.as_bytes());
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let way = Way::Tunnel(tunnel.into());
            let served = check(&head, true, Some(&entrance(way)), &names()).is_ok();
            assert_eq!(served, expected, "{connected} {server_name:?} {target} {host:?}");
        }
    }
}
