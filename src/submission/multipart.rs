//! `multipart/form-data` (RFC 7578), read for the byte ranges of its parts. .NET's spelling is read too: a quoted
//! boundary with spaces, slashes and colons in it, and unquoted `name=key`.

use std::{borrow::Cow, iter, ops::Range};

use memchr::memmem;

use super::{Parameter, Parameters, Part, Syntax, Unread, form::lossy, limits};

/// The boundary of a Content-Type field, if it is multipart; an error if it is and the boundary cannot be read.
pub fn boundary(content_type: &[u8]) -> Option<Result<String, Unread>> {
    let (media_type, parameters) = split_once(content_type, b';').unwrap_or((content_type, b""));
    let (kind, _) = split_once(media_type.trim_ascii(), b'/')?;
    if !kind.eq_ignore_ascii_case(b"multipart") {
        return None;
    }
    let mut parameters = field_parameters(parameters);
    let boundary = parameters.find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"));
    let boundary = boundary.map(|(_, value)| unquoted(lossy(value)).into_owned());
    Some(
        boundary
            .filter(|boundary| !boundary.is_empty())
            .ok_or(Unread::Unreadable),
    )
}

/// The Content-Type among several that counts: the first that is multipart, or else the first. An error if two are multipart
/// and their boundaries differ.
pub fn content_type<'a>(types: &[&'a [u8]]) -> Result<Option<&'a [u8]>, Unread> {
    let mut multiparts = types
        .iter()
        .filter_map(|content_type| Some((*content_type, boundary(content_type)?)));
    match multiparts.next() {
        None => Ok(types.first().copied()),
        Some((_, first)) if multiparts.any(|(_, other)| other != first) => Err(Unread::Ambiguous),
        Some((content_type, _)) => Ok(Some(content_type)),
    }
}

/// The parts of a multipart body that are parameters; a part with a file name is not one. The first delimiter's line end is
/// every line's.
pub fn body<'a>(source: &'a [u8], boundary: String) -> Result<Parameters<'a>, Unread> {
    let line_break = ["\r\n--", &boundary].concat();
    let delimiter = &line_break[2..];
    let (mut at, line_end) = first_delimiter(source, delimiter.as_bytes()).ok_or(Unread::Unreadable)?;
    let further = memmem::Finder::new(&line_break[2 - line_end.len()..]);
    let blank_line = memmem::Finder::new(if line_end == "\n" { "\n\n" } else { "\r\n\r\n" });
    let mut items = Vec::new();
    let mut parts = 0;
    loop {
        let rest = &source[at + delimiter.len()..];
        if rest.starts_with(b"--") {
            break;
        }
        parts += 1;
        if parts > limits::MAX_PARAMETERS {
            return Err(Unread::Unreadable);
        }
        let padding = padding(rest);
        if !rest[padding..].starts_with(line_end.as_bytes()) {
            return Err(Unread::Unreadable);
        }
        // The line break before a delimiter belongs to the delimiter (RFC 2046, section 5.1.1).
        let first_line = at + delimiter.len() + padding;
        let found = further.find(&source[first_line..]).ok_or(Unread::Unreadable)?;
        let next = first_line + found + line_end.len();
        if let Some(parameter) = parameter(source, at..next, first_line + line_end.len(), &blank_line)? {
            limits::push(&mut items, parameter)?;
        }
        at = next;
    }
    Ok(Parameters {
        part: Part::Body,
        syntax: Syntax::Multipart { boundary, line_end },
        source,
        items,
        end: at,
    })
}

