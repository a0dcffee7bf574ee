//! What values there are: how each is read from TOML, with all mistakes in it, and how it is shown and described. serde's
//! derive would stop at the first mistake; a user fixes a file once.

use std::{
    fmt::Display,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde_json::{Value as Json, json};
use strum::VariantArray;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Code,
    files::{Files, Reading},
    report::{Problem, Source},
    units,
};

/// A value with its span.
pub type Value<'i> = Spanned<DeValue<'i>>;

/// A value read, or the mistakes in it.
pub type Read<T> = Result<T, Vec<Problem>>;

type Reader<T> = Box<dyn Fn(&Value<'_>, &mut Files<'_>) -> Read<T>>;
/// Shows a value in a way that reads back; `None` if it is not set.
pub type Show<T> = Box<dyn Fn(&T) -> Option<Json>>;

/// What a value is.
pub struct Shape<T> {
    pub read: Reader<T>,
    pub show: Show<T>,
    pub schema: Json,
    pub example: Json,
}

impl<T: 'static> Shape<T> {
    pub(super) fn new(
        schema: Json,
        example: impl Into<Json>,
        read: impl Fn(&Value<'_>, &mut Files<'_>) -> Read<T> + 'static,
        show: impl Fn(&T) -> Json + 'static,
    ) -> Self {
        Self {
            read: Box::new(read),
            show: Box::new(move |value| Some(show(value))),
            schema,
            example: example.into(),
        }
    }

    /// The same, for a setting that may be left out.
    pub fn optional(self) -> Shape<Option<T>> {
        Shape {
            read: Box::new(move |value, files| (self.read)(value, files).map(Some)),
            show: Box::new(move |value| value.as_ref().and_then(&self.show)),
            schema: self.schema,
            example: self.example,
        }
    }
}

/// The TOML of a value that is shown.
pub fn toml(value: &Json) -> String {
    match value {
        Json::Array(entries) => format!("[{}]", entries.iter().map(toml).collect::<Vec<_>>().join(", ")),
        // Strings, numbers and booleans are written alike in both.
        other => other.to_string(),
    }
}

/// Reads a value that does not come from a file; of the mistakes in it the first.
pub fn read_toml<T>(toml: &str, read: impl FnOnce(&Value<'_>, &mut Files<'_>) -> Read<T>) -> Result<T, String> {
    let document = format!("value = {toml}");
    let root = DeTable::parse(&document).map_err(|error| error.message().to_owned())?;
    let value = root.get_ref().get("value").ok_or("there is no value")?;
    let mut files = Files {
        folder: Path::new(""),
        sources: vec![Source::new(String::new(), document.clone())],
        reading: Reading::First,
    };
    read(value, &mut files).map_err(|problems| problems.into_iter().map(|problem| problem.message).take(1).collect())
}

/// "expected …, found …"
pub fn unexpected(span: Range<usize>, expected: &str, found: &DeValue<'_>) -> Problem {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(Code::WrongType, span, format!("expected {expected}, found {found}"))
}

pub(super) fn one<T>(problem: Problem) -> Read<T> {
    Err(vec![problem])
}

pub(super) fn string_schema() -> Json {
    json!({ "type": "string" })
}

pub(super) fn strings_schema() -> Json {
    json!({ "type": "array", "items": string_schema() })
}

fn shown(value: &impl Display) -> Json {
    Json::from(value.to_string())
}

pub(super) fn all_shown<T: Display>(values: impl AsRef<[T]>) -> Json {
    values.as_ref().iter().map(shown).collect()
}

// === Strings, and what is parsed from one ===

pub(super) fn of_string<T: Display + 'static>(
    example: &str,
    read: impl Fn(&Value<'_>) -> Read<T> + 'static,
) -> Shape<T> {
    Shape::new(string_schema(), example, move |value, _| read(value), shown)
}

pub fn text(example: &str) -> Shape<String> {
    of_string(example, owned)
}

/// A string that is parsed; `code` is the kind of problem if it cannot be.
pub fn parsed<T: FromStr<Err: Display> + Display + 'static>(code: Code, example: &str) -> Shape<T> {
    of_string(example, move |value| parse(code, value))
}

