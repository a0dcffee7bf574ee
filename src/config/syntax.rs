//! Files that are not TOML: what was probably meant. One mistake makes one report, although a parser that goes on finds many.

use std::ops::Range;

use super::{Code, report::Problem};

/// What a rule looks like, for who has written it in another language.
const EXAMPLE: &str = "in TOML a rule is written like this:

[[rule]]
id = \"shop\"
sites = [\"shop.example\"]
action = \"add\"

a complete example: nocache-gateway init example.toml";

/// An error of the parser: where it is, and in its words.
pub type SyntaxError = (Range<usize>, String);

/// What is wrong with a text in which the parser found errors.
pub fn problems(text: &str, errors: &[SyntaxError]) -> Vec<Problem> {
    let Some((first, _)) = errors.first() else {
        return Vec::new();
    };
    if let Some((line, language)) = other_language(text) {
        let message = format!("this file looks like {language}, but the configuration must be TOML");
        return vec![Problem::new(Code::OtherLanguage, line, message).help(EXAMPLE)];
    }
    // What follows an open bracket is read as a part of its list, so every later error is one of its effects.
    if let Some(bracket) = open_bracket(text, first.start) {
        let problem = Problem::new(
            Code::OpenList,
            bracket..bracket + 1,
            "missing \"]\" at the end of this list",
        );
        return vec![problem.label("no \"]\" follows").help("put \"]\" after its last entry")];
    }
    let mut problems: Vec<Problem> = Vec::new();
    let mut last: Option<Range<usize>> = None;
    for (span, message) in errors {
        if last
            .as_ref()
            .is_none_or(|last| !(last.start..=last.end).contains(&span.start))
        {
            let line = line_around(text, span.start);
            let problem = in_line(text, &line, span, message);
            last = Some(line);
            // Of a line the parser may speak twice.
            if problems.iter().all(|before| before.span != problem.span) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// The language of a text that is none of TOML at all, and the line that shows it.
fn other_language(text: &str) -> Option<(Range<usize>, &'static str)> {
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        let content = line.trim();
        let begin = at + line.len() - line.trim_start().len();
        at += line.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let span = begin..begin + content.len();
        let name = content.split(':').next().unwrap_or_default();
        let is_key = is_bare_key(name);
        let after = content[name.len()..].strip_prefix(':');
        return match content {
            _ if content.starts_with('{') => Some((span, "JSON")),
            "---" => Some((span, "YAML")),
            _ if content.starts_with("- ") => Some((span, "YAML")),
            _ if is_key && after.is_some_and(|after| after.is_empty() || after.starts_with(' ')) => {
                Some((span, "YAML"))
            }
            _ => None,
        };
    }
    None
}

/// The bracket of a list of values that is open at a line's beginning, where the line begins a key or a table.
fn open_bracket(text: &str, error: usize) -> Option<usize> {
    let line = line_around(text, error);
    let content = text[line.clone()].trim_start();
    let begins_anew = content.starts_with('[') || content.split(['"', '\'', '#']).next()?.contains('=');
    if !begins_anew {
        return None;
    }
    let mut open = Vec::new();
    let mut quote = None;
    let mut is_comment = false;
    let before = &text[..line.start];
    for (index, character) in before.char_indices() {
        match (quote, character) {
            (_, '\n') => (quote, is_comment) = (None, false),
            _ if is_comment => {}
            (Some(mark), _) if character == mark => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') => is_comment = true,
            (None, '[') => open.push(index),
            (None, ']') => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// Whether a text can be a key without quotation marks.
fn is_bare_key(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.bytes().all(is_part)
}

fn in_line(text: &str, line: &Range<usize>, span: &Range<usize>, message: &str) -> Problem {
    let content = text[line.clone()].split('#').next().unwrap_or_default();
    of_key(text, line, content, span, message).unwrap_or_else(|| of_value(text, line, content, span, message))
}

/// What is wrong with the beginning of a line, or the key in it.
fn of_key(text: &str, line: &Range<usize>, content: &str, span: &Range<usize>, message: &str) -> Option<Problem> {
    let trimmed = content.trim_start();
    let start = line.start + content.len() - trimmed.len();
    if trimmed.starts_with("//") {
        let message = "a comment in TOML begins with \"#\", not with \"//\"";
        return Some(Problem::new(Code::Syntax, start..start + 2, message).help("put \"#\" there"));
    }
    if let Some((key, _)) = trimmed.split_once(':')
        && is_bare_key(key.trim_end())
    {
        let colon = start + key.len();
        let message = "TOML has \"=\" between key and value, not \":\"";
        return Some(Problem::new(Code::Syntax, colon..colon + 1, message).help("put \"=\" there"));
    }
    if message.starts_with("duplicate key") {
        let key = text.get(span.clone())?;
        let first = first_line_with(text, line.start, key)?;
        let message = format!("\"{key}\" is set already in line {first}");
        return Some(
            Problem::new(Code::Syntax, span.clone(), message).help(match content.contains('[') {
                true => "write all entries into one list, and keep one of the lines",
                false => "keep one of the two lines",
            }),
        );
    }
    let has_no_sign = message.starts_with("key with no value");
    has_no_sign.then(|| Problem::new(Code::Syntax, span.clone(), "\"=\" is missing after the key"))
}

/// What is wrong with the value in a line.
fn of_value(text: &str, line: &Range<usize>, content: &str, span: &Range<usize>, message: &str) -> Problem {
    const CURLY: [char; 7] = ['“', '”', '„', '‘', '’', '«', '»'];
    if let Some(place) = content.find(CURLY) {
        let message = "curly quotes are not valid in TOML: use straight ones";
        let start = line.start + place;
        let mark = content[place..].chars().next().map_or(1, char::len_utf8);
        let quoted = &content[place + mark..];
        return match quoted
            .char_indices()
            .find(|(_, c)| CURLY.contains(c) || matches!(c, '"' | '\\'))
        {
            Some((inner, end)) if CURLY.contains(&end) => {
                let span = start..start + mark + inner + end.len_utf8();
                let help = format!("write \"{}\"", &quoted[..inner]);
                Problem::new(Code::TypographicQuotes, span, message).help(help)
            }
            _ => Problem::new(Code::TypographicQuotes, start..start + mark, message).help("put \" on both sides"),
        };
    }
    if message.contains("unicode value digits") || message.contains("escape") {
        let message = "in double quotes \"\\\" begins an escape: use single quotes";
        return match path_around(text, line, span.start) {
            Some(path) => Problem::new(Code::BackslashInText, path.clone(), message)
                .help(format!("write '{}'", &text[path.start + 1..path.end - 1])),
            None => Problem::new(Code::BackslashInText, span.clone(), message).help("put a path in single quotes"),
        };
    }
    // A word that begins like true or false is taken for one of them.
    if message.starts_with("string values must be quoted") || message.starts_with("invalid boolean") {
        let written = text.get(span.clone()).unwrap_or_default().trim();
        // What could be a secret is not repeated: a word or a site is none.
        let is_word = (1..=12).contains(&written.len()) && written.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let of_site = |b: u8| b.is_ascii_lowercase() || matches!(b, b'.' | b'*' | b'-' | b'_' | b'/');
        let is_plain = is_word || written.len() <= 64 && written.contains('.') && written.bytes().all(of_site);
        let problem = Problem::new(Code::UnquotedText, span.clone(), "strings must be quoted");
        return match is_plain {
            true => problem.help(format!("write \"{written}\"")),
            false => problem,
        };
    }
    Problem::new(Code::Syntax, span.clone(), message)
}

/// The line, counted from 1, of the same table in front of a place that sets a key.
fn first_line_with(text: &str, before: usize, key: &str) -> Option<usize> {
    let lines: Vec<&str> = text[..before].lines().collect();
    let of_table = lines
        .iter()
        .enumerate()
        .rev()
        .take_while(|(_, line)| !line.trim_start().starts_with('['));
    let mut setting = of_table.filter(|(_, line)| line.split('=').next().is_some_and(|name| name.trim() == key));
    setting.next().map(|(number, _)| number + 1)
}

/// The Windows path around a place of a line, with its double quotes.
fn path_around(text: &str, line: &Range<usize>, at: usize) -> Option<Range<usize>> {
    let begin = line.start + text.get(line.start..at)?.rfind('"')?;
    let end = begin + 1 + text.get(begin + 1..line.end)?.find('"')?;
    let path = text.get(begin + 1..end)?;
    let is_path = path.get(1..3) == Some(r":\") && !path.contains('\'');
    is_path.then_some(begin..end + 1)
}

fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    start..end
}