fn padding(rest: &[u8]) -> usize {
    rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// The first delimiter at the beginning of a line, and the line end behind it, which a line in front of it has, too; the
/// bytes in front of it are preamble.
fn first_delimiter(source: &[u8], delimiter: &[u8]) -> Option<(usize, &'static str)> {
    memmem::find_iter(source, delimiter).find_map(|at| {
        let rest = &source[at + delimiter.len()..];
        let rest = &rest[padding(rest)..];
        // Without a line end it is the last delimiter, of a body without parts.
        let line_end = if rest.starts_with(b"\n") { "\n" } else { "\r\n" };
        (at == 0 || source[..at].ends_with(line_end.as_bytes())).then_some((at, line_end))
    })
}

/// One part as a parameter: `span` from its delimiter to the next, its own fields from `content` on. None if it is a file;
/// an error if its name cannot be read, since another reader might read it.
fn parameter<'a>(
    source: &'a [u8],
    span: Range<usize>,
    content: usize,
    blank_line: &memmem::Finder<'_>,
) -> Result<Option<Parameter<'a>>, Unread> {
    let two_line_ends = blank_line.needle().len();
    let end = span.end - two_line_ends / 2;
    let part = source.get(content..end).ok_or(Unread::Unreadable)?;
    let blank = blank_line.find(part).ok_or(Unread::Unreadable)?;
    let mut disposition = None;
    let mut rest = &part[..blank];
    loop {
        if rest.starts_with(b" ") || rest.starts_with(b"\t") {
            return Err(Unread::Unreadable);
        }
        let (line, next) = split_once(rest, b'\n').unwrap_or((rest, b""));
        if disposition.is_none()
            && let Some((name, value)) = split_once(line, b':')
            && name.trim_ascii().eq_ignore_ascii_case(b"content-disposition")
        {
            disposition = Some(value);
        }
        if next.is_empty() {
            break;
        }
        rest = next;
    }
    let (_, disposition) = disposition
        .and_then(|value| split_once(value, b';'))
        .ok_or(Unread::Unreadable)?;
    let mut name = None;
    for (parameter, value) in field_parameters(disposition) {
        if parameter.eq_ignore_ascii_case(b"filename") || parameter.eq_ignore_ascii_case(b"filename*") {
            return Ok(None);
        }
        if name.is_none() && parameter.eq_ignore_ascii_case(b"name") {
            name = Some(value);
        }
    }
    let name = limits::name(name.ok_or(Unread::Unreadable)?)?;
    Ok(Some(Parameter {
        name: unquoted(lossy(name)),
        value: Some(content + blank + two_line_ends..end),
        span,
    }))
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The parameters of a field such as `form-data; name="key"`, name and value as written: quoted with backslash escapes
/// (RFC 9110, section 5.6.4), or a token that ends at `;`.
fn field_parameters(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    iter::from_fn(move || {
        while !rest.is_empty() {
            let (parameter, next) = rest.split_at(end_of_parameter(rest));
            rest = next.strip_prefix(b";").unwrap_or(next);
            if let Some((name, value)) = split_once(parameter, b'=') {
                return Some((name.trim_ascii(), value.trim_ascii()));
            }
        }
        None
    })
}

/// Where the first parameter ends: at a `;` outside of quotes.
fn end_of_parameter(text: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let first = memchr::memchr2(b';', b'"', text).unwrap_or(text.len());
    for (at, byte) in text.iter().enumerate().skip(first) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// A value without its quotes and escapes.
fn unquoted(value: Cow<'_, str>) -> Cow<'_, str> {
    let Some(quoted) = value.strip_prefix('"') else {
        return value;
    };
    if let Cow::Borrowed(value) = value
        && memchr::memchr(b'\\', value.as_bytes()).is_none()
    {
        let quoted = &value[1..];
        return Cow::Borrowed(&quoted[..memchr::memchr(b'"', quoted.as_bytes()).unwrap_or(quoted.len())]);
    }
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    Cow::Owned(text)
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
    fn of_several_types_one_counts() {
        for (types, expected) in [
            (&[][..], Ok(None)),
            (&["text/plain", "application/json"], Ok(Some("text/plain"))),
            (
                &["text/plain", "multipart/x; boundary=B"],
                Ok(Some("multipart/x; boundary=B")),
            ),
            (
                &["multipart/x; boundary=B", "multipart/y; boundary=\"B\""],
                Ok(Some("multipart/x; boundary=B")),
            ),
            (
                &["multipart/x; boundary=B", "multipart/x; boundary=C"],
                Err(Unread::Ambiguous),
            ),
            (&["multipart/x; boundary=B", "multipart/x"], Err(Unread::Ambiguous)),
        ] {
            let types: Vec<&[u8]> = types.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(
                content_type(&types),
                expected.map(|text| text.map(str::as_bytes)),
                "{types:?}"
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
            // Line ends that differ.
            b"--B\nContent-Disposition: form-data; name=a\r\n\r\nx\n--B--",
            b"--B\nContent-Disposition: form-data; name=a\n\nx\n--B\r\n\nx\n--B--",
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
