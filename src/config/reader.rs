//! Reads a spanned TOML tree section by section. serde's derive stops at the first mistake; this collects them all, so
//! that a user mends a file once.

use std::{net::SocketAddr, ops::Range, str::FromStr, time::Duration};

use strum::VariantArray;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    report::{Problem, closest},
    settings::SETTINGS,
    units,
};

/// A value and where it stands.
pub type Value<'i> = Spanned<DeValue<'i>>;

/// A table whose keys are taken one by one. What is left at the end is unknown.
pub struct Section<'t, 'i> {
    name: &'static str,
    table: &'t DeTable<'i>,
    known: Vec<&'static str>,
    findings: Findings,
}

/// What came of a section.
#[derive(Debug, Default)]
pub struct Findings {
    /// The mistakes in it.
    pub problems: Vec<Problem>,
    /// The keys that were set, as `section.key`, with the offset they stand at.
    pub set: Vec<(String, usize)>,
    /// Every key that is known, set or not, as `section.key`.
    pub known: Vec<String>,
}

impl Findings {
    fn extend(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.set.extend(other.set);
        self.known.extend(other.known);
    }
}

impl<'t, 'i> Section<'t, 'i> {
    /// Begins a section. Its name appears in messages.
    pub fn new(name: &'static str, table: &'t DeTable<'i>) -> Self {
        Self {
            name,
            table,
            known: Vec::new(),
            findings: Findings::default(),
        }
    }

    /// Takes a key; none if it is absent or its value is wrong, which is noted.
    pub fn take<T>(&mut self, key: &'static str, read: impl FnOnce(&'t Value<'i>) -> Read<T>) -> Option<T> {
        self.known.push(key);
        let path = format!("{}.{key}", self.name);
        self.findings.known.push(path.clone());
        let value = self.table.get(key)?;
        self.findings.set.push((path, value.span().start));
        match read(value) {
            Ok(value) => Some(value),
            Err(problems) => {
                self.findings.problems.extend(problems);
                None
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a key is there, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether there was no mistake so far.
    pub fn is_right(&self) -> bool {
        self.findings.problems.is_empty()
    }

    /// The place of a key, or of the section's first key where it is absent.
    pub fn place(&self, key: &str) -> Option<Range<usize>> {
        let value = self.table.get(key).map(Spanned::span);
        value.or_else(|| self.keys().map(|(_, span)| span).min_by_key(|span| span.start))
    }

    /// Takes a key into a setting that has a default.
    pub fn set<T>(&mut self, setting: &mut T, key: &'static str, read: impl FnOnce(&'t Value<'i>) -> Read<T>) {
        if let Some(value) = self.take(key, read) {
            *setting = value;
        }
    }

    /// Takes a table under a key, reads its keys, and ends it.
    pub fn section(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'t, 'i>)) {
        self.known.push(key);
        let Some(value) = self.table.get(key) else {
            return;
        };
        match value.get_ref() {
            DeValue::Table(table) => {
                let mut section = Section::new(key, table);
                read(&mut section);
                self.findings.extend(section.finish());
            }
            other => {
                let help = format!("write a line [{key}] and its settings below it");
                self.problem(unexpected(value.span(), "a table", other).help(help));
            }
        }
    }

    /// Notes a mistake.
    pub fn problem(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }

    /// Every key in it, with its place.
    pub fn keys(&self) -> impl Iterator<Item = (&'t str, Range<usize>)> + use<'t, 'i> {
        let table = self.table;
        table.keys().map(|key| (key.get_ref().as_ref(), key.span()))
    }

    /// What came of it, unknown keys among the mistakes.
    pub fn finish(mut self) -> Findings {
        for (key, span) in self.keys() {
            if !self.known.contains(&key) {
                let place = match self.name {
                    "" => "at the top level".to_owned(),
                    name => format!("in [{name}]"),
                };
                let problem = Problem::new(span, format!("unknown key \"{key}\" {place}")).label("not known here");
                let elsewhere: Vec<String> = SETTINGS
                    .iter()
                    .filter(|setting| setting.key == key)
                    .map(|setting| format!("[{}]", setting.section))
                    .collect();
                let problem = match closest(key, self.known.iter().copied()) {
                    Some(word) => problem.help(format!("did you mean \"{word}\"?")),
                    None if !elsewhere.is_empty() => {
                        problem.help(format!("\"{key}\" belongs below {}", elsewhere.join(" or ")))
                    }
                    None => problem.help(format!("known here: {}", self.known.join(", "))),
                };
                self.findings.problems.push(problem);
            }
        }
        self.findings
    }
}

/// A value read, or the mistakes in it.
pub type Read<T> = Result<T, Vec<Problem>>;

/// "expected …, found …"
pub fn unexpected(span: Range<usize>, expected: &str, found: &DeValue<'_>) -> Problem {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(span, format!("expected {expected}, found {found}")).label(format!("{expected} belongs here"))
}

fn one<T>(problem: Problem) -> Read<T> {
    Err(vec![problem])
}

/// A string.
pub fn string<'t>(value: &'t Value<'_>) -> Read<&'t str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        other => one(unexpected(value.span(), "a string", other)),
    }
}

