//! Masks secrets in texts that are shown: configurations, messages, arguments. A secret is known by where it is: in a URL
//! in front of an `@` or behind a `?`, or behind a name such as `api_key`. What is masked keeps its length, so that places
//! in the text stay valid.

use std::ops::Range;

use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Words that tell of a secret.
const WORDS: [&str; 8] = ["key", "pass", "cookie", "token", "auth", "proxy", "login", "secret"];

/// Whether a value of this name may be a secret: the name contains one of the words, in any ASCII case.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A text with asterisks for secrets, as long as it was.
pub fn mask(text: &str) -> String {
    masked(text, ranges(text))
}

/// The same for a text that is one value, such as an argument: white space and quotes do not end a URL in it.
pub fn mask_value(text: &str) -> String {
    masked(text, ranges_of_value(text))
}

/// The ranges of secrets in a text that is one value.
pub fn ranges_of_value(text: &str) -> Vec<Range<usize>> {
    let mut found = ranges(text);
    in_token(text, 0, &mut found);
    found
}

/// A configuration file with asterisks for secrets, as long as it was.
pub fn mask_toml(text: &str) -> String {
    let mut found = ranges(text);
    let (root, _) = DeTable::parse_recoverable(text);
    for (name, value) in root.get_ref() {
        in_value(text, is_secret(name.get_ref()), value, &mut found);
    }
    masked(text, found)
}

/// Masks the secrets in a JSON value.
pub fn mask_json(value: &mut Json) {
    match value {
        Json::String(text) => *text = mask(text),
        Json::Array(values) => values.iter_mut().for_each(mask_json),
        Json::Object(members) => members.values_mut().for_each(mask_json),
        _ => {}
    }
}

/// A text with asterisks for some ranges. Line ends stay.
pub fn masked(text: &str, ranges: Vec<Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_owned();
    for range in ranges {
        for byte in bytes[range].iter_mut().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
            *byte = b'*';
        }
    }
    // The ranges end between characters, so this is UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The ranges of secrets in a text.
pub fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // A value can go on in the next lines: it ends where the next name or table begins.
    let mut goes_on = false;
    let mut in_table = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(table) = header(line) {
            in_table = is_secret(table);
            goes_on = false;
        } else if let Some((name, _)) = line.split_once('=').filter(|(name, _)| is_name(name)) {
            goes_on = is_secret(name) || in_table;
            if goes_on {
                found.push(at + name.len() + 1..at + line.len());
            }
        } else if goes_on {
            found.push(at..at + line.len());
        }
        if let Some(value) = named_value(line) {
            found.push(at + value..at + line.len());
        }
        at += line.len();
    }
    for token in text.split(ends_token).filter(|token| !token.is_empty()) {
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        in_token(token, start, &mut found);
    }
    found
}

/// The name in a line that begins a table.
fn header(line: &str) -> Option<&str> {
    let line = line.split('#').next()?.trim();
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    Some(name.trim_start_matches('[').trim_end_matches(']')).filter(|name| is_name(name))
}

/// Whether a text can be the name in front of a `=`.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    let is_plain = |c: char| c.is_alphanumeric() || "._-\"' ".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

/// Where the value of the first secret name in a line begins: `api_key=…`, `"token": …`, also in the middle of the line.
fn named_value(line: &str) -> Option<usize> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut separators = line.match_indices(['=', ':']);
    let found = separators.find(|(at, _)| {
        let before = line[..*at].trim_end_matches(['"', '\'', ' ', '\\']);
        let name = before.rsplit(|c| !is_of_name(c)).next().unwrap_or_default();
        is_secret(name) && !is_host_with_port(&before[..before.len() - name.len()], &line[at + 1..])
    });
    found.map(|(at, _)| at + 1)
}

/// Whether the colon between these two belongs to a URL's host and port: `http://proxy:3128`.
fn is_host_with_port(before: &str, after: &str) -> bool {
    let port = after.bytes().take_while(u8::is_ascii_digit).count();
    let is_port =
        (1..=5).contains(&port) && !after[port..].starts_with(|c: char| c.is_alphanumeric() || "_-@".contains(c));
    let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "-.".contains(c));
    is_port && (before.ends_with("://") || before.ends_with('@'))
}