/// The path of a file.
pub fn file(example: &str) -> Shape<PathBuf> {
    let read = |value: &Value<'_>, files: &mut Files<'_>| Ok(files.folder.join(string(value)?));
    Shape::new(string_schema(), example, read, |path| shown(&path.display()))
}

/// One of the words of an enumeration.
pub fn choice<T: VariantArray + Into<&'static str> + Copy>() -> Shape<T> {
    let words = words::<T>();
    let (schema, first) = (json!({ "enum": words }), words.first().copied());
    Shape::new(
        schema,
        first,
        |value, _| one_of(value),
        |word: &T| Json::from((*word).into()),
    )
}

pub(super) fn words<T: VariantArray + Into<&'static str> + Copy>() -> Vec<&'static str> {
    T::VARIANTS.iter().map(|word| (*word).into()).collect()
}

/// The words of an enumeration, as prose: "a, b or c".
pub fn in_words<T: VariantArray + Into<&'static str> + Copy>() -> String {
    let words = words::<T>();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

pub(super) fn string<'t>(value: &'t Value<'_>) -> Read<&'t str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        other => one(unexpected(value.span(), "a string", other)),
    }
}

fn owned(value: &Value<'_>) -> Read<String> {
    string(value).map(str::to_owned)
}

pub(super) fn parse<T: FromStr<Err: Display>>(code: Code, value: &Value<'_>) -> Read<T> {
    string(value)?
        .parse()
        .map_err(|error: T::Err| vec![Problem::new(code, value.span(), error.to_string())])
}

fn one_of<T: VariantArray + Into<&'static str> + Copy>(value: &Value<'_>) -> Read<T> {
    let words = words::<T>();
    let is_action = words.contains(&"strip");
    // What it means is not clear, so both are explained.
    let off = "\"keep\" leaves requests as sent, \"strip\" turns nocache off";
    let DeValue::String(written) = value.get_ref() else {
        let expected = format!("one of {}", words.join(", "));
        let problem = unexpected(value.span(), &expected, value.get_ref());
        return one(match value.get_ref() {
            DeValue::Boolean(true) if is_action => problem.help("write \"add\""),
            DeValue::Boolean(false) if is_action => problem.help(off),
            _ => problem,
        });
    };
    match words.iter().position(|word| word == written) {
        Some(number) => Ok(T::VARIANTS[number]),
        None => {
            let message = format!("expected one of {}, found \"{written}\"", words.join(", "));
            let problem = Problem::new(Code::UnknownWord, value.span(), message);
            let is_off = ["off", "false", "no", "disable", "disabled"].contains(&written.to_ascii_lowercase().as_str());
            one(match is_action && is_off {
                true => problem.help(off),
                false => problem.suggest(written, words),
            })
        }
    }
}

// === Numbers ===

/// `true` or `false`.
pub fn boolean() -> Shape<bool> {
    let read = |value: &Value<'_>, _: &mut Files<'_>| match value.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        other => {
            let problem = unexpected(value.span(), "true or false", other);
            let meant = match other {
                DeValue::String(text) => match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "1" => Some(true),
                    "false" | "no" | "off" | "0" => Some(false),
                    _ => None,
                },
                DeValue::Integer(number) => match number.as_str() {
                    "1" => Some(true),
                    "0" => Some(false),
                    _ => None,
                },
                _ => None,
            };
            one(match meant {
                Some(meant) => problem.help(format!("write {meant}")),
                None => problem,
            })
        }
    };
    Shape::new(json!({ "type": "boolean" }), true, read, |value| Json::from(*value))
}

/// A number of things, at least one.
pub fn count() -> Shape<usize> {
    number_from(1)
}

/// A number of things that can be 0.
pub fn count_or_none() -> Shape<usize> {
    number_from(0)
}

fn number_from(least: usize) -> Shape<usize> {
    const MOST: usize = 1_000_000;
    let read = move |value: &Value<'_>, _: &mut Files<'_>| match value.get_ref() {
        DeValue::Integer(number) => match usize::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (least..=MOST).contains(&number) => Ok(number),
            _ => one(Problem::new(
                Code::OutOfRange,
                value.span(),
                format!("expected a whole number from {least} to {MOST}"),
            )
            .label("out of range")),
        },
        other => one(unexpected(
            value.span(),
            &format!("a whole number, {least} or more"),
            other,
        )),
    };
    Shape::new(json!({ "type": "integer", "minimum": least }), 1, read, |value| {
        Json::from(*value)
    })
}

