//! The values of rules and tests: ids, captchas, site patterns, and files of them.

use std::{ops::Range, path::Path};

use super::{
    Code,
    files::Files,
    report::{Problem, closest},
    value::{Read, Shape, Value, all_shown, collect, list, of_string, one, parse, string, string_schema, words},
    vendor,
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
    list("a list of site patterns", "example.com", site_pattern)
}

/// A rule's id: a token.
pub fn rule_id() -> Shape<String> {
    of_string("shop", id)
}

fn id(value: &Value<'_>) -> Read<String> {
    let id = string(value)?;
    if is_id(id) {
        return match id {
            Rule::DEFAULT => {
                let message = "the id \"default\" is that of the [default] section";
                one(Problem::new(Code::IdTaken, value.span(), message))
            }
            _ => Ok(id.to_owned()),
        };
    }
    let message =
        format!("invalid id \"{id}\": use lowercase letters, digits, \".\", \"_\" and \"-\", beginning with a letter");
    let problem = Problem::new(Code::InvalidId, value.span(), message);
    one(match proposed_id(id) {
        Some(proposed) => problem.help(format!("write \"{proposed}\"")),
        None => problem,
    })
}

fn is_id(id: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    id.starts_with(|c: char| c.is_ascii_lowercase()) && id.bytes().all(is_part)
}

/// An id that is close to a text: lowercase, with hyphens instead of what cannot be in an id.
fn proposed_id(text: &str) -> Option<String> {
    let of_id = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') => c,
        _ => '-',
    };
    let hyphened: String = text.chars().map(of_id).collect();
    let words: Vec<&str> = hyphened.split('-').filter(|word| !word.is_empty()).collect();
    let id = match words.first() {
        Some(first) if first.starts_with(|c: char| c.is_ascii_lowercase()) => words.join("-"),
        Some(_) => format!("rule-{}", words.join("-")),
        None => return None,
    };
    (is_id(&id) && id != Rule::DEFAULT).then_some(id)
}

fn site_pattern(value: &Value<'_>) -> Read<SitePattern> {
    let text = string(value)?;
    let several: Vec<&str> = text
        .split(|c: char| matches!(c, ',' | ';') || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .collect();
    let is_list = several.len() > 1 && several.iter().all(|part| part.parse::<SitePattern>().is_ok());
    if is_list {
        let message = "each site pattern must be a string of its own";
        let shown: Vec<String> = several.iter().map(|part| format!("\"{part}\"")).collect();
        let help = format!("write {}", shown.join(", "));
        return one(Problem::new(Code::InvalidPattern, value.span(), message).help(help));
    }
    parse(Code::InvalidPattern, value)
}

/// One captcha.
pub fn captcha() -> Shape<CaptchaPattern> {
    of_string("recaptcha-v2", |value| match captcha_pattern(value)? {
        CaptchaPattern::Any => {
            let message = "a test is about one captcha: write a kind or a type name";
            one(Problem::new(Code::UnknownCaptcha, value.span(), message))
        }
        pattern => Ok(pattern),
    })
}

fn captcha_pattern(value: &Value<'_>) -> Read<CaptchaPattern> {
    let text = string(value)?;
    text.parse().map_err(|error| {
        let kinds = words::<Kind>();
        let problem = |message: String| Problem::new(Code::UnknownCaptcha, value.span(), message);
        vec![match error {
            CaptchaPatternError::EmptyMethod => problem(format!("invalid captcha \"{text}\": {error}"))
                .help("write the legacy method's name, such as \"method=hcaptcha\""),
            CaptchaPatternError::TooLong => problem(format!("invalid captcha: {error}")),
            CaptchaPatternError::Unknown => {
                let problem = problem(format!("unknown captcha \"{text}\""));
                if text.eq_ignore_ascii_case("recaptcha") {
                    return vec![problem.help("write \"recaptcha-v2\", \"recaptcha-v3\"")];
                }
                match meant_captcha(text, &kinds) {
                    Some(meant) => problem.help(format!("did you mean \"{meant}\"?")),
                    None => problem.help(format!(
                        "a captcha is one of {}, \"*\", a JSON type name such as \"TurnstileTask\", or a legacy method such as \"method=hcaptcha\"",
                        kinds.join(", ")
                    )),
                }
            }
        }]
    })
}

/// The captcha that is probably meant by a word that is none: a kind, known by its hyphen or what somebody took for one; or
/// a method of the legacy API or a type, without what tells them apart.
fn meant_captcha(text: &str, kinds: &[&'static str]) -> Option<String> {
    let lower = text.to_ascii_lowercase().replace([' ', '_'], "-");
    let of_kind = |lower: &str| match lower {
        "recaptchav2" | "recaptcha2" | "userrecaptcha" => Some("recaptcha-v2"),
        "recaptchav3" | "recaptcha3" => Some("recaptcha-v3"),
        _ => None,
    };
    if let Some(kind) = of_kind(&lower.replace('-', "")) {
        return Some(kind.to_owned());
    }
    if text.contains(['-', '_']) {
        return closest(text, kinds.iter().copied()).map(str::to_owned);
    }
    let name = vendor::TYPES
        .iter()
        .find(|name| name.to_ascii_lowercase().trim_end_matches("task") == lower);
    let method = || {
        vendor::METHODS
            .contains(&lower.as_str())
            .then(|| format!("method={lower}"))
    };
    name.map(|name| (*name).to_owned()).or_else(method)
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
    let problem = |code, message: String| one(Problem::new(code, value.span(), message));
    let source = match files.reading.source(&path) {
        Ok(source) => source,
        Err(error) => {
            let problem = Problem::new(error.code(), value.span(), format!("{} {error}", path.display()));
            return one(match Path::new(string(value)?).is_relative() {
                true => problem.help("its path begins at the folder of the configuration; it has one pattern per line"),
                false => problem,
            });
        }
    };
    let number = files.sources.len();
    let text = &source.text;
    let patterns = collect(lines(text).filter(|span| !span.is_empty()).map(|span| {
        let pattern = text[span.clone()].parse::<SitePattern>();
        pattern.map_err(|error| vec![Problem::new(Code::InvalidPattern, span, error.to_string()).in_source(number)])
    }));
    files.sources.push(source);
    match patterns {
        Ok(patterns) if patterns.is_empty() => problem(
            Code::FileUnreadable,
            format!("{} has no site pattern in it", path.display()),
        ),
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
