//! The URLs that most clients send, read without the standard's parser, which takes several times as long.

use super::host::{MAX_HOST, MAX_LABEL};

/// The host and the path of a URL in which nothing has to be decoded, mapped or left out: `https://` or `http://`, a
/// lowercase host that is not an address, and a path of visible ASCII without escapes and dot segments. `None` for every other
/// text.
pub(super) fn read(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let end = end_of_plain_host(rest.as_bytes())?;
    let (host, rest) = rest.split_at(end);
    let mut previous = 0;
    let mut path = 0;
    for byte in rest.bytes() {
        match byte {
            b'?' | b'#' => break,
            b'%' | b'\\' => return None,
            b'.' if previous == b'/' => return None,
            b'!'..=b'~' => {}
            _ => return None,
        }
        previous = byte;
        path += 1;
    }
    let path = if path == 0 { "/" } else { &rest[..path] };
    Some((host, path))
}

/// Where a plain host ends that the text begins with: at the text's end, a path, a query or a fragment.
fn end_of_plain_host(text: &[u8]) -> Option<usize> {
    let (mut previous, mut label, mut end) = (b'.', 0, text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {}
            // Not at either end of a label, and no two: that could be punycode.
            b'-' if previous.is_ascii_alphanumeric() => {}
            b'.' if previous.is_ascii_alphanumeric() && at - label <= MAX_LABEL => label = at + 1,
            b'/' | b'?' | b'#' => {
                end = at;
                break;
            }
            _ => return None,
        }
        previous = byte;
    }
    // A last label that begins with a digit can make it an address.
    let is_name = previous.is_ascii_alphanumeric() && text[label].is_ascii_lowercase();
    (is_name && end - label <= MAX_LABEL && end <= MAX_HOST).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::submission::Site;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What is read quickly is what the standard's parser reads.
        #[test]
        fn a_plain_site_is_read_as_every_other(
            scheme in "(https?|HTTPS|ftp)",
            host in "([a-z]{1,3}|[a-z0-9-]{0,4}|xn--|0x|[A-Z]|_|é|[a-z]{62,64}|([a-z]{50}\\.){4})(\\.([a-z]{1,3}|[a-z0-9-]{0,4}|0x1|1)){0,3}[.:@]?",
            rest in "([/?#]([a-z]|\\.|%2e|%|/|\\\\|@|:|é|[!-~]|;| |\t|\u{1}|\u{ad}){0,12})?",
        ) {
            let text = format!("{scheme}://{host}{rest}");
            prop_assert_eq!(Site::parse(&text), Site::parse_any(&text), "{:?}", text);
        }
    }

    #[test]
    fn what_most_clients_send_is_plain() {
        for (text, is_plain) in [
            ("https://www.a-b.example/login", true),
            ("http://a.example", true),
            ("https://a.example?x=%C3%A9 \t", true),
            ("https://a.example/a//b@c;d/e.php#x", true),
            ("https://a.example:8080/", false),
            ("https://A.example/", false),
            ("https://a.example./", false),
            ("https://192.0.2.1/", false),
            ("https://a.example/%61", false),
            ("https://a.example/.", false),
            ("a.example", false),
        ] {
            assert_eq!(read(text).is_some(), is_plain, "{text}");
        }
    }
}
