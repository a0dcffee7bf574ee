//! Header fields on their way through: hop-by-hop fields end here (RFC 9110, section 7.6.1), Host becomes the upstream's,
//! and everything else keeps its order and value. Most maps are edited in place; one from which more than a Connection goes
//! is rebuilt, because removing changes the order.
//! (Names keep their spelling by hyper's `preserve_header_case`, through the extensions of request and response.)

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use super::Response;

/// The field that tells a client what happened to its submission.
pub const DECISION: HeaderName = HeaderName::from_static("x-nocache-gateway");

/// How a request's body is framed towards the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As received.
    AsSent,
    /// Held in memory: this many bytes, which are the client's own.
    Buffered(usize),
    /// Held in memory and edited.
    Edited {
        length: usize,
        /// Whether it had a content coding, which it has no longer.
        was_coded: bool,
    },
}

/// Fields that describe the client's bytes, which an edited body no longer has.
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
];

/// A request's fields as the upstream gets them.
pub fn upstream_fields(mut fields: HeaderMap, host: &HeaderValue, framing: Framing) -> HeaderMap {
    let is_kept = |name: &HeaderName| !is_dropped(name, framing) && !is_hop_by_hop(name, &[]);
    let is_in_place = keep_in_place(&mut fields, is_kept);
    match fields.get_mut(header::HOST) {
        Some(sent) if is_in_place => sent.clone_from(host),
        _ => return rebuilt_for_upstream(fields, host, framing),
    }
    if let (Framing::Buffered(length) | Framing::Edited { length, .. }, Some(value)) =
        (framing, fields.get_mut(header::CONTENT_LENGTH))
    {
        *value = length.into();
    }
    fields
}

/// Keeps what is kept, in its order, if that can be done in place: where no name comes twice, and no field goes but a
/// Connection that names no others.
fn keep_in_place(fields: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) -> bool {
    if fields.len() != fields.keys_len() {
        return false;
    }
    let mut gone = fields.keys().filter(|name| !is_kept(name));
    match (gone.next(), gone.next()) {
        (None, _) => true,
        (Some(&header::CONNECTION), None) if names_no_field(fields) => {
            remove_in_order(fields, &header::CONNECTION);
            true
        }
        _ => false,
    }
}

/// Whether a Connection field, of which there is one, lists no names of fields.
fn names_no_field(fields: &HeaderMap) -> bool {
    let value = fields.get(header::CONNECTION).map(HeaderValue::as_bytes);
    // Most say this, and nothing else.
    value.is_some_and(|value| value.eq_ignore_ascii_case(b"keep-alive")) || connection_options(fields).is_empty()
}

/// Removes a field of which there is one. A map puts its last field into the place of one that is removed: all but the next
/// field behind it are taken out before, the last one first, and put back. So it is the next one that takes its place.
fn remove_in_order(fields: &mut HeaderMap, name: &HeaderName) {
    let behind: SmallVec<[HeaderName; 8]> = fields.keys().skip_while(|key| *key != name).skip(2).cloned().collect();
    let taken: SmallVec<[_; 8]> = behind.iter().rev().map(|name| fields.remove(name)).collect();
    fields.remove(name);
    for (name, value) in behind.into_iter().zip(taken.into_iter().rev()) {
        if let Some(value) = value {
            fields.append(name, value);
        }
    }
}

fn rebuilt_for_upstream(fields: HeaderMap, host: &HeaderValue, framing: Framing) -> HeaderMap {
    let mut forwarded = HeaderMap::with_capacity(fields.len() + 1);
    if !fields.contains_key(header::HOST) {
        forwarded.append(header::HOST, host.clone());
    }
    let is_chunked = fields.contains_key(header::TRANSFER_ENCODING);
    let length = match framing {
        Framing::AsSent => None,
        Framing::Buffered(length) | Framing::Edited { length, .. } => Some(HeaderValue::from(length)),
    };
    let connection = connection_options(&fields);
    for_each(fields, |name, value, is_first| {
        if name == header::HOST {
            if is_first {
                forwarded.append(name, host.clone());
            }
        } else if name == header::TRANSFER_ENCODING || name == header::CONTENT_LENGTH && !is_chunked {
            // The new framing takes the place of the client's.
            match &length {
                Some(length) => drop(forwarded.insert(header::CONTENT_LENGTH, length.clone())),
                None if is_chunked => drop(forwarded.insert(name, HeaderValue::from_static("chunked"))),
                None => drop(forwarded.append(name, value)),
            }
        } else if !is_dropped(&name, framing) && !is_hop_by_hop(&name, &connection) && name != header::CONTENT_LENGTH {
            forwarded.append(name, value);
        }
    });
    forwarded
}

