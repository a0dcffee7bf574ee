//! Rules that came close to a submission and do not speak of it: what a person asks who expected another rule.

use super::{Rule, RuleSet, SitePattern, pattern::Scope};
use crate::submission::{Captcha, Site};

/// Why a rule does not match that could have been meant to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The site matches, but none of the captchas.
    Captcha,
    /// The host matches, but not the path.
    Path,
    /// The host is related: a subdomain of the pattern's, or its parent.
    Host,
}

/// A rule that came close.
#[derive(Clone, Copy, Debug)]
pub struct NearMiss<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Its pattern that came close.
    pub pattern: &'r SitePattern,
    /// Why it does not match.
    pub why: Why,
}

impl RuleSet {
    /// The rules that came close, the closest first; of each rule its closest pattern.
    pub fn near_misses(&self, site: &Site, captcha: &Captcha) -> Vec<NearMiss<'_>> {
        let nearest = |rule| near(rule, site, captcha);
        let mut misses: Vec<NearMiss<'_>> = self.rules().iter().filter_map(nearest).collect();
        misses.sort_by_key(|miss| miss.why);
        misses
    }
}

fn near<'r>(rule: &'r Rule, site: &Site, captcha: &Captcha) -> Option<NearMiss<'r>> {
    let misses = rule.sites.iter().filter_map(|pattern| {
        let why = match pattern.distance(site) {
            None if rule.covers(captcha) => return None,
            None => Why::Captcha,
            Some(why) => why?,
        };
        Some(NearMiss { rule, pattern, why })
    });
    // A rule that matches by any of its patterns is no near miss.
    let matches = rule.covers(captcha) && rule.sites.iter().any(|pattern| pattern.matches(site));
    misses.min_by_key(|miss| miss.why).filter(|_| !matches)
}

impl SitePattern {
    /// None if it matches; else why it came close, if it did.
    fn distance(&self, site: &Site) -> Option<Option<Why>> {
        if self.matches(site) {
            return None;
        }
        let anywhere = Self {
            path: Box::default(),
            ..self.clone()
        };
        if anywhere.matches(site) {
            return Some(Some(Why::Path));
        }
        let is_below = |host: &str, domain: &str| host.strip_suffix(domain).is_some_and(|labels| labels.ends_with('.'));
        let (host, own) = (site.host(), &*self.host);
        let is_related = self.scope != Scope::Every && (host == own || is_below(host, own) || is_below(own, host));
        Some(is_related.then_some(Why::Host))
    }
}
