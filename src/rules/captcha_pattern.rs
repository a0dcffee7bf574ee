//! A captcha pattern: a kind, a JSON type name, a legacy method, or `*`.

use std::{fmt, str::FromStr};

use crate::submission::{
    Captcha, CaptchaNames, Kind,
    captcha::{self, Name},
};

/// An entry of a rule's `captchas`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CaptchaPattern {
    /// `"*"`: every captcha.
    Any,
    /// A kind's name, such as `"recaptcha-v2"`.
    Kind(Kind),
    /// A JSON type name, such as `"TurnstileTask"`, compared ASCII case-insensitively.
    Type(String),
    /// A legacy method, such as `"method=hcaptcha"`, compared ASCII case-insensitively.
    Method(String),
}

/// The reason why a text is not a valid [`CaptchaPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptchaPatternError {
    /// Neither a kind nor a possible type name.
    #[error("no such captcha")]
    Unknown,
    /// `method=` without a name.
    #[error("a method's name is missing")]
    EmptyMethod,
    /// A name that is longer than [`captcha::MAX_NAME`].
    #[error("a name has at most {} bytes", captcha::MAX_NAME)]
    TooLong,
}

impl CaptchaPattern {
    /// Whether it matches a captcha.
    pub fn matches(&self, captcha: &Captcha) -> bool {
        match (self, &captcha.name) {
            (Self::Any, _) => true,
            (Self::Kind(kind), _) => captcha.kind == Some(*kind),
            (Self::Type(pattern), Name::Type(name)) | (Self::Method(pattern), Name::Method(name)) => {
                pattern.eq_ignore_ascii_case(name)
            }
            (Self::Type(_) | Self::Method(_), _) => false,
        }
    }
}

impl CaptchaPattern {
    /// A captcha that it matches, for tests and explanations; `None` for `*`, which is not one captcha.
    pub fn example(&self, names: &CaptchaNames) -> Option<Captcha> {
        match self {
            Self::Any => None,
            Self::Kind(kind) => Some(names.of_type(kind.type_name(), false)),
            Self::Type(name) => Some(names.of_type(name, false)),
            Self::Method(method) => Some(captcha::of_method(method, false, false)),
        }
    }
}

impl FromStr for CaptchaPattern {
    type Err = CaptchaPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(kind) = text.parse() {
            return Ok(Self::Kind(kind));
        }
        match text.strip_prefix("method=") {
            _ if text.len() > captcha::MAX_NAME => Err(CaptchaPatternError::TooLong),
            Some("") => Err(CaptchaPatternError::EmptyMethod),
            Some(method) => Ok(Self::Method(method.to_owned())),
            // Kinds are lowercase with hyphens, type names one capitalised word, so a misspelt kind is an error.
            None if text.starts_with(|c: char| c.is_ascii_uppercase())
                && text.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                Ok(Self::Type(text.to_owned()))
            }
            None => Err(CaptchaPatternError::Unknown),
        }
    }
}

impl fmt::Display for CaptchaPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Kind(kind) => kind.fmt(f),
            Self::Type(name) => f.write_str(name),
            Self::Method(name) => write!(f, "method={name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captcha_pattern_has_at_most_253_bytes() {
        for (text, is_valid) in [
            ("T".repeat(253), true),
            ("T".repeat(254), false),
            (format!("method={}", "a".repeat(246)), true),
            (format!("method={}", "a".repeat(247)), false),
        ] {
            assert_eq!(text.parse::<CaptchaPattern>().is_ok(), is_valid, "{text}");
        }
    }
}
