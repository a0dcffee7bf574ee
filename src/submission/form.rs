//! `application/x-www-form-urlencoded` pairs, in a query or a body (WHATWG URL standard, section 5.1).

use std::{borrow::Cow, iter, ops::Range};

use super::{Parameter, Parameters, Part, Syntax, Unread, limits, site::decoded};

/// The pairs after the first `?` of a request target. Beyond the [`limits`] only those in front of the limit.
pub fn query(target: &str) -> Parameters<'_> {
    read_query(target).0
}

/// The pairs after the first `?` of a request target; an error beyond the [`limits`].
pub fn whole_query(target: &str) -> Result<Parameters<'_>, Unread> {
    let (list, is_whole) = read_query(target);
    is_whole.map(|()| list)
}

/// The pairs of a form body; an error beyond the [`limits`].
pub fn body(source: &[u8]) -> Result<Parameters<'_>, Unread> {
    let (list, is_whole) = list(Part::Body, Syntax::Form, source, 0);
    is_whole.map(|()| list)
}

fn read_query(target: &str) -> (Parameters<'_>, Result<(), Unread>) {
    let has_mark = target.contains('?');
    list(
        Part::Target,
        Syntax::Query { has_mark },
        target.as_bytes(),
        query_start(target.as_bytes()),
    )
}

/// Where the query of a request target begins, or its end.
pub(super) fn query_start(target: &[u8]) -> usize {
    memchr::memchr(b'?', target).map_or(target.len(), |mark| mark + 1)
}

fn list(part: Part, syntax: Syntax, source: &[u8], start: usize) -> (Parameters<'_>, Result<(), Unread>) {
    let mut items = Vec::new();
    let is_whole = pairs(source, start, Separators::Ampersand).try_for_each(|pair| {
        let name = limits::name(&source[pair.name])?;
        let parameter = Parameter {
            name: decode(name),
            span: pair.span,
            value: pair.value,
        };
        limits::push(&mut items, parameter)
    });
    let list = Parameters {
        part,
        syntax,
        source,
        items,
        end: source.len(),
    };
    (list, is_whole)
}

/// What is between two pairs.
#[derive(Clone, Copy)]
pub(super) enum Separators {
    /// `&`, as in the standard.
    Ampersand,
    /// `&` or `;`, as some readers see it.
    AmpersandOrSemicolon,
}

impl Separators {
    fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Ampersand => memchr::memchr(b'&', text),
            Self::AmpersandOrSemicolon => memchr::memchr2(b'&', b';', text),
        }
    }
}

/// A pair, by its ranges.
struct Pair {
    span: Range<usize>,
    name: Range<usize>,
    value: Option<Range<usize>>,
}

/// The pairs from `start` on. Nothing between two separators is not a pair, and costs nothing but time.
fn pairs<'a>(source: &'a [u8], start: usize, separators: Separators) -> impl Iterator<Item = Pair> + use<'a> {
    let mut at = start;
    iter::from_fn(move || {
        loop {
            let start = at;
            let rest = source.get(start..)?;
            let text = &rest[..separators.find(rest).unwrap_or(rest.len())];
            let end = start + text.len();
            at = end + 1;
            if text.is_empty() {
                continue;
            }
            let equals = memchr::memchr(b'=', text).map(|equals| start + equals);
            return Some(Pair {
                span: start..end,
                name: start..equals.unwrap_or(end),
                value: equals.map(|equals| equals + 1..end),
            });
        }
    })
}

/// The pairs with one of some names, as a reader sees them that separates pairs at these bytes: the name and the raw value.
/// They are not held, so the limits do not apply.
pub(super) fn pairs_named<'a>(
    source: &'a [u8],
    start: usize,
    separators: Separators,
    names: &'a [&'a str],
) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    raw_pairs(source, start, separators).filter_map(move |(written, value)| {
        // At most three bytes are written for one; nothing longer is decoded.
        let is_written = |name: &&&str| written.len() <= 3 * name.len() && decode(written).eq_ignore_ascii_case(name);
        names.iter().find(is_written).map(|name| (*name, value))
    })
}

/// The pairs of a query or a form with one of some names: the name and the raw value. They are not held, so the limits do
/// not apply.
pub fn named<'a>(source: &'a [u8], names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    pairs_named(source, 0, Separators::Ampersand, names)
}

/// The pairs as a reader sees them that separates pairs at these bytes: the name and the value, as written. They are not
/// held, so the limits do not apply.
pub(super) fn raw_pairs(source: &[u8], start: usize, separators: Separators) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(source, start, separators)
        .map(|pair| (&source[pair.name], pair.value.map_or(&b""[..], |range| &source[range])))
}

/// Percent-decodes, with `+` as space, as the WHATWG parser does.
pub fn decode(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr2(b'+', b'%', raw).is_none() {
        return lossy(raw);
    }
    let mut bytes = raw.to_vec();
    let pluses = bytes.iter_mut().filter(|byte| **byte == b'+');
    pluses.for_each(|plus| *plus = b' ');
    let text = String::from_utf8(decoded(bytes));
    Cow::Owned(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Text, with what is not UTF-8 replaced. The standard library's is slow for short texts.
pub(super) fn lossy(raw: &[u8]) -> Cow<'_, str> {
    str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_standard_reads() {
        for query in [
            "a=1&b=2",
            "a=1&&b",
            "=x&a==",
            "a+b=c%20d&%61=%zz&e=%ff",
            "pageurl=https://x.example/?level=high&json=1",
        ] {
            let ours: Vec<(String, String)> = {
                let list = body(query.as_bytes()).unwrap();
                let value = |item| list.scalar(item).as_text().map(str::to_owned).unwrap();
                list.items
                    .iter()
                    .map(|item| (item.name.clone().into_owned(), value(item)))
                    .collect()
            };
            let standard: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            assert_eq!(ours, standard, "{query}");
        }
    }

    #[test]
    fn a_target_without_a_query_has_no_pairs() {
        assert!(query("/in.php").items.is_empty());
        assert!(query("/in.php?").items.is_empty());
        assert_eq!(query("/in.php?a").items.len(), 1);
    }
}
