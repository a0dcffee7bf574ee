//! Mistakes in a configuration, shown with the line they stand in and what to write instead.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One mistake, or something that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What stands under the mark.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: String::new(),
            help: None,
        }
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
        match closest(written, known) {
            Some(word) => self.help(format!("did you mean \"{word}\"?")),
            None => self,
        }
    }
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

/// All mistakes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file's name as the user gave it.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The mistakes, in file order.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Renders it, with colours for a terminal if wanted.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let reports: Vec<String> = self
            .problems
            .iter()
            .map(|problem| renderer.render(&[self.group(problem)]))
            .collect();
        reports.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let mark = AnnotationKind::Primary.span(problem.span.clone()).label(&problem.label);
        let snippet = Snippet::source(&self.text).path(&self.path).annotation(mark);
        let group = Level::ERROR.primary_title(&problem.message).element(snippet);
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
