//! The kinds of problems, by names that stay.

use strum::{Display, IntoStaticStr, VariantArray};

/// The kind of a problem. Its name is part of what is promised: machines compare it, and docs/errors.md explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Code {
    FileUnreadable,
    FileEncoding,
    OtherLanguage,
    Syntax,
    OpenList,
    TypographicQuotes,
    BackslashInText,
    UnquotedText,
    UnknownKey,
    MissingKey,
    WrongType,
    UnknownWord,
    InvalidValue,
    InvalidAddress,
    InvalidHost,
    InvalidUrl,
    InvalidUnit,
    OutOfRange,
    InvalidId,
    IdTaken,
    NoSites,
    InvalidPattern,
    UnknownCaptcha,
    UnknownRule,
    TestFailed,
    InvalidCertificate,
    RuleChangesNothing,
    ShadowedPattern,
    PublicSuffix,
    MisspelledCaptcha,
    MisspelledVariable,
    UnusedProxyVariable,
    DoubtfulListener,
    UpstreamLoop,
}

impl Code {
    /// What it means and what to do, in a sentence or two.
    pub fn about(self) -> &'static str {
        match self {
            Self::FileUnreadable => {
                "A file is missing or cannot be read, or a list of sites in it is empty. Check its path, which begins at the folder of the configuration, and its permissions."
            }
            Self::FileEncoding => {
                "A file is not UTF-8 text. Save it as UTF-8; a byte order mark does no harm. PowerShell 5 writes UTF-16 with `>`: use `Out-File -Encoding utf8`."
            }
            Self::OtherLanguage => {
                "The file is YAML or JSON. The configuration is TOML; `nocache-gateway init` writes an example."
            }
            Self::Syntax => "The file is not valid TOML (<https://toml.io>), in the words of the parser.",
            Self::OpenList => "A list has no closing bracket before the next key or section.",
            Self::TypographicQuotes => {
                "A word processor or a chat has replaced the quotation marks. TOML takes `\"` and `'` alone."
            }
            Self::BackslashInText => {
                "In double quotes a backslash begins an escape, as in `\"\\n\"`. Write paths of Windows in single quotes."
            }
            Self::UnquotedText => "Text is written in quotation marks; numbers, `true` and `false` are not.",
            Self::UnknownKey => "There is no such setting or section at this place.",
            Self::MissingKey => "A rule or a test lacks a key that it cannot do without.",
            Self::WrongType => "A value is of another type than its setting: text for a number, one text for a list.",
            Self::UnknownWord => "A value is none of the words that its setting knows.",
            Self::InvalidValue => "A flag or an environment variable has an invalid value.",
            Self::InvalidAddress => {
                "A listener has an IP address with a port, such as `127.0.0.1:6622`; `[server] allow` has addresses and ranges, such as `10.0.0.0/8`."
            }
            Self::InvalidHost => "A name of the gateway itself is a host alone: no scheme, no port, no pattern.",
            Self::InvalidUrl => "The URL of the upstream or of a proxy cannot be used.",
            Self::InvalidUnit => {
                "Durations and sizes are text with a unit: `\"250ms\"`, `\"5s\"`, `\"2m\"`, `\"1h\"`; `\"64 KiB\"`, `\"32 MiB\"`."
            }
            Self::OutOfRange => "A number, a duration or a size is too small or too large, or a list is empty.",
            Self::InvalidId => {
                "A rule's id appears in log, header and metrics: lowercase letters, digits, `.`, `_` and `-`, beginning with a letter."
            }
            Self::IdTaken => "Two rules have the same id.",
            Self::NoSites => "A rule applies to no site. `\"*\"` is every site.",
            Self::InvalidPattern => {
                "A site pattern is a host, its path or `*` ([rules.md](rules.md)): no scheme, port or query, and neither a glob nor a regular expression, which could silently match nothing."
            }
            Self::UnknownCaptcha => {
                "A captcha is a kind such as `recaptcha-v2`, `*`, a JSON type name such as `TurnstileTask`, or a legacy method such as `method=hcaptcha`."
            }
            Self::UnknownRule => "A test names a rule that does not exist.",
            Self::TestFailed => "A `[[test]]` expects something else than what the rules do; `explain` says why.",
            Self::InvalidCertificate => "A certificate, its key or the local CA cannot be used.",
            Self::RuleChangesNothing => {
                "Without this rule the same would happen, since `[default]` does it for every site. Write `action = \"keep\"` below `[default]` for nocache on no other sites than those of rules."
            }
            Self::ShadowedPattern => {
                "A rule further up matches everything that this pattern does. The first match decides."
            }
            Self::PublicSuffix => {
                "The pattern is a whole public suffix (<https://publicsuffix.org>) and matches every site under it."
            }
            Self::MisspelledCaptcha => {
                "A type or method is almost that of the vendor's documentation, so it is probably meant and never matches as written."
            }
            Self::MisspelledVariable => {
                "An environment variable is named almost like one that is read. It is not read."
            }
            Self::UnusedProxyVariable => {
                "A proxy is set in the environment, which the gateway does not use. `[upstream] proxy` names one."
            }
            Self::DoubtfulListener => "A listener, its names or its certificate are probably not as intended.",
            Self::UpstreamLoop => "The address of the upstream leads back to this gateway.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Kinds that do not come from a file.
    const OF_ENVIRONMENT: [Code; 3] = [Code::InvalidValue, Code::MisspelledVariable, Code::UnusedProxyVariable];

    /// The shortest of the broken configurations that has a problem of this kind, with its report.
    fn example(code: Code) -> Option<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/broken");
        let mut examples = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "report") {
                let report = fs::read_to_string(&path).unwrap();
                let config = fs::read(path.with_extension("toml")).unwrap();
                let config = String::from_utf8_lossy(&config).into_owned();
                examples.push((config, report));
            }
        }
        examples.retain(|(_, report)| report.contains(&format!("[{code}]")));
        examples.sort_by_key(|(config, report)| (report.len(), config.clone()));
        examples.into_iter().next()
    }

    fn document() -> String {
        let mut text = "# Problems of a configuration\n\n\
            <!-- UPDATE_REPORTS=1 cargo test writes this page; a test fails where it differs. -->\n\n\
            What `check` finds has a code, in brackets and in `check --json`; a code keeps its meaning. The examples are those of\n\
            the tests.\n"
            .to_owned();
        for &code in Code::VARIANTS {
            text += &format!("\n## {code}\n\n{}\n", code.about());
            if let Some((config, report)) = example(code) {
                text += &format!("\n```toml\n{}\n```\n", config.trim());
                text += &format!("```text\n{}\n```\n", report.trim_end());
            }
        }
        text
    }

    #[test]
    fn every_kind_has_an_example_and_is_in_the_document() {
        let without: Vec<Code> = Code::VARIANTS
            .iter()
            .copied()
            .filter(|code| example(*code).is_none())
            .collect();
        assert_eq!(without, OF_ENVIRONMENT);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
        if std::env::var_os("UPDATE_REPORTS").is_some() {
            fs::write(&path, document()).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap() == document(),
            "docs/errors.md differs: see its first lines"
        );
    }
}
