//! Rules: target sites × captchas → what to do about nocache.
//!
//! A rule lists site patterns ([`SitePattern`]) and captchas ([`CaptchaPattern`]); it speaks of a submission when one of
//! each matches. The first such rule in file order decides; where none does, the default, if its captchas match.
//!
//! # Site patterns
//! | pattern | matches |
//! |---|---|
//! | `example.com` | the domain and every subdomain |
//! | `*.example.com` | its subdomains only |
//! | `=example.com` | that host only |
//! | `*` | every site |
//! | `example.com/login` | as above, where the path is `/login` or below it |
//!
//! Hosts compare as IDNA A-labels without a trailing dot; paths as bytes, case-sensitively, after percent-decoding.
//! An IP literal (`192.0.2.1`, `[::1]`) has no subdomains.

mod captchas;
mod index;
mod near;
mod pattern;

pub use captchas::{CaptchaPattern, CaptchaPatternError};
pub use near::{NearMiss, Why};
pub use pattern::{SitePattern, SitePatternError};

use std::fmt;

use crate::submission::{Captcha, CaptchaNames, Kind, Site};
use index::Index;

/// What a rule wants of nocache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// On, unless the client itself said something.
    Add,
    /// On, whatever the client said.
    Force,
    /// Off: member, parameter and key suffix removed.
    Strip,
    /// As sent.
    Keep,
    /// Not forwarded.
    Deny,
}

impl Action {
    /// Every action with its name in configuration, log and header.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("add", Self::Add),
        ("force", Self::Force),
        ("strip", Self::Strip),
        ("keep", Self::Keep),
        ("deny", Self::Deny),
    ];

    /// The captchas of a rule that lists none: the two that nocache is documented for; for `deny` every one.
    pub fn default_captchas(self) -> Vec<CaptchaPattern> {
        match self {
            Self::Deny => vec![CaptchaPattern::Any],
            _ => Kind::DOCUMENTED.map(CaptchaPattern::Kind).to_vec(),
        }
    }
}

/// Which of the vendor's ways turns nocache on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The member `"nocache":true` or the parameter `nocache=1`.
    Parameter,
    /// The suffix `__nocache` of the API key.
    Key,
}

impl Via {
    /// Every way with its name in configuration, log and header.
    pub const NAMES: [(&'static str, Self); 2] = [("parameter", Self::Parameter), ("key", Self::Key)];
}

/// What happens to a submission that cannot be read without doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// It is forwarded untouched.
    Forward,
    /// It is denied.
    Deny,
}

impl Unreadable {
    /// Both, with their names in configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("forward", Self::Forward), ("deny", Self::Deny)];
}

/// Where a legacy request gets the parameter nocache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LegacyPlace {
    /// Where the request carries `method`, or else `key`.
    #[default]
    Auto,
    /// Always at the end of the URL, the only place that the vendor documents.
    Query,
}

impl LegacyPlace {
    /// Both, with their names in configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("auto", Self::Auto), ("query", Self::Query)];
}

/// The name of a value in a table of names.
pub fn name_of<T: PartialEq>(names: &'static [(&'static str, T)], value: &T) -> &'static str {
    names
        .iter()
        .find(|(_, named)| named == value)
        .map_or("", |(name, _)| name)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::NAMES, self))
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::NAMES, self))
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in log, metric, header and explain. The default's is [`Rule::DEFAULT`].
    pub id: String,
    /// The sites it speaks of. Empty for the default, which speaks of all that no rule names.
    pub sites: Vec<SitePattern>,
    /// The captchas it speaks of.
    pub captchas: Vec<CaptchaPattern>,
    /// What it wants.
    pub action: Action,
    /// By which way.
    pub via: Via,
    /// The line of the configuration file it begins at, counted from 1; none where it is built in.
    pub line: Option<usize>,
}

impl Rule {
    /// The id of the default.
    pub const DEFAULT: &'static str = "default";

