//! Where strings and values end in JSON that the grammar has accepted. Nothing else is promised: other text ends somewhere,
//! or with its last byte.

/// The first byte from `at` on that is not white space of JSON.
pub(super) fn behind_space(source: &[u8], at: usize) -> usize {
    let rest = source.get(at..).unwrap_or_default();
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    at + rest.iter().take_while(|byte| is_space(byte)).count()
}

/// Where the value ends that begins at `start`.
pub(super) fn value_end(source: &[u8], start: usize) -> usize {
    match source.get(start) {
        Some(b'"') => string_at(source, start).end,
        Some(b'{' | b'[') => container_end(source, start),
        _ => {
            let rest = source.get(start..).unwrap_or_default();
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r');
            start + rest.iter().position(is_end).unwrap_or(rest.len())
        }
    }
}

/// Where the object or the array ends that begins at `open`.
fn container_end(source: &[u8], open: usize) -> usize {
    bracket_at_depth(source, open, |depth| depth == 0).map_or(source.len(), |at| at + 1)
}

/// The first bracket outside of strings, from `at` on, behind which the text is nested to a depth that is looked for.
/// Closing more than was opened leaves the depth at 0.
pub(super) fn bracket_at_depth(source: &[u8], mut at: usize, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let mut depth = 0usize;
    while let Some(&byte) = source.get(at) {
        match byte {
            b'"' => {
                at = string_at(source, at).end;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if is_wanted(depth) {
                    return Some(at);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if is_wanted(depth) {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A string as written.
pub(super) struct Written {
    /// Where it ends, behind its quote.
    pub end: usize,
    pub has_escapes: bool,
}

/// The string whose opening quote is at `open`.
pub(super) fn string_at(text: &[u8], open: usize) -> Written {
    let (mut at, mut has_escapes) = (open + 1, false);
    while let Some(next) = mark(text.get(at..).unwrap_or_default()) {
        at += next;
        if text[at] == b'"' {
            return Written {
                end: at + 1,
                has_escapes,
            };
        }
        has_escapes = true;
        at += 2;
    }
    Written {
        end: text.len(),
        has_escapes,
    }
}

/// The first `"` or `\`. Most strings are short, and memchr takes longer to begin than to find it.
fn mark(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    for (number, word) in words.iter().take(3).enumerate() {
        let marks = bytes_equal(*word, b'"') | bytes_equal(*word, b'\\');
        if marks != 0 {
            return Some(8 * number + marks.trailing_zeros() as usize / 8);
        }
    }
    memchr::memchr2(b'"', b'\\', text)
}

/// The highest bit of the first byte of a word that is `byte`; bits above it may be set, too.
fn bytes_equal(word: [u8; 8], byte: u8) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let differences = u64::from_le_bytes(word) ^ (ONES * u64::from(byte));
    differences.wrapping_sub(ONES) & !differences & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_its_quote_however_long_it_is() {
        for length in 0..80 {
            for (text, has_escapes) in [
                ("a", false),
                ("\u{e9}", false),
                ("#", false),
                ("!", false),
                ("\\\"", true),
                ("\\\\", true),
            ] {
                let string = format!("[\"{}{}\",\"\"]", "a".repeat(length), text);
                let written = string_at(string.as_bytes(), 1);
                assert_eq!(
                    (written.end, written.has_escapes),
                    (string.len() - 4, has_escapes),
                    "{string}"
                );
            }
        }
    }

    #[test]
    fn text_that_is_not_json_ends_somewhere() {
        for text in [
            "\"", "\"\\", "\"\\\"", "{", "[", "[\"", "{\"a\":", "1", "", " ", "{]", "]",
        ] {
            assert!(value_end(text.as_bytes(), 0) <= text.len(), "{text}");
            assert!(behind_space(text.as_bytes(), 0) <= text.len(), "{text}");
        }
    }
}
