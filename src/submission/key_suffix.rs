//! The suffixes of an API key: `KEY__module__recognizingthreshold_70`, `KEY__nocache`. Segments follow the first
//! `__` (<https://docs.capmonster.cloud/docs/api/token-accept/>); nocache is on if any segment is
//! `nocache`, ignoring case.

use std::{iter, mem, ops::Range};

use super::{Parameter, Parameters, Syntax, Unread, limits};

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
    let last = written(list, key).and_then(|range| units(list, range).last());
    last.is_some_and(|unit| unit.byte != b'_')
}

/// Checks that no more segments are `nocache` than the [`limits`] allow.
pub(super) fn check(list: &Parameters<'_>, key: &Parameter<'_>) -> Result<(), Unread> {
    match nocache_segments(list, key).nth(limits::MAX_OF_ONE_NAME) {
        Some(_) => Err(Unread::Unreadable),
        None => Ok(()),
    }
}

/// The ranges of a key's `nocache` segments in the list's bytes, each with the `__` in front of it.
pub fn nocache_segments<'a>(
    list: &'a Parameters<'_>,
    key: &Parameter<'_>,
) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let mut range = written(list, key).unwrap_or_default();
    // Most keys have no `_`, and nothing that could be one.
    if memchr::memchr3(b'_', b'\\', b'%', &list.source[range.clone()]).is_none() {
        range.start = range.end;
    }
    let end = range.end;
    let mut units = units(list, range).peekable();
    let mut segment: Option<Segment> = None;
    iter::from_fn(move || {
        loop {
            let unit = units.next();
            let is_separator = unit.as_ref().is_some_and(|unit| unit.byte == b'_')
                && units.next_if(|next| next.byte == b'_').is_some();
            let at = match unit {
                Some(unit) if !is_separator => {
                    if let Some(segment) = &mut segment {
                        segment.take(unit.byte);
                    }
                    continue;
                }
                Some(separator) => Some(separator.start),
                None => None,
            };
            let ended = mem::replace(&mut segment, at.map(Segment::new));
            if let Some(ended) = ended.filter(Segment::is_nocache) {
                return Some(ended.start..at.unwrap_or(end));
            }
            at?;
        }
    })
}

/// A segment as far as it was read.
struct Segment {
    /// Where the `__` in front of it begins.
    start: usize,
    /// How many of its characters are those of `nocache`; `None` if one is not.
    matched: Option<usize>,
}

impl Segment {
    const NOCACHE: &[u8] = b"nocache";

    fn new(start: usize) -> Self {
        let matched = Some(0);
        Self { start, matched }
    }

    fn take(&mut self, byte: u8) {
        let is_next = |matched: &usize| Self::NOCACHE.get(*matched) == Some(&byte.to_ascii_lowercase());
        self.matched = self.matched.filter(is_next).map(|matched| matched + 1);
    }

    fn is_nocache(&self) -> bool {
        self.matched == Some(Self::NOCACHE.len())
    }
}

/// One character of a key, and where it begins in the list's bytes. The grammar is ASCII; other characters only have to
/// differ.
struct Unit {
    byte: u8,
    start: usize,
}

fn units<'a>(list: &'a Parameters<'_>, range: Range<usize>) -> impl Iterator<Item = Unit> + use<'a> {
    let (syntax, mut start) = (&list.syntax, range.start);
    let source: &[u8] = list.source;
    iter::from_fn(move || {
        let raw = &source[start..range.end];
        if raw.is_empty() {
            return None;
        }
        let (byte, length) = unit(syntax, raw);
        let unit = Unit { byte, start };
        start += length;
        Some(unit)
    })
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
                segments(&form::body(format!("key={key}").as_bytes()).unwrap()),
                expected,
                "{key}"
            );
        }
        let body = br#"{"clientKey":"K\u005f_nocache__x"}"#;
        assert_eq!(
            segments(&Document::new(body).unwrap().top().unwrap()),
            [r"\u005f_nocache"]
        );
        let body = br#"{"clientKey":5}"#;
        assert!(segments(&Document::new(body).unwrap().top().unwrap()).is_empty());
    }
}
