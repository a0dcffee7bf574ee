//! `multipart/form-data` (RFC 7578), read for the byte ranges of its parts. .NET's spelling is read too: a quoted
//! boundary with spaces, slashes and colons in it, and unquoted `name=key`.

use std::{borrow::Cow, ops::Range};

use memchr::memmem;

use super::{Parameter, Parameters, Part, Syntax, Unread};

/// The boundary of a Content-Type field, if it is multipart.
pub fn boundary(content_type: &[u8]) -> Option<String> {
    let text = str::from_utf8(content_type).ok()?;
    let (media_type, parameters) = text.split_once(';')?;
    let (kind, _) = media_type.trim().split_once('/')?;
    kind.eq_ignore_ascii_case("multipart")
        .then(|| field_parameter(parameters, "boundary"))
        .flatten()
        .filter(|boundary| !boundary.is_empty())
}

/// The parts of a multipart body that are parameters: a part with a file name is none.
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
        items.extend(parameter(source, at..next, content));
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

/// The first delimiter that begins a line; what stands before it is preamble.
fn first_delimiter(source: &[u8], delimiter: &[u8]) -> Option<usize> {
    memmem::find_iter(source, delimiter).find(|&at| at == 0 || source[..at].ends_with(b"\r\n"))
}

/// One part as a parameter: `span` from its delimiter to the next, its own fields from `content` on.
fn parameter(source: &[u8], span: Range<usize>, content: usize) -> Option<Parameter<'_>> {
    let part = &source[content..span.end];
    let (fields, value) = match memmem::find(part, b"\r\n\r\n") {
        _ if part.starts_with(b"\r\n") => (0, 2),
        Some(blank) => (blank, blank + 4),
        None => return None,
    };
    let disposition = part[..fields]
        .split(|&byte| byte == b'\n')
        .filter_map(|line| str::from_utf8(line).ok()?.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .and_then(|(_, value)| value.split_once(';'))
        .map(|(_, parameters)| parameters)?;
    if ["filename", "filename*"]
        .iter()
        .any(|name| field_parameter(disposition, name).is_some())
    {
        return None;
    }
    let end = span.end - 2;
    Some(Parameter {
        name: Cow::Owned(field_parameter(disposition, "name")?),
        value: Some((content + value).min(end)..end),
        span,
    })
}

/// A parameter of a field such as `form-data; name="key"`: quoted with backslash escapes (RFC 9110, section 5.6.4), or a
/// token that ends at `;`.
fn field_parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = value(after.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.trim_start().strip_prefix(';')?;
    }
}

/// The value at the beginning of `text`, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "multipart/form-data; boundary=\"Upload----11/23/2025 08:24:00\"",
                Some("Upload----11/23/2025 08:24:00"),
            ),
            ("Multipart/Form-Data; charset=utf-8; Boundary=x ; y=z", Some("x")),
            ("multipart/form-data; boundary=\"a\\\"b\"", Some("a\"b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("text/plain; boundary=abc", None),
        ] {
            assert_eq!(boundary(content_type.as_bytes()).as_deref(), expected, "{content_type}");
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
