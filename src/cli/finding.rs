//! What `doctor` finds.

use crate::config::{mask::mask, report::Severity};

/// What was looked at, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub about: &'static str,
    /// `None` if it is OK.
    pub severity: Option<Severity>,
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Finding {
    pub fn ok(about: &'static str, message: impl Into<String>) -> Self {
        Self {
            about,
            severity: None,
            message: mask(&message.into()),
            advice: None,
        }
    }

    pub fn warning(about: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Some(Severity::Warning),
            ..Self::ok(about, message)
        }
    }

    pub fn error(about: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Some(Severity::Error),
            ..Self::ok(about, message)
        }
    }

    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(mask(&advice.into())),
            ..self
        }
    }
}
