//! Where the secrets of an explained request are: values of members and parameters by the words of
//! [`mask`] in their names, at any depth; userinfo and query of any URL; and what is given as a
//! site or a name and does not look like one.

use std::ops::Range;

use crate::{
    config::mask,
    observe::record::{shown_host, shown_path},
    submission::{Parameters, Part, Scalar, SiteError, Submission, Syntax, captcha::Name},
};

/// Names of values that are masked whole, beside those of [`mask::is_secret`].
const CALLBACKS: [&str; 2] = ["callbackUrl", "pingback"];
/// Names of the keys whose suffixes are shown.
const KEYS: [&str; 2] = ["clientKey", "key"];
const SITES: [&str; 2] = ["websiteURL", "pageurl"];
/// Parameters of in.php that do not belong to a page's URL, whatever is in front of them.
const OWN: [&str; 5] = ["method", "version", "enterprise", "nocache", "json"];

/// The ranges of secrets in one part of a request, in its order. A key's suffixes are not among them.
pub fn secrets(submission: &Submission<'_>, part: Part) -> Vec<Range<usize>> {
    let hides_site = !shows_site(submission);
    let mut found = Vec::new();
    for list in submission.lists.iter().filter(|list| list.part == part) {
        match list.syntax {
            Syntax::Json => of_json(list.source, hides_site, &mut found),
            _ => of_pairs(list, hides_site, &mut found),
        }
        if part == Part::Target {
            let path = list.source.split(|byte| *byte == b'?').next().unwrap_or_default();
            found.extend((shown_path(&String::from_utf8_lossy(path)).as_bytes() != path).then_some(0..path.len()));
        }
    }
    found.sort_by_key(|range| (range.start, usize::MAX - range.end));
    found.dedup();
    found
}

/// Whether the captcha's name looks like one, and not like half of a mangled request.
pub fn shows_name(submission: &Submission<'_>) -> bool {
    let is_shown = |name: &Name| name.shown() != Name::HIDDEN;
    let captcha = submission.captcha.as_ref();
    captcha.is_none_or(|captcha| captcha.kind.is_some() || is_shown(&captcha.name))
}

