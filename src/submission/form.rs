//! `application/x-www-form-urlencoded` pairs, in a query or a body (WHATWG URL standard, section 5.1).

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode;

use super::{Parameter, Parameters, Part, Syntax};

/// The pairs after the first `?` of a request target.
pub fn query(target: &str) -> Parameters<'_> {
    let mark = target.find('?');
    list(
        Part::Target,
        Syntax::Query {
            has_mark: mark.is_some(),
        },
        target.as_bytes(),
        mark.map_or(target.len(), |mark| mark + 1),
    )
}

/// The pairs of a form body.
pub fn body(source: &[u8]) -> Parameters<'_> {
    list(Part::Body, Syntax::Form, source, 0)
}

fn list(part: Part, syntax: Syntax, source: &[u8], start: usize) -> Parameters<'_> {
    Parameters {
        part,
        syntax,
        source,
        items: pairs(source, start),
        end: source.len(),
    }
}

/// Every pair from `start` on, empty ones included, so that removing one leaves the separators of the others.
fn pairs(source: &[u8], start: usize) -> Vec<Parameter<'_>> {
    if start == source.len() {
        return Vec::new();
    }
    let mut items = Vec::new();
    let mut at = start;
    for pair in source[start..].split(|&byte| byte == b'&') {
        items.push(parameter(source, at..at + pair.len()));
        at += pair.len() + 1;
    }
    items
}

fn parameter(source: &[u8], span: Range<usize>) -> Parameter<'_> {
    let pair = &source[span.clone()];
    let equals = memchr::memchr(b'=', pair);
    Parameter {
        name: decode(&pair[..equals.unwrap_or(pair.len())]),
        value: equals.map(|equals| span.start + equals + 1..span.end),
        span,
    }
}

/// Percent-decodes, with `+` as space, as the WHATWG parser does.
pub fn decode(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'+') {
        return percent_decode(raw).decode_utf8_lossy();
    }
    let spaced: Vec<u8> = raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).decode_utf8_lossy().into_owned())
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
                let list = body(query.as_bytes());
                let value = |item| list.scalar(item).as_text().map(str::to_owned).unwrap();
                list.items
                    .iter()
                    .filter(|item| !item.span.is_empty())
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
