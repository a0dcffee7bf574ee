//! Multipart: a boundary, delimiters and part fields as real clients write them. What other readers do with anything else
//! differs from reader to reader.

use memchr::memmem;

use super::{
    Doubt,
    field_value::{is_utf8, unquoted},
    names::{Spelling, spelling},
};

/// The longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Refuses a boundary of other characters than those of RFC 2046, or with a comma; unquoted, with a blank.
pub fn check_boundary(boundary: &str, is_quoted: bool) -> Result<(), Doubt> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=?".contains(&byte) || byte == b' ' && is_quoted;
    let is_fine = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(is_plain)
        && !boundary.ends_with(' ')
        && !boundary.starts_with(' ');
    is_fine.then_some(()).ok_or(Doubt::Multipart(
        "the boundary of the multipart body has unusual characters",
    ))
}

/// Refuses a body whose delimiters or parts are not plain, or with a name that decides and is not spelled plainly.
pub fn check(body: &[u8], boundary: &str, deciding: &[&'static str]) -> Result<(), Doubt> {
    let delimiter = format!("--{boundary}");
    let mut ends = memmem::find_iter(body, &delimiter);
    let first = ends.next();
    let mut at = match first {
        Some(0) => 0,
        Some(2) if body.starts_with(b"\r\n") => 2,
        _ => return Err(Doubt::Multipart("the multipart body does not begin with its delimiter")),
    };
    loop {
        let rest = &body[at + delimiter.len()..];
        if let Some(rest) = rest.strip_prefix(b"--") {
            let is_end = (rest.is_empty() || rest == b"\r\n") && first != Some(at);
            return is_end.then_some(()).ok_or(Doubt::Multipart(
                "the multipart body has no parts, or something behind its end",
            ));
        }
        // What looks like a delimiter is one to some reader, wherever it is.
        let next = ends.next().ok_or(Doubt::Multipart("the multipart body does not end"))?;
        let content = &body[at + delimiter.len()..next];
        let content = content
            .strip_prefix(b"\r\n")
            .and_then(|content| content.strip_suffix(b"\r\n"));
        check_part(
            content.ok_or(Doubt::Multipart(
                "a delimiter of the multipart body is not a line of its own",
            ))?,
            deciding,
        )?;
        at = next;
    }
}

/// Checks a part between its delimiters.
fn check_part(part: &[u8], deciding: &[&'static str]) -> Result<(), Doubt> {
    const FIELDS: Doubt = Doubt::Multipart("a part of the multipart body has unusual fields");
    let blank = memmem::find(part, b"\r\n\r\n").ok_or(FIELDS)?;
    let (head, content) = (&part[..blank], &part[blank + 4..]);
    let head = str::from_utf8(head).map_err(|_| Doubt::NotUtf8)?;
    let [mut disposition, mut kind, mut length, mut encoding] = [None; 4];
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(FIELDS)?;
        let place = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut kind,
            "content-length" => &mut length,
            "content-transfer-encoding" => &mut encoding,
            _ => return Err(FIELDS),
        };
        if place.replace(value.trim_matches([' ', '\t'])).is_some() || value.contains(char::is_control) {
            return Err(FIELDS);
        }
    }
    let (name, is_file) = disposition.and_then(name_and_file).ok_or(FIELDS)?;
    if kind.is_some_and(|kind| !is_plain_type(kind)) {
        return Err(Doubt::Charset);
    }
    // A length that is wrong is an end to whoever believes it.
    let is_length = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse() == Ok(content.len());
    let is_identity = |text: &str| {
        ["7bit", "8bit", "binary"]
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
    };
    if length.is_some_and(|text| !is_length(text)) || encoding.is_some_and(|text| !is_identity(text)) {
        return Err(FIELDS);
    }
    match spelling(name, deciding) {
        Spelling::Odd(name) => return Err(Doubt::Name(name)),
        Spelling::Plain(_) if is_file => {
            return Err(Doubt::Multipart("a part that decides has a file name"));
        }
        _ if name.eq_ignore_ascii_case("_charset_") => return Err(Doubt::Charset),
        _ => {}
    }
    match is_file || str::from_utf8(content).is_ok() {
        true => Ok(()),
        false => Err(Doubt::NotUtf8),
    }
}

