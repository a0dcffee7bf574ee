//! Parameters of field values, of the body and of its parts.

/// A value, and whether it was quoted; none if a quote is anywhere else.
pub fn unquoted(value: &str) -> Option<(&str, bool)> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let (value, is_quoted) = quoted.map_or((value, false), |value| (value, true));
    (!value.contains('"')).then_some((value, is_quoted))
}

/// Whether a charset reads a body as UTF-8 does.
pub fn is_utf8(charset: &str, is_ascii: bool) -> bool {
    let charset = charset.trim().to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" | "us-ascii" => true,
        "iso-8859-1" => is_ascii,
        other => is_ascii && other.strip_prefix("windows-125").is_some_and(|digit| digit.len() == 1),
    }
}