    /// The default without a configuration: `add` for reCAPTCHA v2 and v3.
    pub fn built_in_default() -> Self {
        Self {
            id: Self::DEFAULT.to_owned(),
            sites: Vec::new(),
            captchas: Action::Add.default_captchas(),
            action: Action::Add,
            via: Via::Parameter,
            line: None,
        }
    }

    /// Whether it speaks of a captcha.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        self.captchas.iter().any(|pattern| pattern.matches(captcha))
    }

    fn matches(&self, site: &Site, captcha: &Captcha) -> bool {
        self.covers(captcha) && self.sites.iter().any(|pattern| pattern.matches(site))
    }
}

/// All rules of a configuration, ready to decide.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    default: Rule,
    unreadable: Unreadable,
    names: CaptchaNames,
    legacy_place: LegacyPlace,
    index: Index,
}

impl RuleSet {
    /// Builds a set from rules in file order. Where `unreadable` is not said, a deny anywhere makes it
    /// [`Unreadable::Deny`]: else a submission would slip past the deny by being unreadable.
    pub fn new(rules: Vec<Rule>, default: Rule, unreadable: Option<Unreadable>, names: CaptchaNames) -> Self {
        let denies = rules.iter().chain([&default]).any(|rule| rule.action == Action::Deny);
        Self {
            index: Index::new(&rules),
            unreadable: unreadable.unwrap_or(if denies { Unreadable::Deny } else { Unreadable::Forward }),
            rules,
            default,
            names,
            legacy_place: LegacyPlace::Auto,
        }
    }

    /// Says where legacy requests get nocache.
    pub fn with_legacy_place(mut self, place: LegacyPlace) -> Self {
        self.legacy_place = place;
        self
    }

    /// Where legacy requests get nocache.
    pub fn legacy_place(&self) -> LegacyPlace {
        self.legacy_place
    }

    /// The rule before which a pattern can match nothing, because that rule matches all of its sites for each of its
    /// captchas; none if the pattern can match.
    pub fn shadow_of(&self, pattern: &SitePattern, rule: usize) -> Option<&Rule> {
        let captchas = &self.rules[rule].captchas;
        let shadow = self.index.shadow_of(pattern, captchas, u32::try_from(rule).ok()?)?;
        Some(&self.rules[shadow])
    }

    /// The rule for a submission; none if no rule for its site, nor the default, speaks of its captcha. The cost does
    /// not grow with the number of rules, and nothing is allocated.
    pub fn decide(&self, site: &Site, captcha: &Captcha) -> Option<&Rule> {
        match self.index.first(site, captcha) {
            Some(rule) => Some(&self.rules[rule]),
            None => self.or_default(captcha),
        }
    }

    /// What [`Self::decide`] has to answer, found the obvious way: rule by rule.
    pub fn decide_by_scan(&self, site: &Site, captcha: &Captcha) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.matches(site, captcha))
            .or_else(|| self.or_default(captcha))
    }

    /// The rule for a submission without a site: one for every site, or else the default.
    pub fn decide_without_site(&self, captcha: &Captcha) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.covers(captcha) && rule.sites.iter().any(SitePattern::is_every_site))
            .or_else(|| self.or_default(captcha))
    }

    /// Whether any rule, or the default, speaks of a captcha, whatever the site.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        self.index.covers(captcha) || self.default.covers(captcha)
    }

    /// What happens to a submission that cannot be read without doubt.
    pub fn unreadable(&self) -> Unreadable {
        self.unreadable
    }

    /// The type names that submissions are read with.
    pub fn names(&self) -> &CaptchaNames {
        &self.names
    }

    /// The rules in file order, without the default.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule for sites that no rule names.
    pub fn default_rule(&self) -> &Rule {
        &self.default
    }

    fn or_default(&self, captcha: &Captcha) -> Option<&Rule> {
        Some(&self.default).filter(|rule| rule.covers(captcha))
    }
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::new(Vec::new(), Rule::built_in_default(), None, CaptchaNames::default())
    }
}

#[cfg(test)]
mod tests;