/// The name of a `form-data; name=…` and whether it has a file name; none unless every reader finds the same.
fn name_and_file(disposition: &str) -> Option<(&str, bool)> {
    let mut parameters = parameters(disposition)?.into_iter();
    if !parameters.next()?.0.eq_ignore_ascii_case("form-data") {
        return None;
    }
    let [mut name, mut file, mut long_file] = [None; 3];
    for (key, value) in parameters {
        let (place, is_name) = match key.to_ascii_lowercase().as_str() {
            "name" => (&mut name, true),
            "filename" => (&mut file, false),
            "filename*" => (&mut long_file, false),
            _ => return None,
        };
        let value = unquoted(value).filter(|(value, is_quoted)| match is_name {
            true => is_plain_name(value, *is_quoted),
            // Some readers look for the word anywhere.
            false => !value.to_ascii_lowercase().contains("name="),
        })?;
        if place.replace(value.0).is_some() {
            return None;
        }
    }
    Some((name?, file.is_some() || long_file.is_some()))
}

/// The parameters of a field, split at `;` outside of quotes, and no more than enough to see that they are too many. None if a
/// quote is escaped or does not end.
fn parameters(field: &str) -> Option<Vec<(&str, &str)>> {
    const ENOUGH: usize = 6;
    if field.contains("\\\"") || !field.matches('"').count().is_multiple_of(2) {
        return None;
    }
    let mut is_quoted = false;
    let parts = field.split(move |c| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    });
    let parameters = parts.take(ENOUGH).map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (key.trim(), value.trim())
    });
    Some(parameters.collect())
}

fn is_plain_name(name: &str, is_quoted: bool) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~[]".contains(&byte);
    let is_plain = |byte: u8| is_token(byte) || is_quoted && (b' '..=b'~').contains(&byte) && byte != b'\\';
    let in_single_quotes = name.starts_with('\'');
    !name.is_empty() && name.bytes().all(is_plain) && !name.contains("=?") && !in_single_quotes
}

/// Whether the type of a part is one, not a multipart of its own, and names no other charset.
fn is_plain_type(kind: &str) -> bool {
    let lower = kind.to_ascii_lowercase();
    let mut parameters = lower.split(';').skip(1);
    let names_utf8 = |parameter: &str| match parameter.trim().strip_prefix("charset") {
        None => true,
        Some(value) => {
            let value = value
                .trim_start()
                .strip_prefix('=')
                .and_then(|value| unquoted(value.trim()));
            value.is_some_and(|(value, _)| is_utf8(value, false))
        }
    };
    !lower.contains("multipart") && lower.matches("charset").count() <= 1 && parameters.all(names_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_fields_of_real_clients_are_plain() {
        for (disposition, expected) in [
            ("form-data; name=\"key\"", Some(("key", false))),
            ("form-data; name=key", Some(("key", false))),
            ("form-data; name=\"file\"; filename=\"a; b.png\"", Some(("file", true))),
            (
                "form-data; name=file; filename=a.png; filename*=utf-8''a.png",
                Some(("file", true)),
            ),
            ("form-data; name=\"a b\"", Some(("a b", false))),
            ("form-data; filename=\"\"; name=a", Some(("a", true))),
            ("form-data", None),
            ("form-data; name", None),
            ("form-data; name=a; name=b", None),
            ("form-data; name*=utf-8''a", None),
            ("form-data; name=\"=?utf-8?q?a?=\"", None),
            ("form-data; name=\"a\\b\"", None),
            ("form-data; name=\"a\"b", None),
            ("form-data; name=\"a", None),
            ("form-data; name=a b", None),
            ("form-data; name='a'", None),
            ("form-data; name=\"é\"", None),
            ("form-data; name=a; filename=\"b\\\"; name=\\\"c\"", None),
            ("form-data; name=a; filename=\"b; name=c\"", None),
            ("attachment; name=a", None),
        ] {
            assert_eq!(name_and_file(disposition), expected, "{disposition}");
        }
    }

    #[test]
    fn types_of_parts_name_no_other_charset() {
        for (kind, expected) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8", true),
            ("text/plain; charset=\"US-ASCII\"", true),
            ("image/png", true),
            ("text/plain; charset=utf-16", false),
            ("text/plain; charset*=utf-8", false),
            ("text/plain; charset=utf-8; charset=utf-8", false),
            ("multipart/mixed; boundary=C", false),
        ] {
            assert_eq!(is_plain_type(kind), expected, "{kind}");
        }
    }
}
