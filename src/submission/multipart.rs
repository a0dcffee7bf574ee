//! `multipart/form-data` (RFC 7578), read for the byte ranges of its parts. .NET's spelling is read too: a quoted
//! boundary with spaces, slashes and colons in it, and unquoted `name=key`.

use std::{borrow::Cow, ops::Range};

use memchr::memmem;

use super::{Parameter, Parameters, Part, Syntax, Unread};

/// The boundary of a Content-Type field, if it is multipart; an error if it is and the boundary cannot be read.
pub fn boundary(content_type: &[u8]) -> Option<Result<String, Unread>> {
    let text = String::from_utf8_lossy(content_type);
    let (media_type, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let (kind, _) = media_type.trim().split_once('/')?;
    if !kind.eq_ignore_ascii_case("multipart") {
        return None;
    }
    let boundary = field_parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty());
    Some(boundary.ok_or(Unread::Unreadable))
}

/// The parts of a multipart body that are parameters; a part with a file name is not one.
pub fn body<'a>(source: &'a [u8], boundary: String) -> Result<Parameters<'a>, Unread> {
    let delimiter = format!("--{boundary}");
    let mut items = Vec::new();
    let mut at = first_delimiter(source, delimiter.as_bytes()).ok_or(Unread::Unreadable)?;
    loop {
        let after = at + delimiter.len();
        let rest = &source[after..];
        if rest.starts_with(b"--") {
            break;
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(Unread::Unreadable);
        }
        let content = after + padding + 2;
        // The line break before a delimiter belongs to the delimiter (RFC 2046, section 5.1.1).
        let next = memmem::find(&source[content - 2..], format!("\r\n{delimiter}").as_bytes())
            .map(|found| content - 2 + found + 2)
            .ok_or(Unread::Unreadable)?;
        items.extend(parameter(source, at..next, content)?);
        at = next;
    }
    Ok(Parameters {
        part: Part::Body,
        syntax: Syntax::Multipart { boundary },
        source,
        items,
        end: at,
    })
}

/// The first delimiter at the beginning of a line; the bytes before it are preamble.
fn first_delimiter(source: &[u8], delimiter: &[u8]) -> Option<usize> {
    memmem::find_iter(source, delimiter).find(|&at| at == 0 || source[..at].ends_with(b"\r\n"))
}

/// One part as a parameter: `span` from its delimiter to the next, its own fields from `content` on. None if it is a file;
/// an error if its name cannot be read, since another reader might read it.
fn parameter(source: &[u8], span: Range<usize>, content: usize) -> Result<Option<Parameter<'_>>, Unread> {
    let end = span.end - 2;
    let part = source.get(content..end).ok_or(Unread::Unreadable)?;
    let blank = memmem::find(part, b"\r\n\r\n").ok_or(Unread::Unreadable)?;
    let fields = String::from_utf8_lossy(&part[..blank]);
    let is_folded = |line: &str| line.starts_with([' ', '\t']);
    if fields.lines().any(is_folded) {
        return Err(Unread::Unreadable);
    }
    let disposition = fields
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .and_then(|(_, value)| value.split_once(';'))
        .map(|(_, parameters)| parameters)
        .ok_or(Unread::Unreadable)?;
    if ["filename", "filename*"]
        .iter()
        .any(|name| field_parameter(disposition, name).is_some())
    {
        return Ok(None);
    }
    let name = field_parameter(disposition, "name").ok_or(Unread::Unreadable)?;
    Ok(Some(Parameter {
        name: Cow::Owned(name),
        value: Some(content + blank + 4..end),
        span,
    }))
}

/// A parameter of a field such as `form-data; name="key"`: quoted with backslash escapes (RFC 9110, section 5.6.4), or a
/// token that ends at `;`.
fn field_parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, next) = rest.split_at(end_of_parameter(rest));
        rest = next.strip_prefix(';').unwrap_or(next);
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case(wanted)
        {
            return Some(unquoted(value.trim()));
        }
    }
    None
}

/// Where the first parameter ends: at a `;` outside of quotes.
fn end_of_parameter(text: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// A value without its quotes and escapes.
fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        const NONE: Option<Result<&str, Unread>> = Some(Err(Unread::Unreadable));
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some(Ok("abc"))),
            (
                "multipart/form-data; boundary=\"Upload----11/23/2025 08:24:00\"",
                Some(Ok("Upload----11/23/2025 08:24:00")),
            ),
            ("Multipart/Form-Data; charset=utf-8; Boundary=x ; y=z", Some(Ok("x"))),
            ("multipart/form-data; boundary=\"a\\\"b;c\"", Some(Ok("a\"b;c"))),
            ("multipart/form-data;; boundary=B", Some(Ok("B"))),
            ("multipart/form-data; x; boundary=B", Some(Ok("B"))),
            ("multipart/form-data", NONE),
            ("multipart/form-data; boundary=", NONE),
            ("text/plain; boundary=abc", None),
            ("text/plain", None),
            ("", None),
        ] {
            let read = boundary(content_type.as_bytes());
            assert_eq!(
                read,
                expected.map(|expected| expected.map(str::to_owned)),
                "{content_type}"
            );
        }
    }

    #[test]
    fn parts_of_dotnet() {
        let source =
            b"--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=key\r\n\r\nK\r\n\
            --B\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nuserrecaptcha\r\n\
            --B\r\nContent-Disposition: form-data; name=file; filename=a.png\r\n\r\nxx\r\n\
            --B\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--B--\r\n";
        let list = body(source, "B".into()).unwrap();
        let read: Vec<_> = list
            .items
            .iter()
            .map(|item| (item.name.as_ref(), list.scalar(item).as_text().unwrap().to_owned()))
            .collect();
        assert_eq!(
            read,
            [
                ("key", "K".into()),
                ("method", "userrecaptcha".into()),
                ("empty", String::new())
            ]
        );
        assert_eq!(&source[list.end..], b"--B--\r\n");
    }

    #[test]
    fn what_has_no_closing_boundary_is_unreadable() {
        for source in [
            &b""[..],
            b"--B",
            b"--B\r\n\r\nx",
            b"--B\r\n\r\nx\r\n",
            b"x--B--",
            b"--Bx\r\n\r\n\r\n--B--",
            // A part without a body line, a folded field, a part without a name.
            b"--B\r\nContent-Disposition: form-data; name=nocache\r\n\r\n--B--",
            b"--B\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nx\r\n--B--",
            b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
        ] {
            assert_eq!(
                body(source, "B".into()).unwrap_err(),
                Unread::Unreadable,
                "{}",
                source.escape_ascii()
            );
        }
    }
}
