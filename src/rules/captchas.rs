//! Which captchas a rule speaks of.

use std::{fmt, str::FromStr};

use crate::submission::{Captcha, Kind, captcha::Name};

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

/// Why a text is no [`CaptchaPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptchaPatternError {
    /// Neither a kind nor what a type name looks like.
    #[error("no such captcha")]
    Unknown,
    /// `method=` and nothing behind it.
    #[error("a method's name is missing")]
    EmptyMethod,
}

impl CaptchaPattern {
    /// Whether it covers a captcha.
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
            Some("") => Err(CaptchaPatternError::EmptyMethod),
            Some(method) => Ok(Self::Method(method.to_owned())),
            // Kinds are written with hyphens and in lower case, type names in one capitalised word: a misspelt kind is an error.
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
