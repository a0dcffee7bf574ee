//! Configurations.

use std::path::Path;

use crate::config::{Reading, Source, read::read};

/// A configuration: it is read, or every mistake in it has a place in it.
pub fn configuration(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    // A file that it names is looked for where there is none.
    let nowhere = Path::new("/nonexistent/folder");
    match read(Source::new("fuzz.toml", text), nowhere, Reading::First) {
        Ok(config) => assert!(config.rules.rules().iter().all(|rule| !rule.sites.is_empty())),
        Err(report) => {
            assert!(!report.is_empty());
            assert!(report.render(false).contains("error"), "{}", report.render(false));
        }
    }
}
