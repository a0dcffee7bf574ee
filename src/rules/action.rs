//! What a rule does to nocache, and by which of the vendor's ways.

use super::CaptchaPattern;
use crate::submission::Kind;

/// What a rule does to nocache.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Action {
    /// Turns it on, unless the client itself gave a value.
    Add,
    /// Turns it on, whatever the client gave.
    Force,
    /// Turns it off: member, parameter and key suffix are removed.
    Strip,
    /// Leaves it as sent.
    Keep,
    /// Does not forward the submission.
    Deny,
}

impl Action {
    /// The captchas of a rule that lists none: the two that nocache is documented for; for `deny` every captcha.
    pub fn default_captchas(self) -> Vec<CaptchaPattern> {
        match self {
            Self::Deny => vec![CaptchaPattern::Any],
            _ => Kind::DOCUMENTED.map(CaptchaPattern::Kind).to_vec(),
        }
    }
}

/// The way in which nocache is turned on (<https://docs.capmonster.cloud/docs/api/token-accept/>).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Via {
    /// The member `"nocache":true` or the parameter `nocache=1`.
    Parameter,
    /// The suffix `__nocache` of the API key.
    Key,
}