/// `true` or `false`.
pub fn boolean(value: &Value<'_>) -> Read<bool> {
    match value.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        other => one(unexpected(value.span(), "true or false", other)),
    }
}

/// A number of things, at least one.
pub fn count(value: &Value<'_>) -> Read<usize> {
    let problem = |found| one(unexpected(value.span(), "a whole number, 1 or more", found));
    match value.get_ref() {
        DeValue::Integer(number) => match usize::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
            _ => one(Problem::new(value.span(), "expected a whole number from 1 to 1000000").label("out of range")),
        },
        other => problem(other),
    }
}

/// A string that is parsed.
pub fn parsed<T: FromStr<Err: std::fmt::Display>>(value: &Value<'_>) -> Read<T> {
    string(value)?
        .parse()
        .map_err(|error: T::Err| vec![Problem::new(value.span(), error.to_string())])
}

/// A duration with its unit.
pub fn duration(value: &Value<'_>) -> Read<Duration> {
    with_unit(
        value,
        units::duration,
        "a duration with its unit, such as \"5s\" or \"250ms\"",
        |number| format!("write \"{number}s\""),
    )
}

/// A duration that is not zero: a time limit of zero would let nothing through.
pub fn time_limit(value: &Value<'_>) -> Read<Duration> {
    match duration(value)? {
        Duration::ZERO => {
            one(Problem::new(value.span(), "expected a duration above zero").label("this would let nothing through"))
        }
        duration => Ok(duration),
    }
}

/// A size with its unit.
pub fn size(value: &Value<'_>) -> Read<usize> {
    let size = any_size(value)?;
    if (1 << 10..=1 << 30).contains(&size) {
        return Ok(size);
    }
    one(Problem::new(value.span(), "expected a size from 1 KiB to 1 GiB").label("out of range"))
}

fn any_size(value: &Value<'_>) -> Read<usize> {
    with_unit(
        value,
        units::size,
        "a size with its unit, such as \"32 MiB\" or \"64 KiB\"",
        |number| format!("write \"{number} B\" for bytes, or take a larger unit: KiB, MiB, GiB"),
    )
}

fn with_unit<T>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
    help: impl Fn(&str) -> String,
) -> Read<T> {
    match value.get_ref() {
        DeValue::String(text) => parse(text)
            .ok_or_else(|| vec![Problem::new(value.span(), format!("expected {expected}")).label("not understood")]),
        DeValue::Integer(number) => one(Problem::new(
            value.span(),
            format!("expected {expected}, found a bare number"),
        )
        .label("the unit is missing")
        .help(help(number.as_str()))),
        other => one(unexpected(value.span(), expected, other)),
    }
}

/// One of the words of a choice.
pub fn choice<T: VariantArray + Into<&'static str> + Copy>(value: &Value<'_>) -> Read<T> {
    let words: Vec<&'static str> = T::VARIANTS.iter().map(|word| (*word).into()).collect();
    let DeValue::String(written) = value.get_ref() else {
        let expected = format!("one of {}", words.join(", "));
        return one(unexpected(value.span(), &expected, value.get_ref()));
    };
    match words.iter().position(|word| word == written) {
        Some(number) => Ok(T::VARIANTS[number]),
        None => {
            let message = format!("expected one of {}, found \"{written}\"", words.join(", "));
            one(Problem::new(value.span(), message)
                .label("not known")
                .suggest(written, words))
        }
    }
}

/// A list, each entry of which is read; all mistakes are collected.
pub fn list<'t, 'i: 't, T>(
    expected: &'static str,
    read: impl Fn(&'t Value<'i>) -> Read<T>,
) -> impl Fn(&'t Value<'i>) -> Read<Vec<T>> {
    move |value| {
        let DeValue::Array(entries) = value.get_ref() else {
            let problem = unexpected(value.span(), expected, value.get_ref());
            return one(match value.get_ref() {
                DeValue::String(text) => problem.help(format!("write [\"{text}\"]")),
                _ => problem,
            });
        };
        collect(entries.iter().map(&read))
    }
}

/// All values, or all mistakes.
pub fn collect<T>(reads: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for read in reads {
        match read {
            Ok(value) => values.push(value),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// An address with a port.
pub fn address(value: &Value<'_>) -> Read<SocketAddr> {
    string(value)?.parse().map_err(|_| {
        let message = "expected an address with a port, such as \"127.0.0.1:6622\" or \"[::1]:6622\"";
        vec![Problem::new(value.span(), message).label("not an address with a port")]
    })
}

/// One address, or a list of them that is not empty.
pub fn addresses(value: &Value<'_>) -> Read<Vec<SocketAddr>> {
    match value.get_ref() {
        DeValue::Array(entries) if entries.is_empty() => {
            one(Problem::new(value.span(), "expected at least one address").label("empty"))
        }
        DeValue::Array(entries) => collect(entries.iter().map(address)),
        _ => address(value).map(|address| vec![address]),
    }
}