/// Calls a function with each field, and whether it is the first of its name.
fn for_each(fields: HeaderMap, mut call: impl FnMut(HeaderName, HeaderValue, bool)) {
    let mut latest = None;
    for (name, value) in fields {
        // Further fields of a name come without it.
        let is_first = name.is_some();
        if is_first {
            latest = name;
        }
        if let Some(name) = &latest {
            call(name.clone(), value, is_first);
        }
    }
}

fn is_dropped(name: &HeaderName, framing: Framing) -> bool {
    *name == DECISION
        || match framing {
            Framing::AsSent => false,
            // A held body gets a Content-Length, and so has no trailers.
            _ if name == header::TRAILER => true,
            Framing::Buffered(_) => false,
            Framing::Edited { was_coded, .. } => {
                DIGESTS.contains(name) || was_coded && name == header::CONTENT_ENCODING
            }
        }
}

/// A response's fields as the client gets them. On a submission, `decision` replaces an upstream's field of that name.
pub fn client_fields(mut fields: HeaderMap, is_submission: bool, decision: Option<HeaderValue>) -> HeaderMap {
    let is_kept = |name: &HeaderName| !(is_submission && *name == DECISION || is_hop_by_hop(name, &[]));
    let has_plain_length = fields.get(header::CONTENT_LENGTH).is_none_or(is_plain_length);
    if !(has_plain_length && keep_in_place(&mut fields, is_kept)) {
        fields = rebuilt_for_client(fields, is_submission);
    }
    if let Some(decision) = decision {
        fields.append(DECISION, decision);
    }
    fields
}

fn rebuilt_for_client(fields: HeaderMap, is_submission: bool) -> HeaderMap {
    let connection = connection_options(&fields);
    let mut forwarded = HeaderMap::with_capacity(fields.len() + 1);
    // With both Transfer-Encoding and Content-Length, Transfer-Encoding wins (RFC 9112, section 6.3). It is hop-by-hop, so
    // it is dropped, and so is the length, which does not describe this body.
    let is_chunked = fields.contains_key(header::TRANSFER_ENCODING);
    for_each(fields, |name, value, _| {
        if name == header::CONTENT_LENGTH {
            // Where it counts, hyper has seen that all values agree. It would not write them as they came.
            if let Some(length) = length(&value).filter(|_| !is_chunked) {
                forwarded.insert(name, length.into());
            }
        } else if !(is_submission && name == DECISION || is_hop_by_hop(&name, &connection)) {
            forwarded.append(name, value);
        }
    });
    forwarded
}

/// Whether a Content-Length is written as [`length`] would be.
fn is_plain_length(value: &HeaderValue) -> bool {
    match value.as_bytes() {
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        bytes => bytes == b"0",
    }
}

/// The length that a Content-Length field says, perhaps several times (RFC 9110, section 8.6).
fn length(value: &HeaderValue) -> Option<u64> {
    let first = value.to_str().ok()?.split(',').next()?.trim();
    let is_number = first.bytes().all(|byte| byte.is_ascii_digit());
    first.parse().ok().filter(|_| is_number)
}

/// Adds the decision to a response of the gateway's own.
pub fn with_decision(mut response: Response, decision: Option<HeaderValue>) -> Response {
    if let Some(decision) = decision {
        response.headers_mut().insert(DECISION, decision);
    }
    response
}

