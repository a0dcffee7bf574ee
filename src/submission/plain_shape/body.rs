//! The body: UTF-8, with at most one Content-Type, which names no other charset.

use super::{
    Doubt,
    field_value::{is_utf8, unquoted},
    multipart,
};

/// What a Content-Type says the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media<'a> {
    /// A multipart form.
    Multipart {
        /// Its boundary.
        boundary: &'a str,
    },
    /// JSON, by its name.
    Json,
    /// Anything else, or nothing.
    Other,
}

/// Reads the Content-Type fields of a body, which is ASCII or not.
pub fn media<'a>(types: &[&'a [u8]], is_ascii: bool) -> Result<Media<'a>, Doubt> {
    let text = match types {
        [] => return Ok(Media::Other),
        [text] => str::from_utf8(text).map_err(|_| Doubt::ContentType)?,
        [..] => return Err(Doubt::ContentType),
    };
    if text.contains([',', '\\']) || !text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err(Doubt::ContentType);
    }
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_multipart = kind == "multipart/form-data";
    // Some readers look for the word anywhere.
    if !is_multipart && text.to_ascii_lowercase().contains("multipart") {
        return Err(Doubt::ContentType);
    }
    let (mut charset, mut boundary) = (None, None);
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.trim().to_ascii_lowercase();
        let value = unquoted(value.trim()).ok_or(Doubt::ContentType)?;
        match name.as_str() {
            "charset" if charset.is_none() => charset = Some(value.0),
            _ if name.starts_with("charset") => return Err(Doubt::Charset),
            "boundary" if is_multipart && boundary.is_none() => boundary = Some(value),
            _ if is_multipart => return Err(Doubt::ContentType),
            _ => {}
        }
    }
    if charset.is_some_and(|charset| !is_utf8(charset, is_ascii)) {
        return Err(Doubt::Charset);
    }
    match boundary {
        Some((boundary, is_quoted)) => {
            multipart::check_boundary(boundary, is_quoted)?;
            Ok(Media::Multipart { boundary })
        }
        None if is_multipart => Err(Doubt::ContentType),
        None if kind.contains("json") => Ok(Media::Json),
        None => Ok(Media::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_type_without_another_charset_is_plain() {
        for (content_type, expected) in [
            ("application/json", Ok(Media::Json)),
            ("text/json; charset=\"UTF-8\"", Ok(Media::Json)),
            ("text/plain; charset=utf-8", Ok(Media::Other)),
            (
                "application/x-www-form-urlencoded; charset=windows-1251",
                Ok(Media::Other),
            ),
            ("application/x-www-form-urlencoded;", Ok(Media::Other)),
            ("", Ok(Media::Other)),
            (
                "multipart/form-data; boundary=B",
                Ok(Media::Multipart { boundary: "B" }),
            ),
            (
                "multipart/form-data; boundary=\"Upload----11/23/2025 08:24:00\"",
                Ok(Media::Multipart {
                    boundary: "Upload----11/23/2025 08:24:00",
                }),
            ),
            (
                "multipart/form-data; charset=utf-8; boundary=\"B\"",
                Ok(Media::Multipart { boundary: "B" }),
            ),
            ("multipart/form-data", Err(Doubt::ContentType)),
            ("multipart/form-data; boundary=B; boundary=B", Err(Doubt::ContentType)),
            ("multipart/form-data;; boundary=B", Err(Doubt::ContentType)),
            ("multipart/form-data; boundary=B,C", Err(Doubt::ContentType)),
            ("multipart/form-data; boundary=\"B\\C\"", Err(Doubt::ContentType)),
            ("multipart/mixed; boundary=B", Err(Doubt::ContentType)),
            ("x multipart/form-data; boundary=B", Err(Doubt::ContentType)),
            ("text/plain; charset=utf-16", Err(Doubt::Charset)),
            ("text/plain; charset*=utf-16", Err(Doubt::Charset)),
            ("text/plain; charset=utf-8; charset=utf-8", Err(Doubt::Charset)),
            ("text/plain; charset=utf\"-8", Err(Doubt::ContentType)),
        ] {
            assert_eq!(media(&[content_type.as_bytes()], true), expected, "{content_type}");
        }
        let windows: &[&[u8]] = &[b"text/plain; charset=windows-1251"];
        assert_eq!(media(windows, false), Err(Doubt::Charset), "the body is not ASCII");
        assert_eq!(media(&[], false), Ok(Media::Other));
    }
}