fn shows_site(submission: &Submission<'_>) -> bool {
    match &submission.site {
        Ok(site) => shown_host(site.host()) != Name::HIDDEN,
        Err(error) => *error == SiteError::Missing,
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_masked(name: &str, hides_site: bool) -> bool {
    mask::is_secret(name) || is_one_of(name, &CALLBACKS) || (hides_site && is_one_of(name, &SITES))
}

/// The part of a masked value that is masked: of an API key not its suffixes.
fn without_suffixes(name: &str, source: &[u8], value: Range<usize>) -> Range<usize> {
    let suffixes = is_one_of(name, &KEYS).then(|| memchr::memmem::find(&source[value.clone()], b"__"));
    value.start..suffixes.flatten().map_or(value.end, |at| value.start + at)
}

/// The secrets in a value: the URL's, if it is written as it is read; if it is escaped, all of it.
fn in_text(text: &str, source: &[u8], value: Range<usize>, found: &mut Vec<Range<usize>>) {
    let ranges = mask::ranges_of_value(text);
    if text.as_bytes() == &source[value.clone()] {
        found.extend(
            ranges
                .into_iter()
                .map(|range| value.start + range.start..value.start + range.end),
        );
    } else if !ranges.is_empty() {
        found.push(value);
    }
}

/// The secrets of a query, a form or a multipart body.
fn of_pairs(list: &Parameters<'_>, hides_site: bool, found: &mut Vec<Range<usize>>) {
    // What follows a `?` that is not encoded can belong to the query of a page's URL.
    let mut is_in_query = false;
    let source = list.source;
    for item in &list.items {
        let is_own = is_one_of(&item.name, &OWN);
        let Some(value) = item.value.clone() else {
            found.extend((!is_own).then(|| item.span.clone()));
            continue;
        };
        if is_masked(&item.name, hides_site) {
            found.push(without_suffixes(&item.name, source, value.clone()));
        } else if is_in_query && !is_own {
            found.push(value.clone());
        } else if let Scalar::Text(text) = list.scalar(item) {
            in_text(&text, source, value.clone(), found);
        }
        is_in_query |= source[value].contains(&b'?');
    }
}

/// The secrets of a JSON document that was read before, so its syntax is known to be right.
fn of_json(source: &[u8], hides_site: bool, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while at < source.len() {
        if source[at] != b'"' {
            at += 1;
            continue;
        }
        let end = end_of_string(source, at);
        let inner = at + 1..end.saturating_sub(1).max(at + 1);
        let text = serde_json::from_slice::<String>(&source[at..end]).ok();
        let after = skip_blanks(source, end);
        if source.get(after) != Some(&b':') {
            match text {
                Some(text) => in_text(&text, source, inner, found),
                // It is not Unicode, so it cannot be told what it is.
                None => found.push(inner),
            }
            at = end;
            continue;
        }
        let name = text.unwrap_or_default();
        let value = skip_blanks(source, after + 1);
        let is_string = source.get(value) == Some(&b'"');
        let has_wrong_type = !is_string && (name.eq_ignore_ascii_case("type") || is_one_of(&name, &SITES));
        if !has_wrong_type && !is_masked(&name, hides_site) {
            at = value;
            continue;
        }
        at = end_of_value(source, value);
        let quote = usize::from(is_string);
        found.push(without_suffixes(
            &name,
            source,
            value + quote..at.saturating_sub(quote).max(value + quote),
        ));
    }
}

fn skip_blanks(source: &[u8], from: usize) -> usize {
    let blanks = source[from..].iter().take_while(|byte| byte.is_ascii_whitespace());
    from + blanks.count()
}

/// Where the string that begins at `from` ends, with its quotes.
fn end_of_string(source: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < source.len() {
        match source[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    source.len()
}

/// Where the value that begins at `from` ends.
fn end_of_value(source: &[u8], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < source.len() {
        match source[at] {
            b'"' => at = end_of_string(source, at),
            b'[' | b'{' => (depth, at) = (depth + 1, at + 1),
            b']' | b'}' if depth > 0 => (depth, at) = (depth - 1, at + 1),
            b',' | b']' | b'}' if depth == 0 => return at,
            _ => at += 1,
        }
        if depth == 0 && matches!(source[at - 1], b'"' | b']' | b'}') {
            return at;
        }
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::{self, CaptchaNames, Dialect, Request};

    fn shown(dialect: Dialect, target: &str, body: &str) -> String {
        let request = Request {
            target,
            content_type: None,
            body: body.as_bytes(),
        };
        let submission = submission::read(dialect, request, &CaptchaNames::default()).unwrap();
        let part = if body.is_empty() { Part::Target } else { Part::Body };
        let ranges = secrets(&submission, part);
        super::super::marks::before(&request, part, &ranges)
    }

    #[test]
    fn members_are_masked_by_name_and_urls_by_place_at_any_depth() {
        for (members, expected) in [
            (r#""a":"b","proxyPassword":"p\"q""#, r#""a":"b","proxyPassword":"***""#),
            (
                r#""a":{"b":[{"my_token":[1,{"c":2}],"d":3}]}"#,
                r#""a":{"b":[{"my_token":***,"d":3}]}"#,
            ),
            (r#""cook\u0069es": 5 ,"a":1"#, r#""cook\u0069es": ***,"a":1"#),
            (r#""a":["https://u:p@x/y?z","x"]"#, r#""a":["https://***@x/y?***","x"]"#),
            (r#""a":"https:\/\/u:p@x""#, r#""a":"***""#),
            (r#""websiteURL":"intranet""#, r#""websiteURL":"***""#),
            (r#""websiteURL":"ftp://x.example""#, r#""websiteURL":"***""#),
            (r#""websiteURL":{"a":1}"#, r#""websiteURL":***"#),
            (r#""userAgent":"a (b; c)""#, r#""userAgent":"a (b; c)""#),
        ] {
            let body = |members: &str, key: &str| {
                format!(r#"{{"clientKey":"{key}__m","task":{{"type":"RecaptchaV2Task",{members}}}}}"#)
            };
            let shown = shown(Dialect::CreateTask, "/createTask", &body(members, "k"));
            assert_eq!(shown, body(expected, "***"));
        }
    }

    #[test]
    fn parameters_are_masked_by_name_and_urls_by_place() {
        for (target, expected) in [
            (
                "/in.php?key=k__m&method=a&proxy=u:p@x",
                "/in.php?key=***__m&method=a&proxy=***",
            ),
            (
                "/in.php?pageurl=https://u@a.example/b?c=d&e=f&json=1",
                "/in.php?pageurl=https://***@a.example/b?***&e=***&json=1",
            ),
            ("/in.php?pageurl=https%3A%2F%2Fu%40a.example%2F", "/in.php?pageurl=***"),
            (
                "/in.php?pageurl=https%3A%2F%2Fa.example%2F",
                "/in.php?pageurl=https%3A%2F%2Fa.example%2F",
            ),
            ("/in.php?pageurl=0123456789abcdef", "/in.php?pageurl=***"),
            ("/in.php?0123456789abcdef&method=a", "/in.php?***&method=a"),
            ("/in.php&key=k", "***"),
        ] {
            assert_eq!(shown(Dialect::Legacy, target, ""), expected);
        }
    }
}
