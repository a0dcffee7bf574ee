//! Shows bytes before and after, with changes marked and secrets masked.

use std::ops::Range;

use crate::{
    rewrite::Edit,
    submission::{Part, Request, Submission, key_suffix},
};

/// Parameters whose values are secrets, by name.
const SECRETS: [&str; 8] = [
    "clientKey",
    "key",
    "proxy",
    "proxyLogin",
    "proxyPassword",
    "cookies",
    "callbackUrl",
    "pingback",
];

/// How marks look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours, or with `{+…+}` and `[-…-]`.
    pub colours: bool,
}

/// The ranges of secrets in one part of a request. A key's suffixes are not among them.
pub fn secrets(submission: &Submission<'_>, part: Part) -> Vec<Range<usize>> {
    let lists = submission.lists.iter().filter(|list| list.part == part);
    let secret = lists.flat_map(|list| {
        list.items
            .iter()
            .filter(|item| SECRETS.iter().any(|name| item.name.eq_ignore_ascii_case(name)))
            .filter_map(|item| {
                // A value that is not a string is masked as a whole.
                let range = key_suffix::written(list, item).or_else(|| item.value.clone())?;
                let text = &list.source[range.clone()];
                let suffixes =
                    memchr::memmem::find(text, b"__").filter(|_| item.name.to_ascii_lowercase().ends_with("key"));
                Some(range.start..suffixes.map_or(range.end, |at| range.start + at))
            })
    });
    secret.collect()
}

/// One part of a request as it was sent.
pub fn before(request: &Request<'_>, part: Part, masked: &[Range<usize>]) -> String {
    after(request, part, &[], masked, Style { colours: false })
}

/// One part of a request with its edits marked.
pub fn after(request: &Request<'_>, part: Part, edits: &[Edit], masked: &[Range<usize>], style: Style) -> String {
    enum Piece<'e> {
        Mask(usize),
        Edit(&'e Edit),
    }
    let source = request.part(part);
    let mut pieces: Vec<(usize, Piece<'_>)> = masked
        .iter()
        .map(|range| (range.start, Piece::Mask(range.end)))
        .collect();
    pieces.extend(
        edits
            .iter()
            .filter(|edit| edit.part == part)
            .map(|edit| (edit.at, Piece::Edit(edit))),
    );
    pieces.sort_by_key(|(at, _)| *at);

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut shown = String::new();
    let mut from = 0;
    for (at, piece) in pieces {
        shown += &text(&source[from.min(at)..at]);
        from = match piece {
            Piece::Mask(end) => {
                shown += "***";
                end
            }
            Piece::Edit(edit) => {
                shown += &style.removed(&text(&edit.old));
                shown += &style.added(&text(&edit.new));
                at + edit.old.len()
            }
        };
    }
    shown + &text(&source[from..])
}

impl Style {
    /// Inserted text.
    pub fn added(self, text: &str) -> String {
        self.mark(text, "\x1b[1;32m", "{+", "+}")
    }

    /// Removed text.
    pub fn removed(self, text: &str) -> String {
        self.mark(text, "\x1b[9;31m", "[-", "-]")
    }

    /// Prominent text.
    pub fn bold(self, text: &str) -> String {
        self.mark(text, "\x1b[1m", "", "")
    }

    /// Unobtrusive text.
    pub fn dim(self, text: &str) -> String {
        self.mark(text, "\x1b[2m", "", "")
    }

    fn mark(self, text: &str, colour: &str, open: &str, close: &str) -> String {
        match (text.is_empty(), self.colours) {
            (true, _) => String::new(),
            (false, true) => format!("{colour}{text}\x1b[0m"),
            (false, false) => format!("{open}{text}{close}"),
        }
    }
}
