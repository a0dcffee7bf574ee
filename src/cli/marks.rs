//! Shows bytes before and after, with changes marked and secrets masked (`secrets` finds these).

use std::ops::Range;

use crate::{
    rewrite::Edit,
    submission::{Part, Request},
};

/// How marks look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours, or with `{+…+}` and `[-…-]`.
    pub colours: bool,
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
            // A secret inside of another is masked with it.
            Piece::Mask(_) if at < from => continue,
            Piece::Mask(end) => {
                shown += "***";
                end
            }
            Piece::Edit(edit) => {
                shown += &style.removed(&text(&edit.old));
                shown += &style.added(&text(&edit.new));
                from.max(at + edit.old.len())
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
