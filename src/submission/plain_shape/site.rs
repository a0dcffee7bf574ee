//! The site: `http://`, `https://`, `//` or a bare host, and a host that every reader reads alike.

use icu_normalizer::uts46::Uts46MapperBorrowed;

use super::{Doubt, skeleton::is_invisible};

/// Characters that the two versions of IDNA map differently (UTS 46, section 7, deviation characters).
const DEVIATIONS: [char; 4] = ['ß', 'ς', '\u{200c}', '\u{200d}'];

/// Refuses a URL that readers understand differently. It is one that could be read.
pub fn check(url: &str) -> Result<(), Doubt> {
    let url = url.trim_matches(' ');
    let after = |prefix: &str| {
        let (start, rest) = url.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    let rest = ["http://", "https://", "//"].into_iter().find_map(after).unwrap_or(url);
    if rest.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(Doubt::Site("the site has a backslash or a control character"));
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let mut parts = authority.split('@');
    let host = parts.next_back().unwrap_or_default();
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_address = host.starts_with('[') && host.ends_with(']');
    if parts.count() > 1 || !is_port || host.is_empty() || host.contains(':') && !is_address {
        return Err(Doubt::Site(
            "the site is not http://, https:// or // and a host, or a host alone",
        ));
    }
    is_plain_host(host)
        .then_some(())
        .ok_or(Doubt::Site("the site's host is not in its plain form"))
}

/// Whether a host is ASCII without escapes, or keeps as it is by UTS 46 (but for the case of ASCII).
fn is_plain_host(host: &str) -> bool {
    if host.contains('%') {
        return false;
    }
    host.is_ascii() || {
        let host = host.to_ascii_lowercase();
        let is_kept = Uts46MapperBorrowed::new().map_normalize(host.chars()).eq(host.chars());
        is_kept && !host.contains(|c| DEVIATIONS.contains(&c) || is_invisible(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_spellings_of_a_site_pass() {
        for (url, is_fine) in [
            ("https://a.example/x?y=//z@w#v", true),
            ("HTTP://A.EXAMPLE:8080", true),
            ("//a.example", true),
            ("a.example:80/x", true),
            ("https://user:pass@a.example/", true),
            ("https://[::1]:80/", true),
            ("[::1]", true),
            ("https://bücher.example/путь", true),
            ("https://Bücher.example/", true),
            ("https://пример.испытание/путь?ключ=значение", true),
            ("https://xn--bcher-kva.example", true),
            ("https://例え.テスト/", true),
            (" https://a.example ", true),
            ("https:/a.example", false),
            ("https:a.example", false),
            ("https:///a.example", false),
            ("\\\\a.example", false),
            ("https://a.example\\b", false),
            ("https://a.example/\u{1}", false),
            ("https://a@b@c.example", false),
            ("https://%61.example", false),
            ("https://a.example:80:80", false),
            ("https://fußball.example", false),
            ("https://ＡＢ.example", false),
            ("https://a。example", false),
            ("https://\u{200b}a.example", false),
            ("https://BÜCHER.example", false),
        ] {
            assert_eq!(check(url).is_ok(), is_fine, "{url}");
        }
    }
}
