//! A list of parameters as a request contains it: the members of a JSON object, the pairs of a query or a form, the
//! parts of a multipart body. One shape for all of them lets [`crate::rewrite`] insert, replace and remove by byte ranges.

use std::{borrow::Cow, fmt, ops::Range};

use super::{form, hidden::Hidden, json};

/// The part of a request that byte ranges refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The request target, path and query.
    Target,
    /// The body.
    Body,
}

/// How parameters are written in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Members of a JSON object.
    Json,
    /// `name=value` pairs joined with `&`, after the target's `?`.
    Query {
        /// Whether the target has a `?` already.
        has_mark: bool,
    },
    /// The same pairs, in a body.
    Form,
    /// Parts of a multipart body.
    Multipart {
        /// The boundary, without the leading `--`.
        boundary: String,
        /// The line end of every line outside of values: CR LF, or LF alone.
        line_end: &'static str,
    },
}

/// One parameter. Its ranges are in the bytes of the list's [`Part`].
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name, unescaped.
    pub name: Cow<'a, str>,
    /// The whole parameter; separators are outside, but a multipart part begins with its delimiter line.
    pub span: Range<usize>,
    /// The value as written, a JSON string with its quotes. A pair without `=` has none.
    pub value: Option<Range<usize>>,
}

/// A list of parameters, in the request's order.
#[derive(Clone)]
pub struct Parameters<'a> {
    /// The part of the request that contains it.
    pub part: Part,
    /// Its syntax.
    pub syntax: Syntax,
    /// The bytes of that part.
    pub source: &'a [u8],
    /// The parameters.
    pub items: Vec<Parameter<'a>>,
    /// Where a further parameter is inserted.
    pub end: usize,
}

/// A parameter's value, as far as the gateway has to understand it.
#[derive(Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string, unescaped. In a query, a form or a multipart body every value is one.
    Text(Cow<'a, str>),
    /// JSON's `true`, `false`, `null` or a number, as written.
    Bare(&'a str),
    /// A JSON object or array, or a string that is not Unicode.
    Other,
}

impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameter")
            .field("name", &Hidden(self.name.len()))
            .field("span", &self.span)
            .field("value", &self.value)
            .finish()
    }
}

impl fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("part", &self.part)
            .field("syntax", &self.syntax)
            .field("source", &Hidden(self.source.len()))
            .field("items", &self.items)
            .field("end", &self.end)
            .finish()
    }
}

impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&Hidden(text.len())).finish(),
            Self::Bare(word) => f.debug_tuple("Bare").field(&Hidden(word.len())).finish(),
            Self::Other => f.write_str("Other"),
        }
    }
}

impl<'a> Scalar<'a> {
    /// Strings, numbers and the words `true` and `false` as text: in JSON bodies of `in.php` and in `isEnterprise`
    /// clients write either.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bare("null") | Self::Other => None,
            Self::Bare(word) => Some(word),
        }
    }

    /// Whether it is one of the spellings of on: `true`, `1`, `"true"`, `"1"`. Words compare ASCII case-insensitively.
    pub fn is_on(&self) -> bool {
        self.is_word("true", "1")
    }

    /// Whether it is one of the spellings of off: `false`, `0`, `"false"`, `"0"`, `""`.
    pub fn is_off(&self) -> bool {
        self.is_word("false", "0") || self.as_text() == Some("")
    }

    fn is_word(&self, word: &str, digit: &str) -> bool {
        self.as_text()
            .is_some_and(|text| text.eq_ignore_ascii_case(word) || text == digit)
    }
}

/// The value of a client's own nocache parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NocacheValue {
    /// [`Scalar::is_on`]
    On,
    /// [`Scalar::is_off`]
    Off,
    /// JSON's `null`, which counts as absent.
    Null,
    /// Any other value.
    Odd,
}

impl NocacheValue {
    /// Reads a value.
    pub fn of(value: &Scalar<'_>) -> Self {
        match value {
            Scalar::Bare("null") => Self::Null,
            value if value.is_on() => Self::On,
            value if value.is_off() => Self::Off,
            _ => Self::Odd,
        }
    }
}

impl<'a> Parameters<'a> {
    /// The indices of the parameters with this name, compared ASCII case-insensitively.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.items.len()).filter(move |&i| self.items[i].name.eq_ignore_ascii_case(name))
    }

    /// A parameter's value.
    pub fn scalar(&self, parameter: &Parameter<'a>) -> Scalar<'a> {
        let Some(range) = parameter.value.clone() else {
            return Scalar::Text(Cow::Borrowed(""));
        };
        let bytes = &self.source[range];
        match self.syntax {
            Syntax::Json => json::scalar(bytes),
            Syntax::Query { .. } | Syntax::Form => Scalar::Text(form::decode(bytes)),
            Syntax::Multipart { .. } => Scalar::Text(form::lossy(bytes)),
        }
    }
}
