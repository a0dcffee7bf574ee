//! Requests that a browser sends for a page of another site: such a page could create tasks with a key of its own, and learn
//! from the time that a response takes which sites are denied.

use http::{HeaderMap, HeaderName, header};

use crate::submission::host::is_own_origin;

/// What happens to requests that a browser marks as another site's. The browser builds of the vendor's SDK send such, so they
/// are served unless the configuration says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum CrossSite {
    /// They are served like any other.
    #[default]
    Allow,
    /// They are refused.
    Deny,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request was sent for a page of another site, as far as its fields say: `Sec-Fetch-Site` (W3C Fetch Metadata), and
/// an `Origin` (RFC 6454, section 7) that is not the gateway's own. Other clients than browsers send neither.
pub fn is_cross_site(fields: &HeaderMap, names: &[String]) -> bool {
    let is_foreign_fetch = |value: &[u8]| value.eq_ignore_ascii_case(b"cross-site");
    let host = fields.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_foreign_origin =
        |origin: &[u8]| !str::from_utf8(origin).is_ok_and(|origin| is_own_origin(origin, host, names));
    let any = |name, is_foreign: &dyn Fn(&[u8]) -> bool| {
        let mut values = fields.get_all(name).iter();
        values.any(|value| is_foreign(value.as_bytes()))
    };
    any(SEC_FETCH_SITE, &is_foreign_fetch) || any(header::ORIGIN, &is_foreign_origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_by_their_fields() {
        let names = ["gateway.internal".to_owned()];
        for (site, origin, expected) in [
            (None, None, false),
            (Some("none"), None, false),
            (Some("same-origin"), None, false),
            (Some("same-site"), Some("http://localhost:3000"), false),
            (Some("cross-site"), None, true),
            (Some("Cross-Site"), Some("http://localhost"), true),
            (None, Some("http://127.0.0.1:8080"), false),
            (None, Some("http://10.1.2.3:6622"), false),
            (None, Some("http://10.1.2.3:80"), true),
            (None, Some("https://gateway.internal"), false),
            (None, Some("https://evil.example"), true),
            (None, Some("null"), true),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::HOST, "10.1.2.3:6622".parse().unwrap());
            let values = [(SEC_FETCH_SITE, site), (header::ORIGIN, origin)];
            for (name, value) in values {
                fields.extend(value.map(|value| (name, value.parse().unwrap())));
            }
            assert_eq!(is_cross_site(&fields, &names), expected, "{site:?} {origin:?}");
        }
    }
}
