//! What a client does wrong with nocache itself, so that it probably does not work.

use super::{Dialect, Submission, key_suffix};

/// A mistake of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Lint {
    /// `noCache`, `no_cache` or `no-cache`.
    NocacheMisspelled,
    /// `nocache` beside the task object instead of in it.
    NocacheAtRoot,
    /// `nocache` for a captcha that it is not documented for.
    NocacheNotKnown,
    /// The key has the suffix `__nocache` twice.
    SuffixTwice,
}

impl Lint {
    /// What is wrong and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NocacheMisspelled => "a client misspells nocache: the vendor's name is \"nocache\", in lowercase",
            Self::NocacheAtRoot => "a client sends nocache beside the task object: it belongs in \"task\"",
            Self::NocacheNotKnown => {
                "a client sends nocache for a captcha that the vendor does not document it for: leave it out there"
            }
            Self::SuffixTwice => "a client's key has the suffix __nocache twice: once is enough",
        }
    }
}

const NAME: &str = "nocache";

/// The first mistake in a submission, if there is one (<https://docs.capmonster.cloud/docs/api/token-accept/>).
pub fn lint(submission: &Submission<'_>) -> Option<Lint> {
    let is_of_json = submission.dialect == Dialect::CreateTask;
    let mut is_at_root = false;
    for (number, list) in submission.lists.iter().enumerate() {
        for item in &list.items {
            // Most names have another length.
            match item.name.len() {
                7 if item.name.eq_ignore_ascii_case(NAME) => {
                    if item.name != NAME {
                        return Some(Lint::NocacheMisspelled);
                    }
                    is_at_root |= is_of_json && number == 0;
                }
                8 if ["no_cache", "no-cache"]
                    .iter()
                    .any(|name| item.name.eq_ignore_ascii_case(name)) =>
                {
                    return Some(Lint::NocacheMisspelled);
                }
                _ => {}
            }
        }
    }
    if is_at_root {
        return Some(Lint::NocacheAtRoot);
    }
    let is_documented = submission.captcha.as_ref().is_none_or(|captcha| captcha.kind.is_some());
    if !submission.nocache.is_empty() && !is_documented {
        return Some(Lint::NocacheNotKnown);
    }
    let (list, key) = submission.parameter(submission.key?);
    key_suffix::nocache_segments(list, key)
        .nth(1)
        .map(|_| Lint::SuffixTwice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::{CaptchaNames, Request, read};

    fn of(target: &str, body: &str) -> Option<Lint> {
        let dialect = match body.is_empty() {
            true => Dialect::Legacy,
            false => Dialect::CreateTask,
        };
        let request = Request {
            target,
            content_type: None,
            body: body.as_bytes(),
        };
        lint(&read(dialect, request, &CaptchaNames::default()).unwrap())
    }

    #[test]
    fn mistakes_are_named() {
        let task = |task: &str, root: &str, key: &str| {
            let body = format!(r#"{{"clientKey":"{key}","task":{{"websiteURL":"https://a.example/",{task}}}{root}}}"#);
            of("/createTask", &body)
        };
        let v2 = r#""type":"RecaptchaV2Task""#;
        for (member, root, key, expected) in [
            ("", "", "K", None),
            (r#","nocache":true"#, "", "K", None),
            ("", "", "K__nocache", None),
            (r#","noCache":true"#, "", "K", Some(Lint::NocacheMisspelled)),
            (r#","no_cache":true"#, "", "K", Some(Lint::NocacheMisspelled)),
            ("", r#","No-Cache":1"#, "K", Some(Lint::NocacheMisspelled)),
            ("", r#","nocache":true"#, "K", Some(Lint::NocacheAtRoot)),
            ("", "", "K__nocache__nocache", Some(Lint::SuffixTwice)),
        ] {
            assert_eq!(
                task(&format!("{v2}{member}"), root, key),
                expected,
                "{member}{root}{key}"
            );
        }
        assert_eq!(
            task(r#""type":"TurnstileTask","nocache":true"#, "", "K"),
            Some(Lint::NocacheNotKnown)
        );
        assert_eq!(task(r#""type":"TurnstileTask""#, "", "K"), None);
        let legacy = "/in.php?key=K&method=userrecaptcha&googlekey=g&pageurl=https://a.example/";
        for (more, expected) in [
            ("", None),
            ("&nocache=1", None),
            ("&noCache=1", Some(Lint::NocacheMisspelled)),
            ("&no_cache=1", Some(Lint::NocacheMisspelled)),
        ] {
            assert_eq!(of(&format!("{legacy}{more}"), ""), expected, "{more}");
        }
    }
}
