//! The skeleton of a text: what is left of it for a reader that decodes, folds and ignores more than others do. Two texts with
//! one skeleton may be the same to somebody.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointMapData, props::GeneralCategory};

/// How often a text is percent-decoded.
const PASSES: usize = 4;

/// Percent-decodes, four times at most, `%uXXXX` too. False if it would still change.
pub fn decoded(text: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let mut bytes = Cow::Borrowed(text);
    for _ in 0..PASSES {
        match decoded_once(&bytes) {
            None => return (bytes, true),
            Some(decoded) => bytes = Cow::Owned(decoded),
        }
    }
    let is_stable = decoded_once(&bytes).is_none();
    (bytes, is_stable)
}

/// None if there is nothing to decode.
fn decoded_once(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'%', bytes)?;
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'%', b'u' | b'U', digits @ ..] => number(digits, 4).map(|code| (code, 6)),
            [b'%', digits @ ..] => number(digits, 2).map(|code| (code, 3)),
            _ => None,
        };
        match escape {
            None => {
                decoded.push(*first);
                rest = after;
            }
            Some((code, 3)) => {
                decoded.push(code as u8);
                rest = &rest[3..];
            }
            Some((code, length)) => {
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                decoded.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
        }
    }
    (decoded != bytes).then_some(decoded)
}

/// The number that begins with this many hexadecimal digits.
fn number(digits: &[u8], length: usize) -> Option<u32> {
    let digits = digits.get(..length)?.iter();
    digits
        .map(|digit| char::from(*digit).to_digit(16))
        .try_fold(0, |number, digit| Some(number * 16 + digit?))
}

/// Folds compatibility characters (NFKC) and case, the Kelvin sign, the long s and the dotless i included.
pub fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => folded_chars(text).collect(),
    }
}

fn folded_chars(text: &str) -> impl Iterator<Item = char> {
    // By way of the uppercase, as readers do that compare uppercase.
    ComposingNormalizerBorrowed::new_nfkc()
        .normalize_iter(text.chars())
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// Whether a character is invisible: of the general categories Cc, Cf, Zl or Zp.
pub fn is_invisible(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_control(),
        false => matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        ),
    }
}

/// Whether a character is invisible, or drawn over the one in front of it.
pub fn takes_no_place(c: char) -> bool {
    !c.is_ascii() && CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::NonspacingMark
        || is_invisible(c)
}

/// The skeleton of a name: decoded, folded, letters and digits alone, up to a `[`.
pub struct Skeleton {
    letters: String,
    /// How many bytes of it are in front of a NUL in the name. Some readers stop there.
    before_nul: usize,
}

impl Skeleton {
    /// Reads a name. A `[` in front of it ends nothing: some readers take `[a]` for `a`.
    pub fn of(name: &str) -> Self {
        let (bytes, _) = decoded(name.as_bytes());
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
        let text = text.split('[').next().unwrap_or_default();
        let (first, rest) = text.split_once('\0').unwrap_or((text, ""));
        let first = letters(first);
        Self {
            before_nul: first.len(),
            letters: first + &letters(rest),
        }
    }

    /// Whether it is the one of a word of ASCII.
    pub fn is(&self, word: &str) -> bool {
        let word = || {
            word.bytes()
                .filter(u8::is_ascii_alphanumeric)
                .map(|byte| byte.to_ascii_lowercase())
        };
        let is_seen = |seen: &str| word().eq(seen.bytes().map(|byte| byte.to_ascii_lowercase()));
        is_seen(&self.letters) || is_seen(&self.letters[..self.before_nul])
    }
}

/// The longest skeleton that is looked at, in bytes. No name that decides and no known captcha has as many.
const LONGEST: usize = 128;

/// The letters and digits of a text, folded, up to the first that is not ASCII: with that it is no word of ASCII.
fn letters(text: &str) -> String {
    if text.is_ascii() {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        return letters.take(LONGEST + 1).collect();
    }
    let mut letters = String::new();
    for c in folded_chars(text).filter(|c| c.is_alphanumeric()) {
        letters.push(c);
        if !c.is_ascii() || letters.len() > LONGEST {
            break;
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_four_times() {
        for (text, expected, is_stable) in [
            ("a", "a", true),
            ("%61", "a", true),
            ("%2561", "a", true),
            ("%25252561", "a", true),
            ("%2525252561", "%61", false),
            ("%u0061%zz%6", "a%zz%6", true),
            ("100%", "100%", true),
        ] {
            let (bytes, stable) = decoded(text.as_bytes());
            assert_eq!(
                (str::from_utf8(&bytes).unwrap(), stable),
                (expected, is_stable),
                "{text}"
            );
        }
    }

    #[test]
    fn names_that_a_reader_could_take_for_another_have_its_skeleton() {
        for (name, word, expected) in [
            ("pageurl", "pageurl", true),
            ("PageURL", "pageurl", true),
            (" page_url ", "pageurl", true),
            ("pageurl[0]", "pageurl", true),
            ("pageurl\0x", "pageurl", true),
            ("%70ageurl", "pageurl", true),
            ("%u0070ageurl", "pageurl", true),
            ("\u{feff}pageurl", "pageurl", true),
            ("ｐageurl", "pageurl", true),
            ("tas\u{212a}", "task", true),
            ("ta\u{17f}k", "task", true),
            ("webs\u{131}teurl", "websiteURL", true),
            ("webs\u{130}teurl", "websiteURL", true),
            ("\0pageurl", "pageurl", true),
            ("p\0a\0geurl", "pageurl", true),
            ("%00pageurl%00x", "pageurl", true),
            ("[pageurl]", "pageurl", true),
            ("page%C3%BCrl", "pageurl", false),
            ("pageurls", "pageurl", false),
            ("pageur", "pageurl", false),
            ("x[pageurl]", "pageurl", false),
            ("", "pageurl", false),
        ] {
            assert_eq!(Skeleton::of(name).is(word), expected, "{name:?}");
        }
    }

    #[test]
    fn invisible_characters_are_known() {
        for (c, expected) in [
            ('a', false),
            (' ', false),
            ('\0', true),
            ('\t', true),
            ('\u{85}', true),
            ('\u{a0}', false),
            ('\u{ad}', true),
            ('\u{200b}', true),
            ('\u{200d}', true),
            ('\u{2028}', true),
            ('\u{2060}', true),
            ('\u{feff}', true),
            ('é', false),
        ] {
            assert_eq!(is_invisible(c), expected, "{c:?}");
        }
    }
}
