//! The suffixes of an API key: `KEY__module__recognizingthreshold_70`, `KEY__nocache`. Segments follow the first
//! `__` (<https://docs.capmonster.cloud/docs/api/token-accept/>); nocache is on if any segment is
//! `nocache`, ignoring case.

use std::ops::Range;

use super::{Parameter, Parameters, Syntax};

/// What is appended to a key to turn nocache on.
pub const SUFFIX: &str = "__nocache";

/// The range of a key's text, without a JSON string's quotes; `None` if the key is not a string.
pub fn written(list: &Parameters<'_>, key: &Parameter<'_>) -> Option<Range<usize>> {
    let value = key.value.clone()?;
    match list.syntax {
        Syntax::Json if list.source[value.start] == b'"' => Some(value.start + 1..value.end - 1),
        Syntax::Json => None,
        _ => Some(value),
    }
}

/// Whether appending [`SUFFIX`] to the key gives a valid suffix. It does not if the key is empty or ends in `_`.
pub fn takes_suffix(list: &Parameters<'_>, key: &Parameter<'_>) -> bool {
    let last = written(list, key).and_then(|range| units(&list.syntax, &list.source[range]).pop());
    last.is_some_and(|unit| unit.byte != b'_')
}

/// The ranges of a key's `nocache` segments in the list's bytes, each with the `__` in front of it.
pub fn nocache_segments(list: &Parameters<'_>, key: &Parameter<'_>) -> Vec<Range<usize>> {
    let Some(range) = written(list, key) else {
        return Vec::new();
    };
    let units = units(&list.syntax, &list.source[range.clone()]);
    let text: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
    let offset = |unit: usize| range.start + units.get(unit).map_or(range.len(), |unit| unit.start);

    let mut separators = memchr::memmem::find_iter(&text, b"__").peekable();
    let mut found = Vec::new();
    while let Some(separator) = separators.next() {
        let segment = separator + 2..separators.peek().copied().unwrap_or(text.len());
        if text[segment.clone()].eq_ignore_ascii_case(b"nocache") {
            found.push(offset(separator)..offset(segment.end));
        }
    }
    found
}

/// One character of a key, and where it begins as written. The grammar is ASCII; other characters only have to differ.
struct Unit {
    byte: u8,
    start: usize,
}

fn units(syntax: &Syntax, raw: &[u8]) -> Vec<Unit> {
    let mut units = Vec::with_capacity(raw.len());
    let mut start = 0;
    while start < raw.len() {
        let (byte, length) = unit(syntax, &raw[start..]);
        units.push(Unit { byte, start });
        start += length;
    }
    units
}

/// The first character of `raw`, and how many bytes it takes there.
fn unit(syntax: &Syntax, raw: &[u8]) -> (u8, usize) {
    const NOT_ASCII: u8 = 0xff;
    let hex = |digits: &[u8]| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let ascii = |code: u32| u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(NOT_ASCII);
    match (syntax, raw) {
        (Syntax::Json, [b'\\', b'u', a, b, c, d, ..]) => (hex(&[*a, *b, *c, *d]).map_or(NOT_ASCII, ascii), 6),
        (Syntax::Json, [b'\\', _, ..]) => (NOT_ASCII, 2),
        (Syntax::Query { .. } | Syntax::Form, [b'%', a, b, ..]) => match hex(&[*a, *b]) {
            Some(code) => (ascii(code), 3),
            None => (b'%', 1),
        },
        _ => (raw[0], 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::{form, json::Document};

    fn segments(list: &Parameters<'_>) -> Vec<String> {
        nocache_segments(list, &list.items[0])
            .into_iter()
            .map(|range| String::from_utf8(list.source[range].to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn segments_are_found_as_written() {
        for (key, expected) in [
            ("K__nocache", &["__nocache"][..]),
            ("K__module__x__NoCache", &["__NoCache"]),
            ("K__nocache__module", &["__nocache"]),
            ("K__nocache__a__nocache", &["__nocache", "__nocache"]),
            ("K%5F_n%6fcache", &["%5F_n%6fcache"]),
            ("K____nocache", &["__nocache"]),
            ("K", &[]),
            ("nocache", &[]),
            ("K_nocache", &[]),
            ("K___nocache", &[]),
            ("K__nocaches", &[]),
            ("K__recognizingthreshold_70", &[]),
        ] {
            assert_eq!(
                segments(&form::body(format!("key={key}").as_bytes())),
                expected,
                "{key}"
            );
        }
        let body = br#"{"clientKey":"K\u005f_nocache__x"}"#;
        assert_eq!(segments(&Document::new(body).top().unwrap()), [r"\u005f_nocache"]);
        let body = br#"{"clientKey":5}"#;
        assert!(segments(&Document::new(body).top().unwrap()).is_empty());
    }
}
