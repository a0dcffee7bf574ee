//! Which request targets are served. This is a gateway to one API, not an open proxy: an absolute-form target (RFC 9112,
//! section 3.2.2) has to name the upstream or the gateway itself, and CONNECT is refused. The Host field is never judged:
//! clients that speak to a 2captcha address send that name on purpose.

use axum::extract::Request;
use http::{Method, StatusCode, uri::Authority};

use super::error_response::ErrorResponse;
use crate::{observe::Cause, server::LocalAddress, submission::Host, upstream::Origin};

/// Refuses a request that asks for a proxy.
pub fn check(
    request: &Request,
    upstream: &Origin,
    local: Option<LocalAddress>,
    names: &[String],
) -> Result<(), ErrorResponse> {
    if request.method() == Method::CONNECT {
        return Err(ErrorResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "ERROR_GATEWAY_NOT_A_PROXY",
            Cause::NotAProxy,
            "CONNECT is not served: this is a gateway, not a proxy; give your client its address instead of the API's",
        ));
    }
    match request.uri().authority() {
        Some(authority) if !is_ours(authority, upstream, local, names) => Err(ErrorResponse::new(
            StatusCode::MISDIRECTED_REQUEST,
            "ERROR_GATEWAY_NOT_A_PROXY",
            Cause::NotAProxy,
            "this is a gateway to one API, not a proxy: the request is for another host ([server] names adds a name)",
        )),
        _ => Ok(()),
    }
}

fn is_ours(authority: &Authority, upstream: &Origin, local: Option<LocalAddress>, names: &[String]) -> bool {
    let Some((host, port)) = Host::of_authority(authority.as_str()) else {
        return false;
    };
    let is_upstream = host == *upstream.host() && port.is_none_or(|port| [80, 443, upstream.port()].contains(&port));
    let is_local = local.is_some_and(|LocalAddress(local)| {
        port.unwrap_or(80) == local.port() && (host.is_loopback() || host == Host::Address(local.ip()))
    });
    is_upstream || is_local || host.is_one_of(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_upstream_and_the_gateway_itself_are_served() {
        let upstream = "https://api.capmonster.cloud".parse().unwrap();
        let local = Some(LocalAddress("192.0.2.7:6622".parse().unwrap()));
        for (authority, served) in [
            ("api.capmonster.cloud", true),
            ("API.capmonster.cloud:80", true),
            ("api.capmonster.cloud:443", true),
            ("api.capmonster.cloud:8080", false),
            ("localhost:6622", true),
            ("127.0.0.1:6622", true),
            ("[::1]:6622", true),
            ("192.0.2.7:6622", true),
            ("192.0.2.8:6622", false),
            ("localhost:22", false),
            ("localhost", false),
            ("gate.internal", true),
            ("evil.example", false),
            ("user@api.capmonster.cloud", false),
            ("127.0.0.1:6622.evil.example", false),
            ("api.capmonster.cloud:+443", false),
            ("gate.internal:99999", false),
        ] {
            let authority: Authority = authority.parse().unwrap();
            assert_eq!(
                is_ours(&authority, &upstream, local, &["gate.internal".into()]),
                served,
                "{authority}"
            );
        }
    }
}
