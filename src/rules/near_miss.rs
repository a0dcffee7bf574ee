//! Rules that nearly applied to a submission: what users ask about who expected another rule.

use super::{Rule, RuleSet, SitePattern, site_pattern::HostPattern};
use crate::submission::{Captcha, Site};

/// The reason why a rule does not apply. Ordered: the nearest miss comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum MissReason {
    /// The site matches, but none of the captchas.
    Captcha,
    /// The host matches, but not the path.
    Path,
    /// The host is related: a subdomain of the pattern's host, or its parent.
    Host,
}

/// A rule that nearly applied.
#[derive(Clone, Copy, Debug)]
pub struct NearMiss<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Its nearest pattern.
    pub pattern: &'r SitePattern,
    /// The reason why it does not apply.
    pub reason: MissReason,
}

impl RuleSet {
    /// The rules that nearly apply, the nearest first; of each rule its nearest pattern. Scans all rules.
    pub fn near_misses(&self, site: &Site, captcha: &Captcha) -> Vec<NearMiss<'_>> {
        let nearest = |rule| nearest(rule, site, captcha);
        let mut misses: Vec<NearMiss<'_>> = self.rules().iter().filter_map(nearest).collect();
        misses.sort_by_key(|miss| miss.reason);
        misses
    }
}

/// How far a pattern is from a site.
enum Distance {
    Matches,
    Near(MissReason),
    Far,
}

fn nearest<'r>(rule: &'r Rule, site: &Site, captcha: &Captcha) -> Option<NearMiss<'r>> {
    let covers = rule.covers(captcha);
    let mut nearest: Option<NearMiss<'r>> = None;
    for pattern in &rule.sites {
        let reason = match pattern.distance(site) {
            // A rule that applies is not a near miss.
            Distance::Matches if covers => return None,
            Distance::Matches => MissReason::Captcha,
            Distance::Near(reason) => reason,
            Distance::Far => continue,
        };
        if nearest.is_none_or(|nearest| reason < nearest.reason) {
            nearest = Some(NearMiss { rule, pattern, reason });
        }
    }
    nearest
}

impl SitePattern {
    fn distance(&self, site: &Site) -> Distance {
        let host = site.host();
        if self.matches(site) {
            return Distance::Matches;
        }
        if self.hosts.matches(host) {
            return Distance::Near(MissReason::Path);
        }
        match &self.hosts {
            HostPattern::Every => Distance::Far,
            HostPattern::Only(own) | HostPattern::WithSubdomains(own) | HostPattern::SubdomainsOf(own) => {
                let is_related = own == host || host.is_below(own) || own.is_below(host);
                if is_related {
                    Distance::Near(MissReason::Host)
                } else {
                    Distance::Far
                }
            }
        }
    }
}