fn ends_token(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`')
}

/// What is secret in a text without white space: in a URL, or in what could be one.
fn in_token(token: &str, start: usize, found: &mut Vec<Range<usize>>) {
    let (last_at, last_query) = (token.rfind('@'), token.rfind(['?', '#']));
    let mut from = 0;
    loop {
        let scheme = token[from..].find("://");
        let authority = scheme.map_or(from, |at| from + at + 3);
        let rest = &token[authority..];
        let path = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        // With a colon in front, what looks like a path can be the rest of a password.
        let userinfo = match rest[..path].rfind('@') {
            Some(end) => Some(end),
            None if rest[..path].contains(':') => last_at.and_then(|at| at.checked_sub(authority)),
            None => None,
        };
        found.extend(userinfo.map(|end| start + authority..start + authority + end));
        let path = path.max(userinfo.unwrap_or(0));
        let is_query = |c: char| c == '?' || (c == '#' && scheme.is_some());
        let rest = match last_query {
            Some(last) if last >= authority + path => &rest[path..],
            _ => "",
        };
        if let Some(query) = rest.find(is_query) {
            found.push(start + authority + path + query + 1..start + token.len());
            return;
        }
        from = authority + userinfo.unwrap_or(0);
        if !token[from..].contains("://") {
            return;
        }
    }
}

/// What is secret in a TOML value: under a secret name everything; elsewhere what escapes, blanks and quotes hide from
/// [`ranges`].
fn in_value(text: &str, is_hidden: bool, value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(table) => {
            for (name, value) in table {
                in_value(text, is_hidden || is_secret(name.get_ref()), value, found);
            }
        }
        DeValue::Array(values) => values.iter().for_each(|value| in_value(text, is_hidden, value, found)),
        DeValue::String(string) if !is_hidden => {
            // A literal string has no escapes.
            let has_escapes = text[span.clone()].starts_with('"') && text[span.clone()].contains('\\');
            if has_escapes && mask_value(string) != **string {
                found.push(span);
            } else if let Some(inner) = text.get(span.start + 1..span.end.saturating_sub(1)) {
                in_token(inner, span.start + 1, found);
            }
        }
        _ if is_hidden => found.push(span),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_and_queries_are_masked_at_their_length() {
        for (text, shown) in [
            (
                "url = \"https://me:pw@x:8443/a@b\" # s@x",
                "url = \"https://*****@x:8443/a@b\" # *@x",
            ),
            ("http://ü@x http://a.example", "http://**@x http://a.example"),
            ("'http://a@b@c' ://", "'http://***@c' ://"),
            ("http://me:a/b@x", "http://******@x"),
            ("me:pw@x.example", "*****@x.example"),
            ("https://a.example/?k=v#f", "https://a.example/?*****"),
            ("https://a.example/#f", "https://a.example/#*"),
            ("http://a@x,http://b@y", "http://*@x,http://*@y"),
            ("a.example/x?k", "a.example/x?*"),
            ("medium.com/@name", "medium.com/@name"),
            ("https://x/a@b?k", "https://x/a@b?*"),
            ("did you mean \"x\"?", "did you mean \"x\"?"),
        ] {
            assert_eq!(mask(text), shown);
            assert_eq!(mask(text).len(), text.len());
        }
    }

    #[test]
    fn values_of_secret_names_are_masked_at_their_length() {
        for (text, shown) in [
            ("api_key = \"a\"\nurl = \"b\"", "api_key =****\nurl = \"b\""),
            ("api-Token=a", "api-Token=*"),
            ("a http://my.proxy:3128, b", "a http://my.proxy:3128, b"),
            ("http://***@proxy:80", "http://***@proxy:80"),
            ("http://pass:1234@x", "http://***********"),
            ("http://token:1234567", "http://token:*******"),
            ("proxy:3128", "proxy:****"),
            ("x = 1 # token: a", "x = 1 # token:**"),
            ("x = { my_pass = 'a' }", "x = { my_pass =******"),
            ("[auth]\na = 1\n[b]\na = 1", "[auth]\na =**\n[b]\na = 1"),
            ("cookies = [\n  \"a\",\n]\nb = 1", "cookies =**\n******\n*\nb = 1"),
            ("{\"clientKey\":\"a\"}", "{\"clientKey\":****"),
            ("via = \"key\"", "via = \"key\""),
            ("sites = [\"login.example\"]", "sites = [\"login.example\"]"),
            ("keep = 1\nlisten = 2", "keep = 1\nlisten = 2"),
        ] {
            assert_eq!(mask_toml(text), shown);
            assert_eq!(mask_toml(text).len(), text.len());
        }
        let text = "secret = \"\"\"\na = b\n[c]\n\"\"\"\n";
        assert_eq!(mask_toml(text), "secret =****\n*****\n***\n***\n");
        assert_eq!(
            mask_toml("url = \"https:\\u002f\\u002fme@x\""),
            "url = ************************"
        );
    }
}
