//! JSON, read for its byte ranges. `serde_json` is the grammar. Its `RawValue` borrows from the input, so a member's range
//! is a difference of addresses, and nothing is ever written back from a parsed value.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Parameter, Parameters, Part, Scalar, Syntax, Unread,
    limits::{MAX_NAME, MAX_PARAMETERS},
};

/// The deepest nesting that is read. `serde_json` skips values without recursion, so this does not guard the stack: it is
/// the depth at which the vendor's server would refuse the body.
pub const MAX_DEPTH: usize = 128;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A JSON document with an object at the top.
pub struct Document<'a> {
    source: &'a [u8],
    /// The source with every byte that is not part of UTF-8 text replaced by `?`, same length: such bytes are tolerated
    /// inside values that the gateway does not read, as the vendor's parser does.
    text: Cow<'a, str>,
    /// Where the JSON begins: after a byte order mark.
    start: usize,
}

impl<'a> Document<'a> {
    /// Takes a body and checks that it is JSON, no deeper than [`MAX_DEPTH`].
    pub fn new(source: &'a [u8]) -> Self {
        let start = if source.starts_with(BOM) { BOM.len() } else { 0 };
        Self {
            source,
            text: utf8_or_masked(source),
            start,
        }
    }

    /// The members of the object at the top.
    pub fn top(&self) -> Result<Parameters<'a>, Unread> {
        // First, because the grammar's reader takes memory for each level. Brackets outside of strings tell the depth of
        // JSON; anything else is unreadable, too, however deep it seems.
        if is_too_deep(self.text.as_bytes()) {
            return Err(Unread::Unreadable);
        }
        self.object(self.start..self.source.len())
    }

    /// The members of the object at `range`; an error if it is not an object.
    pub fn object(&self, range: Range<usize>) -> Result<Parameters<'a>, Unread> {
        let text = &self.text[range];
        let base = text.as_ptr() as usize - self.text.as_ptr() as usize;
        let Members(members) = serde_json::from_str(text).map_err(|_| Unread::Unreadable)?;
        let place = |raw: &RawValue| {
            let start = base + (raw.get().as_ptr() as usize - text.as_ptr() as usize);
            start..start + raw.get().len()
        };
        let mut items = Vec::with_capacity(members.len());
        for (name, value) in members {
            let (name, value) = (place(name), place(value));
            items.push(Parameter {
                name: string(&self.source[name.clone()]).ok_or(Unread::Unreadable)?,
                span: name.start..value.end,
                value: Some(value),
            });
        }
        let opening = base + text.len() - text.trim_start().len();
        Ok(Parameters {
            part: Part::Body,
            syntax: Syntax::Json,
            source: self.source,
            end: items.last().map_or(opening + 1, |last| last.span.end),
            items,
        })
    }
}

/// Reads a value that is known to be JSON.
pub fn scalar(value: &[u8]) -> Scalar<'_> {
    match value.first() {
        Some(b'"') => string(value).map_or(Scalar::Other, Scalar::Text),
        Some(b'{' | b'[') => Scalar::Other,
        _ => str::from_utf8(value).map_or(Scalar::Other, Scalar::Bare),
    }
}

/// Unescapes a JSON string with its quotes; none if it is not Unicode text.
fn string(quoted: &[u8]) -> Option<Cow<'_, str>> {
    serde_json::from_slice::<Text>(quoted).ok().map(|text| text.0)
}

fn utf8_or_masked(source: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(source) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(source.len());
            for chunk in source.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|_| '?'));
            }
            Cow::Owned(text)
        }
    }
}

/// Whether a text, if it is JSON, is nested deeper than [`MAX_DEPTH`].
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at),
            b'{' | b'[' if depth == MAX_DEPTH => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// The index of the quote that ends the string whose opening quote is at `open`.
fn string_end(text: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &text[at.min(text.len())..]) {
        at += next;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// All members of an object, in order, duplicates included, within the limits.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    // A name as written is in quotes.
                    if members.len() == MAX_PARAMETERS || name.get().len() > MAX_NAME + 2 {
                        return Err(serde::de::Error::custom("beyond the limits"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A string, borrowed where it holds no escape. (serde's own `Cow` always copies.)
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &[u8]) -> Result<Vec<String>, Unread> {
        let list = Document::new(body).top()?;
        Ok(list.items.iter().map(|item| item.name.clone().into_owned()).collect())
    }

    #[test]
    fn members_are_found_at_their_ranges() {
        let body = b"\xef\xbb\xbf { \"a\" : 1.0 ,\r\n\t\"t\\u0061sk\":{} } ";
        let list = Document::new(body).top().unwrap();
        assert_eq!(list.items[1].name, "task");
        assert_eq!(&body[list.items[0].span.clone()], b"\"a\" : 1.0");
        assert_eq!(&body[list.items[1].value.clone().unwrap()], b"{}");
        assert_eq!(&body[list.end..], b" } ");

        let task = Document::new(body)
            .object(list.items[1].value.clone().unwrap())
            .unwrap();
        assert_eq!(&body[task.end..], b"} } ");
    }

    #[test]
    fn bytes_of_unread_values_are_tolerated() {
        assert_eq!(names(b"{\"a\":\"\xff\xfe\",\"b\":\"\\ud800\"}").unwrap(), ["a", "b"]);
        assert!(names(b"{\"a\xff\":1}").is_err(), "a name that is not UTF-8");
        assert!(names(br#"{"a\ud800":1}"#).is_err(), "a lone surrogate in a name");
        assert!(names(b"{\"a\":\xff}").is_err(), "outside a string");
    }

    #[test]
    fn nesting_beyond_the_limit_is_unreadable() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(names(nested(127).as_bytes()).is_ok());
        assert!(names(nested(128).as_bytes()).is_err());
        assert!(names(nested(1_000_000).as_bytes()).is_err());
        let in_string = format!("{{\"a\":\"\\\"{}\\\\\"}}", "[".repeat(500));
        assert!(names(in_string.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_an_object_is_unreadable() {
        for body in [
            &b""[..],
            b" ",
            b"[]",
            b"null",
            b"{",
            b"{}x",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":NaN}",
        ] {
            assert_eq!(names(body), Err(Unread::Unreadable), "{}", body.escape_ascii());
        }
    }
}
