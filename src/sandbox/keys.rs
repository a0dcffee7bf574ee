//! What a key does in the sandbox.

/// The error for a key that does not work.
pub fn key_error(key: &str) -> Option<&'static str> {
    match key.split("__").next() {
        None | Some("" | "wrong-key") => Some("ERROR_KEY_DOES_NOT_EXIST"),
        Some("zero-balance") => Some("ERROR_ZERO_BALANCE"),
        Some(_) => None,
    }
}

/// Whether a key turns nocache on.
pub fn key_has_nocache(key: &str) -> bool {
    key.split("__")
        .skip(1)
        .any(|segment| segment.eq_ignore_ascii_case("nocache"))
}
