//! Mistakes in a configuration, shown with their line and what to write instead.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{
    Code, Config,
    mask::{mask, mask_toml},
};

/// So many problems are shown whole: a list of thousands of invalid lines would be a report that nobody reads.
pub const SHOWN: usize = 20;

/// A file that was read. Its `Debug` does not show the text, which can hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name as the user gave it.
    pub path: String,
    pub text: String,
    /// Whether it is read again when it changes.
    pub is_followed: bool,
    /// Where its lines begin.
    pub(super) lines: Vec<usize>,
}

impl Source {
    /// A file with its text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        Self {
            path: path.into(),
            is_followed: true,
            lines: std::iter::once(0).chain(ends.map(|end| end + 1)).collect(),
            text,
        }
    }

    /// The line of an offset, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }

    /// The column of an offset in its line, in characters, counted from 1.
    pub fn column(&self, offset: usize) -> usize {
        let start = self.lines[self.line(offset) - 1];
        1 + self.text[start..self.text.floor_char_boundary(offset)].chars().count()
    }

    /// The ranges of some lines; lines that do not exist are left out.
    fn span_of_lines(&self, first: usize, last: usize) -> Range<usize> {
        let start_of = |line: usize| self.lines.get(line - 1).copied();
        start_of(first).unwrap_or(0)..start_of(last + 1).unwrap_or(self.text.len())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = mask(&self.path);
        f.debug_struct("Source").field("path", &path).finish_non_exhaustive()
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, but probably not intended.
    Warning,
}

/// One mistake, or something that is probably not intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// The file, as an index of [`Report::sources`].
    pub source: usize,
    /// Where in it, as bytes.
    pub span: Range<usize>,
    pub message: String,
    /// The text under the mark.
    pub label: String,
    pub help: Option<String>,
}

impl Problem {
    /// A mistake at a place of the configuration file.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            source: 0,
            span,
            message: message.into(),
            label: String::new(),
            help: None,
        }
    }

    /// Makes it a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Puts it into another file.
    pub fn in_source(mut self, source: usize) -> Self {
        self.source = source;
        self
    }

    /// Adds a word under the mark.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean", if one of the known words is close to what was written.
    pub fn suggest<'k>(self, written: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        match meant(written, known) {
            Some(word) => self.help(format!("did you mean \"{word}\"?")),
            None => self,
        }
    }
}

/// What others call it, and what it is called here.
const SYNONYMS: [(&str, &[&str]); 12] = [
    (
        "sites",
        &[
            "domain", "domains", "host", "hosts", "match", "pattern", "patterns", "url", "urls", "website", "websites",
        ],
    ),
    ("id", &["name", "title"]),
    ("key", &["apikey", "api-key", "api_key", "suffix"]),
    ("parameter", &["json", "param"]),
    ("pretty", &["human", "plain", "text"]),
    ("action", &["mode", "do", "nocache"]),
    ("listen", &["address", "bind", "host", "port"]),
    ("url", &["address", "endpoint", "host", "target"]),
    ("add", &["on", "true", "yes", "enable", "set"]),
    ("strip", &["remove"]),
    ("keep", &["allow", "forward", "ignore", "none", "pass", "skip"]),
    ("deny", &["block", "forbid", "refuse", "reject"]),
];

/// The known word that was probably meant: one that means the same, or is written almost the same.
pub fn meant<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let known: Vec<&str> = known.into_iter().collect();
    let written = written.to_ascii_lowercase();
    let mut synonyms = SYNONYMS.iter().filter(|(_, others)| others.contains(&written.as_str()));
    let synonym = synonyms.find_map(|(word, _)| known.iter().find(|known| *known == word));
    synonym.copied().or_else(|| closest(&written, known))
}

/// The known word that is closest to what was written, if it is close.
pub fn closest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let written = written.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= word.len().max(written.len()) / 3 + 1 && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// All that was found in a configuration and the files it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The configuration file, and then the others.
    pub sources: Vec<Source>,
    /// What was found, in file order.
    pub problems: Vec<Problem>,
}

impl Report {
    /// What was found in a configuration.
    pub fn about(config: &Config, problems: Vec<Problem>) -> Self {
        let mut report = Self {
            sources: config.sources.clone(),
            problems,
        };
        report.sort();
        report
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Takes proposals away that repeat what is masked in the file: in another form they would not be masked.
    pub fn hide_proposals(&mut self) {
        let Some(source) = self.sources.first() else {
            return;
        };
        let masked = mask_toml(&source.text);
        for problem in self.problems.iter_mut().filter(|problem| problem.source == 0) {
            if masked.get(problem.span.clone()) != source.text.get(problem.span.clone()) {
                problem.help = None;
            }
        }
    }

    /// Brings everything into file order.
    pub fn sort(&mut self) {
        self.problems
            .sort_by_key(|problem| (problem.source, problem.span.start));
    }

    /// Renders it, with colours for a terminal if wanted: the first problems whole, of the others the number.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        // A secret can go on over several lines, so the whole file is masked; lists of sites are not TOML.
        let toml = self
            .sources
            .first()
            .map(|source| mask_toml(&source.text))
            .unwrap_or_default();
        let shown = self
            .problems
            .iter()
            .take(SHOWN)
            .map(|problem| self.one(problem, &toml, &renderer));
        let mut parts: Vec<String> = shown.collect();
        let left = &self.problems[parts.len()..];
        for (severity, name) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
            match left.iter().filter(|problem| problem.severity == severity).count() {
                0 => {}
                1 => parts.push(format!("and 1 more {name}")),
                count => parts.push(format!("and {count} more {name}s")),
            }
        }
        parts.join("\n\n")
    }

    fn one(&self, problem: &Problem, toml: &str, renderer: &Renderer) -> String {
        // The lines around it are enough for the renderer, which would go through the whole file.
        const AROUND: usize = 2;
        let source = &self.sources[problem.source];
        let first = source.line(problem.span.start).saturating_sub(AROUND).max(1);
        let lines = source.span_of_lines(first, source.line(problem.span.end) + AROUND);
        let text = match problem.source {
            0 => toml[lines.clone()].to_owned(),
            _ => mask(&source.text[lines.clone()]),
        };
        let mark = problem.span.start - lines.start..problem.span.end - lines.start;
        let mark = AnnotationKind::Primary.span(mark).label(mask(&problem.label));
        let snippet = Snippet::source(&text)
            .line_start(first)
            .path(mask(&source.path))
            .annotation(mark);
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level
            .primary_title(mask(&problem.message))
            .id(<&str>::from(problem.code));
        let group = title.element(snippet);
        let group: Group<'_> = match &problem.help {
            Some(help) => group.element(Level::HELP.message(mask(help))),
            None => group,
        };
        renderer.render(&[group])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
