//! JSON, read for its byte ranges. `serde_json` is the grammar: it reads the whole document first, and keeps nothing. What
//! it has accepted is then walked for the members and their ranges, by its quotes and brackets alone. Nothing is ever
//! written back from a parsed value.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Parameter, Parameters, Part, Scalar, Syntax, Unread,
    json_bytes::{behind_space, bracket_at_depth, string_at, value_end},
    limits::{MAX_NAME, MAX_PARAMETERS, USUAL_PARAMETERS},
};

/// The deepest nesting that is read. `serde_json` skips values without recursion, so this does not guard the stack: it is
/// the depth at which the vendor's server would refuse the body.
pub const MAX_DEPTH: usize = 128;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A JSON document with an object at the top.
pub struct Document<'a> {
    source: &'a [u8],
    /// The source as text, unless bytes of it are not UTF-8.
    text: Option<&'a str>,
    /// Where the object begins.
    top: usize,
}

/// The members of an object, and where they end.
struct Object<'a> {
    list: Parameters<'a>,
    end: usize,
}

impl<'a> Document<'a> {
    /// Takes a body; an error unless it is JSON with an object at the top, no deeper than [`MAX_DEPTH`]. Bytes that are not
    /// part of UTF-8 text are tolerated in strings, as the vendor's parser does.
    pub fn new(source: &'a [u8]) -> Result<Self, Unread> {
        let text = utf8_or_masked(source);
        // First, because the grammar's reader takes memory for each level. Brackets outside of strings tell the depth of
        // JSON; anything else is unreadable, too, however deep it seems.
        if is_too_deep(text.as_bytes()) {
            return Err(Unread::Unreadable);
        }
        let start = if source.starts_with(BOM) { BOM.len() } else { 0 };
        serde_json::from_str::<Grammar>(&text[start..]).map_err(|_| Unread::Unreadable)?;
        Ok(Self {
            source,
            text: match text {
                Cow::Borrowed(text) => Some(text),
                Cow::Owned(_) => None,
            },
            top: behind_space(source, start),
        })
    }

