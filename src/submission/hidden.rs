//! What `Debug` shows of a client's bytes, in which there are keys, passwords and cookies: how many they are.

use std::fmt;

/// The `Debug` form of bytes that are not to be shown.
pub struct Hidden(pub usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        rewrite,
        rules::{Action, Rule, RuleSet, Via},
        submission::{CaptchaNames, Dialect, Request, read},
    };

    #[test]
    fn nothing_that_holds_a_clients_bytes_shows_them() {
        let body = r#"{"clientKey":"SECRET__nocache","task":{"type":"RecaptchaV2Task","SECRET":"SECRET","websiteURL":"https://a.example/?SECRET"}}"#;
        let request = Request {
            target: "/createTask?SECRET",
            content_type: Some(b"SECRET"),
            body: body.as_bytes(),
        };
        let submission = read(Dialect::CreateTask, request, &CaptchaNames::default()).unwrap();
        let strip = Rule {
            action: Action::Strip,
            via: Via::Key,
            ..Rule::built_in_default()
        };
        let rules = RuleSet::new(Vec::new(), strip, None, CaptchaNames::default());
        let values: Vec<_> = submission
            .lists
            .iter()
            .flat_map(|list| list.items.iter().map(|item| list.scalar(item)))
            .collect();
        let reading = Ok(submission);
        let plan = rewrite::plan(&reading, &rules);
        assert_eq!(plan.edits.len(), 1);
        let shown = format!("{request:?} {reading:?} {values:?} {plan:?}");
        assert!(!shown.contains("SECRET") && shown.contains("bytes"), "{shown}");
    }
}