/// A duration with its unit.
pub fn duration() -> Shape<Duration> {
    durations(any_duration)
}

/// A duration that is not zero: a time limit of zero would let nothing through.
pub fn time_limit() -> Shape<Duration> {
    durations(|value| match any_duration(value)? {
        Duration::ZERO => one(
            Problem::new(Code::OutOfRange, value.span(), "expected a duration above zero")
                .label("this would let nothing through"),
        ),
        duration => Ok(duration),
    })
}

fn durations(read: fn(&Value<'_>) -> Read<Duration>) -> Shape<Duration> {
    let schema = json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$" });
    Shape::new(
        schema,
        "5s",
        move |value, _| read(value),
        |value| Json::from(units::show_duration(*value)),
    )
}

fn any_duration(value: &Value<'_>) -> Read<Duration> {
    with_unit(
        value,
        units::duration,
        "a duration with its unit, such as \"5s\" or \"250ms\"",
        |number| format!("write \"{number}s\""),
    )
}

/// A size with its unit.
pub fn size() -> Shape<usize> {
    let read = |value: &Value<'_>, _: &mut Files<'_>| match any_size(value)? {
        size if (1 << 10..=1 << 30).contains(&size) => Ok(size),
        _ => one(
            Problem::new(Code::OutOfRange, value.span(), "expected a size from 1 KiB to 1 GiB").label("out of range"),
        ),
    };
    let schema = json!({ "type": "string", "pattern": "^[0-9]+ *(B|[kKMG]B|[KMG]iB)$" });
    Shape::new(schema, "1 MiB", read, |value| Json::from(units::show_size(*value)))
}

fn any_size(value: &Value<'_>) -> Read<usize> {
    with_unit(
        value,
        units::size,
        "a size with its unit, such as \"32 MiB\" or \"64 KiB\"",
        |number| match number {
            1024.. => format!("write \"{number} B\" for bytes, or take a larger unit: KiB, MiB, GiB"),
            _ => format!("write \"{number} KiB\", or take a larger unit: MiB, GiB"),
        },
    )
}

fn with_unit<T>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
    help: impl Fn(usize) -> String,
) -> Read<T> {
    match value.get_ref() {
        DeValue::String(text) => parse(text).ok_or_else(|| {
            let problem = Problem::new(Code::InvalidUnit, value.span(), format!("expected {expected}"));
            let problem = problem.label("not understood");
            vec![
                match units::meant(text).find(|meant| !meant.starts_with('0') && parse(meant).is_some()) {
                    Some(meant) => problem.help(format!("write \"{meant}\"")),
                    None => problem,
                },
            ]
        }),
        DeValue::Integer(number) => {
            let problem = Problem::new(
                Code::InvalidUnit,
                value.span(),
                format!("expected {expected}, found a bare number"),
            );
            one(match usize::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) if number > 0 => problem.label("the unit is missing").help(help(number)),
                _ => problem,
            })
        }
        other => one(unexpected(value.span(), expected, other)),
    }
}

// === Lists ===

pub(super) fn list<T: Display + 'static>(
    what: &'static str,
    example: &str,
    read: fn(&Value<'_>) -> Read<T>,
) -> Shape<Vec<T>> {
    let read = move |value: &Value<'_>, _: &mut Files<'_>| match value.get_ref() {
        DeValue::Array(entries) => collect(entries.iter().map(read)),
        other => {
            let problem = unexpected(value.span(), what, other);
            one(match other {
                DeValue::String(text) => problem.help(format!("write [\"{text}\"]")),
                _ => problem,
            })
        }
    };
    Shape::new(strings_schema(), vec![example], read, |values| all_shown(values))
}

/// A list of names.
pub fn names(example: &str) -> Shape<Vec<String>> {
    list("a list of names", example, owned)
}

/// All values, or all mistakes.
pub(super) fn collect<T>(reads: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for read in reads {
        match read {
            Ok(value) => values.push(value),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}
