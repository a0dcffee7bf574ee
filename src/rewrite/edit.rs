//! Edits: one insertion, replacement or removal at a byte range. A rewrite is a short list of them, applied once.

use std::{fmt, ops::Range};

use smallvec::SmallVec;

use crate::submission::{Parameter, Parameters, Part, Syntax, hidden::Hidden};

/// A change to the bytes of one part of a request. It holds the bytes it removes, so that it can be undone.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The part of the request it changes.
    pub part: Part,
    /// Where it begins, in the client's bytes.
    pub at: usize,
    /// The client's bytes there.
    pub old: Vec<u8>,
    /// The bytes that replace them.
    pub new: Text,
}

/// The edits of one submission.
pub type Edits = SmallVec<[Edit; 1]>;

/// What an edit writes: short, but for a multipart part.
pub type Text = SmallVec<[u8; 24]>;

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("part", &self.part)
            .field("at", &self.at)
            .field("old", &Hidden(self.old.len()))
            .field("new", &String::from_utf8_lossy(&self.new))
            .finish()
    }
}

/// Applies the edits of one part to its bytes.
pub fn apply(source: &[u8], part: Part, edits: &[Edit]) -> Vec<u8> {
    let mut result = Vec::with_capacity(source.len() + 64);
    let mut from = 0;
    for edit in in_order(part, edits) {
        result.extend_from_slice(&source[from..edit.at]);
        result.extend_from_slice(&edit.new);
        from = edit.at + edit.old.len();
    }
    result.extend_from_slice(&source[from..]);
    result
}

/// Undoes the edits, for the tests: `revert(&apply(x, part, edits), part, edits)` is `x`.
#[cfg(any(test, fuzzing))]
pub(crate) fn revert(result: &[u8], part: Part, edits: &[Edit]) -> Vec<u8> {
    let mut inverse = Vec::new();
    let (mut grown, mut shrunk) = (0, 0);
    for edit in in_order(part, edits) {
        inverse.push(Edit {
            part,
            at: edit.at + grown - shrunk,
            old: edit.new.to_vec(),
            new: Text::from_slice(&edit.old),
        });
        grown += edit.new.len();
        shrunk += edit.old.len();
    }
    apply(result, part, &inverse)
}

fn in_order(part: Part, edits: &[Edit]) -> SmallVec<[&Edit; 8]> {
    let mut edits: SmallVec<[&Edit; 8]> = edits.iter().filter(|edit| edit.part == part).collect();
    edits.sort_by_key(|edit| edit.at);
    edits
}

/// Replaces a range.
pub(super) fn splice(list: &Parameters<'_>, range: Range<usize>, new: &[&str]) -> Edit {
    let mut text = Text::with_capacity(new.iter().map(|part| part.len()).sum());
    new.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
    Edit {
        part: list.part,
        at: range.start,
        old: list.source[range].to_vec(),
        new: text,
    }
}

/// Removes a range.
pub(super) fn cut(list: &Parameters<'_>, range: Range<usize>) -> Edit {
    splice(list, range, &[])
}

/// Appends the parameter nocache to a list.
pub(super) fn insert(list: &Parameters<'_>, value: &str) -> Edit {
    let is_empty = list.items.is_empty();
    let separator = |text: &'static str| if is_empty { "" } else { text };
    let end = list.end..list.end;
    match &list.syntax {
        Syntax::Json => splice(list, end, &[separator(","), "\"nocache\":", value]),
        Syntax::Query { has_mark: false } => splice(list, end, &["?nocache=", value]),
        Syntax::Query { .. } | Syntax::Form => splice(list, end, &[separator("&"), "nocache=", value]),
        Syntax::Multipart { boundary, line_end } => {
            let field = "Content-Disposition: form-data; name=\"nocache\"";
            let part = ["--", boundary, line_end, field, line_end, line_end, value, line_end];
            splice(list, end, &part)
        }
    }
}

/// Replaces a parameter's value.
pub(super) fn replace(list: &Parameters<'_>, parameter: &Parameter<'_>, value: &str) -> Edit {
    match parameter.value.clone() {
        Some(range) => splice(list, range, &[value]),
        None => splice(list, parameter.span.end..parameter.span.end, &["=", value]),
    }
}

/// Removes the parameters at the given indices, in ascending order, each with one separator: the one in front of it, or the
/// one behind it if every parameter in front of it is removed, too.
pub(super) fn remove(list: &Parameters<'_>, doomed: &[usize]) -> impl Iterator<Item = Edit> {
    let leading = doomed
        .iter()
        .zip(0..)
        .take_while(|(at, number)| **at == *number)
        .count();
    let range = move |(number, &at): (usize, &usize)| {
        let span = list.items[at].span.clone();
        match list.syntax {
            Syntax::Multipart { .. } => span,
            Syntax::Json if number < leading => {
                span.start..list.items.get(at + 1).map_or(span.end, |next| next.span.start)
            }
            Syntax::Json => list.items[at - 1].span.end..span.end,
            Syntax::Query { .. } | Syntax::Form if number < leading => span.start..list.end.min(span.end + 1),
            Syntax::Query { .. } | Syntax::Form => span.start - 1..span.end,
        }
    };
    doomed.iter().enumerate().map(range).map(|range| cut(list, range))
}
