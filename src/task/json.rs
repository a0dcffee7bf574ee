//! Reads the JSON of requests and responses about tasks.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a body; `None` if it is not of that form. One that is UTF-8 as a whole is not looked at again string by string.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text).ok(),
        // Texts that are not read may be in another encoding.
        Err(_) => serde_json::from_slice(body).ok(),
    }
}

/// A value as text: a number, or a string that needs no escapes.
pub fn text(value: &RawValue) -> &str {
    let written = value.get();
    let quoted = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(written)
}
