//! One rule.

use smol_str::SmolStr;

use super::{Action, CaptchaPattern, SitePattern, Via};
use crate::submission::Captcha;
#[cfg(test)]
use crate::submission::Site;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in log, metrics, header and explain. The default's is [`Rule::DEFAULT`].
    pub id: SmolStr,
    /// The sites it applies to. Empty for the default, which applies to every site that no rule matches.
    pub sites: Vec<SitePattern>,
    /// The captchas it applies to.
    pub captchas: Vec<CaptchaPattern>,
    /// What it does to nocache.
    pub action: Action,
    /// The way in which it turns nocache on.
    pub via: Via,
    /// The line of the configuration file where it begins, counted from 1; `None` if it is built in.
    pub line: Option<usize>,
}

impl Rule {
    /// The id of the default.
    pub const DEFAULT: &'static str = "default";

    /// The default without a configuration: `add` for reCAPTCHA v2 and v3.
    pub fn built_in_default() -> Self {
        Self {
            id: SmolStr::new_static(Self::DEFAULT),
            sites: Vec::new(),
            captchas: Action::Add.default_captchas(),
            action: Action::Add,
            via: Via::Parameter,
            line: None,
        }
    }

    /// Whether it applies to a captcha.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        self.captchas.iter().any(|pattern| pattern.matches(captcha))
    }

    /// Whether it applies to a site and a captcha.
    #[cfg(test)]
    pub(super) fn applies_to(&self, site: &Site, captcha: &Captcha) -> bool {
        self.covers(captcha) && self.sites.iter().any(|pattern| pattern.matches(site))
    }
}