/// The names of fields that the Connection field lists. (`close` and `keep-alive` are none that need to be looked for.)
fn connection_options(fields: &HeaderMap) -> Vec<HeaderName> {
    fields
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive") && !name.eq_ignore_ascii_case(b"close"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

fn is_hop_by_hop(name: &HeaderName, connection: &[HeaderName]) -> bool {
    const ALWAYS: [HeaderName; 7] = [
        header::CONNECTION,
        // Meant for the first proxy that asks for it (RFC 9110, section 11.7.2), and a secret.
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    // A Connection field cannot take away a field that the request depends on.
    const NEVER: [HeaderName; 4] = [
        header::HOST,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
    ];
    ALWAYS.contains(name) || connection.contains(name) && !NEVER.contains(name)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn fields(list: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        map
    }

    fn upstream(list: &[(&str, &str)], framing: Framing) -> Vec<(String, String)> {
        let host = HeaderValue::from_static("api.example");
        upstream_fields(fields(list), &host, framing)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    fn owned(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn only_what_has_to_change_changes() {
        let sent = [
            ("accept", "*/*"),
            ("host", "2captcha.com"),
            ("connection", "keep-alive, x-hop, Content-Length"),
            ("x-hop", "1"),
            ("content-length", "10"),
            ("x-nocache-gateway", "forged"),
            ("content-md5", "abc"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic c2VjcmV0"),
            ("x-last", "b"),
            ("x-last", "a"),
        ];
        let kept = |length, md5: bool| {
            let mut kept = vec![("accept", "*/*"), ("host", "api.example"), ("content-length", length)];
            kept.extend(md5.then_some(("content-md5", "abc")));
            kept.extend([("x-last", "b"), ("x-last", "a")]);
            owned(&kept)
        };
        assert_eq!(upstream(&sent, Framing::AsSent), kept("10", true));
        assert_eq!(upstream(&sent, Framing::Buffered(10)), kept("10", true));
        assert_eq!(
            upstream(
                &sent,
                Framing::Edited {
                    length: 25,
                    was_coded: false
                }
            ),
            kept("25", false)
        );
    }

    #[test]
    fn chunked_bodies_get_one_framing() {
        let sent = [("transfer-encoding", "chunked"), ("a", "b"), ("content-length", "3")];
        let streamed = owned(&[("host", "api.example"), ("transfer-encoding", "chunked"), ("a", "b")]);
        assert_eq!(upstream(&sent, Framing::AsSent), streamed);
        let buffered = owned(&[("host", "api.example"), ("content-length", "7"), ("a", "b")]);
        assert_eq!(upstream(&sent, Framing::Buffered(7)), buffered);
        // Trailers go where chunks go.
        let sent = [&sent[..], &[("trailer", "x-sum")]].concat();
        let streamed = [streamed, owned(&[("trailer", "x-sum")])].concat();
        assert_eq!(upstream(&sent, Framing::AsSent), streamed);
        assert_eq!(upstream(&sent, Framing::Buffered(7)), buffered);
    }

    /// A map with some of the fields that matter here, and some that do not.
    fn any_fields() -> impl Strategy<Value = HeaderMap> {
        let names = "host|connection|content-length|transfer-encoding|trailer|te|content-md5|content-encoding|x-nocache-gateway|x-a|x-b";
        let values = "[0-9]{1,3}|keep-alive|x-a|chunked|0|007|5, 5|18446744073709551615|999999999999999999";
        vec((names, values), 0..8).prop_map(|list| {
            let list: Vec<(&str, &str)> = list.iter().map(|(name, value)| (&**name, &**value)).collect();
            fields(&list)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn in_place_or_rebuilt_is_the_same(
            fields in any_fields(),
            framing in prop_oneof![
                Just(Framing::AsSent),
                (0..1000_usize).prop_map(Framing::Buffered),
                (0..1000_usize, any::<bool>()).prop_map(|(length, was_coded)| Framing::Edited { length, was_coded }),
            ],
            is_submission: bool,
        ) {
            let list = |fields: HeaderMap| fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
            let host = HeaderValue::from_static("api.example");
            prop_assert_eq!(
                list(upstream_fields(fields.clone(), &host, framing)),
                list(rebuilt_for_upstream(fields.clone(), &host, framing))
            );
            prop_assert_eq!(
                list(client_fields(fields.clone(), is_submission, None)),
                list(rebuilt_for_client(fields, is_submission))
            );
        }
    }
}
