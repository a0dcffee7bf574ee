//! Whom the admin side responds to. It shows no secret. But a web page could reach it under a name of its own (DNS
//! rebinding), so it responds only to IP literals, `localhost` and configured names.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::submission::{Host, host::is_own_origin};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whom the admin side responds to.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names it responds to, beside IP literals and `localhost`.
    pub hosts: Vec<String>,
}

/// Rejects requests that another web page may have caused.
pub async fn check_host(State(settings): State<Arc<Settings>>, request: Request, next: Next) -> Response {
    if is_own_request(request.headers(), &settings) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "the admin side responds only to IP addresses, localhost and the names in [admin] hosts\n",
        )
            .into_response()
    }
}

/// Whether no page of another site could have sent a request: no foreign Host, no foreign Origin, no cross-site fetch.
fn is_own_request(fields: &HeaderMap, settings: &Settings) -> bool {
    // Of two, another reader could use the other one.
    let field = |name: HeaderName| match fields.get_all(name).iter().collect::<Vec<_>>()[..] {
        [] => Some(None),
        [value] => value.to_str().ok().map(Some),
        [..] => None,
    };
    let Some(Some(host)) = field(header::HOST) else {
        return false;
    };
    // A page of any machine can have an address as its origin, so that alone does not do.
    let origin_is_ours = |origin: &str| is_own_origin(origin, Some(host), &settings.hosts);
    is_ours(host, settings)
        && field(header::ORIGIN).is_some_and(|origin| origin.is_none_or(origin_is_ours))
        && matches!(field(SEC_FETCH_SITE), Some(None | Some("same-origin" | "none")))
}

/// Whether an authority is one that it may be asked by: an address, or a name that is its own.
fn is_ours(authority: &str, settings: &Settings) -> bool {
    Host::of_authority(authority).is_some_and(|(host, _)| {
        matches!(host, Host::Address(_)) || host.is_loopback() || host.is_one_of(&settings.hosts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebinding_needs_a_name() {
        let settings = Settings {
            hosts: vec!["gateway.internal".into()],
        };
        for (host, served) in [
            ("127.0.0.1:6623", true),
            ("[::1]:6623", true),
            ("10.1.2.3", true),
            ("localhost:6623", true),
            ("gateway.internal:80", true),
            ("evil.example:6623", false),
            ("localhost.evil.example", false),
            ("127.0.0.1:6623.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_ours(host, &settings), served, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_machine_is_refused() {
        let settings = Settings::default();
        for (fields, served) in [
            (
                &[("host", "10.1.2.3:6623"), ("origin", "http://10.1.2.3:6623")][..],
                true,
            ),
            (&[("host", "10.1.2.3:6623"), ("origin", "http://localhost:3000")], true),
            (&[("host", "10.1.2.3:6623"), ("origin", "http://10.1.2.3:80")], false),
            (&[("host", "127.0.0.1:6623"), ("origin", "http://203.0.113.9")], false),
            (&[("host", "127.0.0.1:6623"), ("origin", "null")], false),
            (
                &[
                    ("host", "127.0.0.1:6623"),
                    ("origin", "http://localhost"),
                    ("origin", "http://localhost"),
                ],
                false,
            ),
            (&[("host", "127.0.0.1:6623"), ("host", "127.0.0.1:6623")], false),
            (&[("host", "127.0.0.1:6623"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://localhost")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_own_request(&map, &settings), served, "{fields:?}");
        }
    }
}
