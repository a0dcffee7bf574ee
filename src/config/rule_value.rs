//! The values of rules and tests: ids, captchas, site patterns, and files of them.

use std::ops::Range;

use super::{
    files::Files,
    report::{Problem, closest},
    value::{Read, Shape, Value, all_shown, collect, list, of_string, one, parse, string, string_schema, words},
};
use crate::{
    rules::{CaptchaPattern, CaptchaPatternError, Rule, SitePattern},
    submission::Kind,
};

/// A list of captchas.
pub fn captchas() -> Shape<Vec<CaptchaPattern>> {
    list("a list of captchas", "recaptcha-v2", captcha_pattern)
}

/// A list of site patterns.
pub fn site_patterns() -> Shape<Vec<SitePattern>> {
    list("a list of site patterns", "example.com", parse)
}

/// A rule's id: a token.
pub fn rule_id() -> Shape<String> {
    of_string("shop", id)
}

fn id(value: &Value<'_>) -> Read<String> {
    let id = string(value)?;
    let problem = |message: String| Err(vec![Problem::new(value.span(), message)]);
    let is_token = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    if !is_token {
        return problem(format!(
            "\"{id}\" is no id: an id begins with a small letter and has small letters, digits, \".\", \"_\" and \"-\" in it"
        ));
    }
    if id == Rule::DEFAULT {
        return problem("the id \"default\" is the [default] section's".to_owned());
    }
    Ok(id.to_owned())
}

/// One captcha.
pub fn captcha() -> Shape<CaptchaPattern> {
    of_string("recaptcha-v2", |value| match captcha_pattern(value)? {
        CaptchaPattern::Any => {
            let message = "a test is about one captcha: write a kind or a type name";
            one(Problem::new(value.span(), message))
        }
        pattern => Ok(pattern),
    })
}

fn captcha_pattern(value: &Value<'_>) -> Read<CaptchaPattern> {
    let text = string(value)?;
    text.parse().map_err(|error| {
        let problem = Problem::new(value.span(), format!("\"{text}\" is no captcha: {error}"));
        let kinds = words::<Kind>();
        vec![match error {
            CaptchaPatternError::EmptyMethod => problem.help("write the legacy method's name, such as \"method=hcaptcha\""),
            CaptchaPatternError::TooLong => problem,
            // A kind's name is known by its hyphen or what somebody took for one.
            CaptchaPatternError::Unknown => match closest(text, kinds.iter().copied()).filter(|_| text.contains(['-', '_'])) {
                Some(kind) => problem.help(format!("did you mean \"{kind}\"?")),
                None => problem.help(format!(
                    "a captcha is one of {}, \"*\", a JSON type name such as \"TurnstileTask\", or a legacy method such as \"method=hcaptcha\"",
                    kinds.join(", ")
                )),
            },
        }]
    })
}

/// A file of site patterns.
pub fn sites_file() -> Shape<Vec<SitePattern>> {
    Shape::new(string_schema(), "sites.txt", patterns_of_file, |values| {
        all_shown(values)
    })
}

/// Reads a file of site patterns: one per line; `#` begins a comment.
fn patterns_of_file(value: &Value<'_>, files: &mut Files<'_>) -> Read<Vec<SitePattern>> {
    let path = files.folder.join(string(value)?);
    let problem = |message: String| Err(vec![Problem::new(value.span(), message)]);
    let source = match files.reading.source(&path) {
        Ok(source) => source,
        Err(error) => return problem(format!("{} {error}", path.display())),
    };
    let number = files.sources.len();
    let text = &source.text;
    let patterns = collect(lines(text).filter(|span| !span.is_empty()).map(|span| {
        let pattern = text[span.clone()].parse::<SitePattern>();
        pattern.map_err(|error| vec![Problem::new(span, error.to_string()).in_source(number)])
    }));
    files.sources.push(source);
    match patterns {
        Ok(patterns) if patterns.is_empty() => problem(format!("{} has no site pattern in it", path.display())),
        patterns => patterns,
    }
}

/// The range of each line's content, without a byte order mark, comment and white space.
pub fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        let content = line.split('#').next().unwrap_or_default();
        let content = content.trim_start_matches('\u{feff}');
        let skipped = content.as_ptr() as usize - line.as_ptr() as usize;
        let leading = content.len() - content.trim_start().len();
        let begin = start + skipped + leading;
        begin..begin + content.trim().len()
    })
}
