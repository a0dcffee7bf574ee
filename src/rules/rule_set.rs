//! All rules of a configuration, ready to decide.

use std::collections::HashSet;

use super::{Action, CaptchaPattern, MissReason, Rule, SitePattern, index::Index};
use crate::submission::{Captcha, CaptchaNames, Site};

/// What happens to a submission that is malformed or ambiguous.
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
pub enum Unreadable {
    /// It is forwarded untouched.
    Forward,
    /// It is denied.
    Deny,
}

/// Where a legacy request gets the parameter nocache.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum LegacyPlace {
    /// Where the request carries `method`, or else `key`.
    #[default]
    Auto,
    /// Always at the end of the URL, the only place that the vendor documents.
    Query,
}

/// All rules of a configuration.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    default: Rule,
    unreadable: Unreadable,
    names: CaptchaNames,
    legacy_place: LegacyPlace,
    index: Index,
    /// What the rules that deny cover, each once.
    denied: HashSet<CaptchaPattern>,
}

/// What the rules have for a site and a captcha.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'r> {
    /// The rule that decides; `None` if neither a rule for the site nor the default covers the captcha.
    pub rule: Option<&'r Rule>,
    /// A rule that would have decided but for the path or the captcha, if the lookup met one.
    pub missed: Option<(&'r Rule, MissReason)>,
}

impl RuleSet {
    /// Builds a set from rules in file order. Without `unreadable`, a deny anywhere makes it [`Unreadable::Deny`]:
    /// otherwise a submission could slip past the deny by being unreadable.
    pub fn new(rules: Vec<Rule>, default: Rule, unreadable: Option<Unreadable>, names: CaptchaNames) -> Self {
        let denying = rules
            .iter()
            .chain([&default])
            .filter(|rule| rule.action == Action::Deny);
        let denied: HashSet<_> = denying.flat_map(|rule| rule.captchas.iter().cloned()).collect();
        let denies = !denied.is_empty();
        Self {
            denied,
            index: Index::new(&rules),
            unreadable: unreadable.unwrap_or(if denies { Unreadable::Deny } else { Unreadable::Forward }),
            rules,
            default,
            names,
            legacy_place: LegacyPlace::Auto,
        }
    }

    /// Sets where legacy requests get nocache.
    pub fn with_legacy_place(mut self, place: LegacyPlace) -> Self {
        self.legacy_place = place;
        self
    }

    /// Where legacy requests get nocache.
    pub fn legacy_place(&self) -> LegacyPlace {
        self.legacy_place
    }

    /// The rule for a submission, and a near miss. The cost does not grow with the number of rules, and nothing is
    /// allocated.
    pub fn look_up(&self, site: &Site, captcha: &Captcha) -> Lookup<'_> {
        let found = self.index.look_up(site, captcha);
        Lookup {
            rule: match found.rule {
                Some(rule) => Some(&self.rules[rule]),
                None => self.or_default(captcha),
            },
            missed: found.missed.map(|(rule, reason)| (&self.rules[rule], reason)),
        }
    }

    /// The rule for a submission; `None` if neither a rule for its site nor the default covers its captcha.
    pub fn decide(&self, site: &Site, captcha: &Captcha) -> Option<&Rule> {
        self.look_up(site, captcha).rule
    }

    /// What [`Self::decide`] has to return, found rule by rule: the oracle of the tests.
    #[cfg(test)]
    pub(super) fn decide_by_scan(&self, site: &Site, captcha: &Captcha) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.applies_to(site, captcha))
            .or_else(|| self.or_default(captcha))
    }

    /// The rule for a submission without a site: the first for every site, or else the default.
    pub fn decide_without_site(&self, captcha: &Captcha) -> Option<&Rule> {
        match self.index.first_for_every_site(captcha) {
            Some(rule) => Some(&self.rules[rule]),
            None => self.or_default(captcha),
        }
    }

    /// The last of the rules which together leave a pattern of the rule with the given number nothing to match, because
    /// they come first and match all its sites for each of its captchas; `None` if the pattern can match.
    pub fn shadow_of(&self, pattern: &SitePattern, rule: usize) -> Option<&Rule> {
        let shadow = self.index.shadow_of(pattern, &self.rules[rule].captchas, rule)?;
        Some(&self.rules[shadow])
    }

    /// Whether any rule, or the default, covers a captcha, whatever the site.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        self.index.covers(captcha) || self.default.covers(captcha)
    }

    /// Whether a rule that denies, or a default that does, covers a captcha, whatever the site.
    pub fn denies(&self, captcha: &Captcha) -> bool {
        self.denied.iter().any(|pattern| pattern.matches(captcha))
    }

    /// What happens to a submission that is malformed or ambiguous.
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

    /// The rule for sites that no rule matches.
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