    /// The members of the object at the top.
    pub fn top(&self) -> Result<Parameters<'a>, Unread> {
        Ok(self.object(self.top, |_, _| None)?.list)
    }

    /// The members of the object at the top, and those of the first object among them that has a name: `None` if no member
    /// of the name is an object.
    pub fn top_with(&self, name: &str) -> Result<TopWith<'a>, Unread> {
        let mut inner = None;
        let top = self.object(self.top, |member, value| {
            if inner.is_some() || self.source.get(value) != Some(&b'{') || !member.eq_ignore_ascii_case(name) {
                return None;
            }
            let object = self.object(value, |_, _| None);
            let end = object.as_ref().ok().map(|object| object.end);
            inner = Some(object.map(|object| object.list));
            end
        })?;
        Ok((top.list, inner))
    }

    /// Takes the beginning of a body, if an object begins there. Nothing has accepted it: where it is not JSON, any ranges can
    /// come.
    pub fn beginning(source: &'a [u8]) -> Option<Self> {
        let start = if source.starts_with(BOM) { BOM.len() } else { 0 };
        let top = behind_space(source, start);
        (source.get(top) == Some(&b'{')).then_some(Self {
            source,
            text: None,
            top,
        })
    }

    /// The members of a beginning that are whole in it, as [`Self::top_with`] returns them.
    pub fn whole_with(&self, name: &str) -> Option<(Parameters<'a>, Parameters<'a>)> {
        let (mut top, inner) = self.top_with(name).ok()?;
        let mut inner = inner?.ok()?;
        // What ends with the beginning may go on behind it.
        for list in [&mut top, &mut inner] {
            list.items.retain(|item| item.span.end < self.source.len());
        }
        Some((top, inner))
    }

    /// The string that the first member of a name has, in the object that the first member of another name has at the top.
    pub fn text_in(&self, outer: &str, name: &str) -> Option<Cow<'a, str>> {
        let object = self.value_of(self.top, outer)?;
        let value = self.value_of(object, name)?;
        match scalar(self.source.get(value..value_end(self.source, value))?) {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the value of the first member of a name begins, in the object that begins at `open`.
    fn value_of(&self, open: usize, name: &str) -> Option<usize> {
        if self.source.get(open) != Some(&b'{') {
            return None;
        }
        let mut at = behind_space(self.source, open + 1);
        loop {
            let (member, value) = self.member(at)?.ok()?;
            if member.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            at = behind_comma(self.source, value_end(self.source, value));
        }
    }

    /// The name of the member that begins at `at`, and where its value begins; `None` if no member begins there.
    #[inline(always)]
    fn member(&self, at: usize) -> Option<Result<(Cow<'a, str>, usize), Unread>> {
        let source = self.source;
        if source.get(at) != Some(&b'"') {
            return None;
        }
        let written = string_at(source, at);
        let name = match self.text {
            // A name as written is in quotes.
            _ if written.end - at > MAX_NAME + 2 => None,
            Some(text) if !written.has_escapes => text.get(at + 1..written.end - 1).map(Cow::Borrowed),
            _ => unescaped(&source[at..written.end], written.has_escapes),
        };
        let colon = behind_space(source, written.end);
        Some(
            name.map(|name| (name, behind_space(source, colon + 1)))
                .ok_or(Unread::Unreadable),
        )
    }

    /// Walks the object that begins at `open`. `enter` gets each member's name and where its value begins; it may return
    /// where the value ends.
    fn object(&self, open: usize, mut enter: impl FnMut(&str, usize) -> Option<usize>) -> Result<Object<'a>, Unread> {
        let source = self.source;
        let mut items = Vec::with_capacity(USUAL_PARAMETERS);
        let mut end = open + 1;
        let mut at = behind_space(source, end);
        while let Some(member) = self.member(at) {
            let (name, value) = member?;
            if items.len() == MAX_PARAMETERS {
                return Err(Unread::Unreadable);
            }
            end = enter(&name, value).unwrap_or_else(|| value_end(source, value));
            items.push(Parameter {
                name,
                span: at..end,
                value: Some(value..end),
            });
            at = behind_comma(source, end);
        }
        let list = Parameters {
            part: Part::Body,
            syntax: Syntax::Json,
            source,
            items,
            end,
        };
        Ok(Object { list, end: at + 1 })
    }
}

/// The first byte behind the comma, or else the white space, that follows a value.
fn behind_comma(source: &[u8], end: usize) -> usize {
    let at = behind_space(source, end);
    match source.get(at) {
        Some(b',') => behind_space(source, at + 1),
        _ => at,
    }
}

/// The members of an object, and those of one of them.
pub type TopWith<'a> = (Parameters<'a>, Option<Result<Parameters<'a>, Unread>>);

/// Reads a value that is known to be JSON.
pub fn scalar(value: &[u8]) -> Scalar<'_> {
    match value.first() {
        Some(b'"') => unescaped(value, memchr::memchr(b'\\', value).is_some()).map_or(Scalar::Other, Scalar::Text),
        Some(b'{' | b'[') => Scalar::Other,
        _ => str::from_utf8(value).map_or(Scalar::Other, Scalar::Bare),
    }
}

/// A JSON string, with its quotes, that the grammar has accepted, as text; none if it is not Unicode.
fn unescaped(quoted: &[u8], has_escapes: bool) -> Option<Cow<'_, str>> {
    match has_escapes {
        true => serde_json::from_slice(quoted).ok().map(Cow::Owned),
        false => str::from_utf8(quoted.get(1..quoted.len() - 1)?).ok().map(Cow::Borrowed),
    }
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
    // Most texts do not have as many brackets.
    let mut brackets = memchr::memchr2_iter(b'{', b'[', text);
    brackets.nth(MAX_DEPTH).is_some() && bracket_at_depth(text, 0, |depth| depth > MAX_DEPTH).is_some()
}

/// An object that serde_json accepts. Its names are read as written, since a long one would be unescaped to a copy.
struct Grammar;

impl<'de> Deserialize<'de> for Grammar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;

        impl<'de> Visitor<'de> for Top {
            type Value = Grammar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Grammar, A::Error> {
                while map.next_entry::<&RawValue, IgnoredAny>()?.is_some() {}
                Ok(Grammar)
            }
        }

        deserializer.deserialize_map(Top)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(body: &[u8]) -> Result<Vec<String>, Unread> {
        let list = Document::new(body)?.top()?;
        Ok(list.items.iter().map(|item| item.name.clone().into_owned()).collect())
    }

    #[test]
    fn members_are_found_at_their_ranges() {
        let body = b"\xef\xbb\xbf { \"a\" : 1.0 ,\r\n\t\"t\\u0061sk\":{} } ";
        let (list, task) = Document::new(body).unwrap().top_with("TASK").unwrap();
        assert_eq!(list.items[1].name, "task");
        assert_eq!(&body[list.items[0].span.clone()], b"\"a\" : 1.0");
        assert_eq!(&body[list.items[1].value.clone().unwrap()], b"{}");
        assert_eq!(&body[list.end..], b" } ");

        assert_eq!(&body[task.unwrap().unwrap().end..], b"} } ");
    }

    #[test]
    fn bytes_of_unread_values_are_tolerated() {
        assert_eq!(names(b"{\"a\":\"\xff\xfe\",\"b\":\"\\ud800\"}").unwrap(), ["a", "b"]);
        assert!(names(b"{\"a\xff\":1}").is_err(), "a name that is not UTF-8");
        assert!(names(br#"{"a\ud800":1}"#).is_err(), "a lone surrogate in a name");
        assert!(names(b"{\"a\":\xff}").is_err(), "outside a string");
    }

    /// The members that serde_json's own ranges of values show: name and value as written.
    fn members<'a>(object: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        struct Members<'a>(Vec<(&'a str, &'a str)>);

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
                            members.push((name.get(), value.get()));
                        }
                        Ok(Members(members))
                    }
                }

                deserializer.deserialize_map(Collect)
            }
        }

        serde_json::from_str::<Members<'a>>(object)
            .ok()
            .map(|members| members.0)
    }

    fn walked(list: Parameters<'_>) -> Vec<(String, &str)> {
        let value = |item: &Parameter<'_>| str::from_utf8(&list.source[item.value.clone().unwrap()]).unwrap();
        list.items
            .iter()
            .map(|item| (item.name.clone().into_owned(), value(item)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Any text, most of it not JSON, and some of it nested: what is walked is what serde_json finds.
        #[test]
        fn the_members_are_those_that_serde_json_finds(
            text in "( ?\\{( ?\"(task|Task|a|\\\\u0061|\\\\\"|\\\\\\\\|[a-z]{7,30}|[{}\\[\\],:]|é){0,2}\" ?: ?([0-9]{1,9}|-1\\.0e5|true|null|\"(a|\\\\\"|\\\\\\\\|[{}\\[\\],:]|[a-z]{0,40}|é){0,3}\"|\\[( ?(1|\\{\\}|\"\\]\"),?){0,2}\\]|\\{( ?\"(a|\\}|\\\\\")\" ?: ?(1|\\[\\]|\"\\{\"),?){0,2}\\}) ?,?){0,4}\\} ?)",
        ) {
            let found = Document::new(text.as_bytes()).and_then(|document| document.top_with("task"));
            let expected = members(&text);
            prop_assert_eq!(found.is_ok(), expected.is_some(), "{}", text);
            let (Ok((top, task)), Some(expected)) = (found, expected) else {
                return Ok(());
            };
            let unescape = |members: Vec<(&str, &str)>| -> Vec<(String, String)> {
                let member = |(name, value): (&str, &str)| (serde_json::from_str(name).unwrap(), value.to_owned());
                members.into_iter().map(member).collect()
            };
            let own = |list| walked(list).into_iter().map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>();
            let expected = unescape(expected);
            let is_task = |(name, value): &&(String, String)| name.eq_ignore_ascii_case("task") && value.starts_with('{');
            let expected_task = expected.iter().find(is_task).map(|(_, value)| unescape(members(value).unwrap()));
            prop_assert_eq!(task.map(|task| own(task.unwrap())), expected_task, "{}", text);
            prop_assert_eq!(own(top), expected, "{}", text);
        }
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
