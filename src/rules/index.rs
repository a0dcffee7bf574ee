//! Finds the first rule for a site and a captcha without looking at the rules one by one.
//!
//! A site is looked up under its own host, under every parent domain, and under "every site"; at each of these, if there
//! are patterns with a path, under every prefix of its path that is not longer than the longest of them. What is found is,
//! for each captcha, the first rule in file order; the smallest of all finds wins. So the cost depends on the labels of
//! the host and the segments of the path, not on the number of rules.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;

use super::{CaptchaPattern, Rule, SitePattern, pattern::Scope};
use crate::submission::{Captcha, Kind, Site, captcha::Name};

#[derive(Debug, Default)]
pub(super) struct Index {
    hosts: HashMap<HostKey, Node>,
    paths: HashMap<PathKey, First>,
    /// Type names and methods that rules list.
    names: HashMap<NameKey, Selector>,
    /// Every selector of every rule.
    selectors: Vec<Selector>,
}

/// Whether patterns speak of a host itself or of what is below it. "Every site" is below the empty host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reach {
    Here,
    Below,
}

/// What is known of a host: the first rules without a path, and how far the paths of others go.
#[derive(Debug, Default)]
struct Node {
    whole: First,
    longest_path: usize,
}

/// For each captcha selector the first rule that lists it, ordered by selector.
#[derive(Debug, Default)]
struct First(SmallVec<[(Selector, u32); 2]>);

/// A [`CaptchaPattern`] as a small number.
type Selector = u32;

const ANY: Selector = 0;

fn kind_selector(kind: Kind) -> Selector {
    1 + kind as Selector
}

impl Index {
    pub fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0..).zip(rules) {
            let selectors: Vec<Selector> = rule.captchas.iter().map(|pattern| index.intern(pattern)).collect();
            for pattern in &rule.sites {
                index.add(pattern, &selectors, number);
            }
            index.selectors.extend(selectors);
            index.selectors.sort_unstable();
            index.selectors.dedup();
        }
        index
    }

    /// The number of the first rule for a site and a captcha.
    pub fn first(&self, site: &Site, captcha: &Captcha) -> Option<usize> {
        let selectors = self.selectors_of(captcha);
        let mut first = None;
        self.each_above(Reach::Here, site.host(), site.is_ip(), site.path(), |found| {
            first = earlier(first, found.of(&selectors));
        });
        first.map(|rule| rule as usize)
    }

    /// The number of the last of those rules, all before `rule`, which together leave a pattern nothing to match.
    pub fn shadow_of(&self, pattern: &SitePattern, captchas: &[CaptchaPattern], rule: u32) -> Option<usize> {
        let is_ip = pattern.host.parse::<std::net::Ipv4Addr>().is_ok() || pattern.host.starts_with('[');
        let mut last = None;
        for &reach in pattern.scope.reaches() {
            for captcha in captchas {
                let selector = self.selector(captcha)?;
                let mut first = None;
                self.each_above(reach, &pattern.host, is_ip, &pattern.path, |found| {
                    first = earlier(first, found.of(&[Some(ANY), Some(selector), None]));
                });
                let first = first.filter(|first| *first < rule)?;
                last = last.max(Some(first));
            }
        }
        last.map(|rule| rule as usize)
    }

    /// Visits what is known of every host and path that a host and a path lie at or below.
    fn each_above(&self, reach: Reach, host: &str, is_ip: bool, path: &[u8], mut visit: impl FnMut(&First)) {
        let mut look = |reach, host| {
            let Some(node) = self.hosts.get(&HostQuery { reach, host }) else {
                return;
            };
            visit(&node.whole);
            for path in prefixes(path, node.longest_path) {
                if let Some(found) = self.paths.get(&PathQuery { reach, host, path }) {
                    visit(found);
                }
            }
        };
        look(Reach::Below, "");
        if !host.is_empty() {
            look(reach, host);
        }
        if !is_ip {
            for (dot, _) in host.match_indices('.') {
                look(Reach::Below, &host[dot + 1..]);
            }
        }
    }

    /// Whether any rule speaks of a captcha.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        let is_listed = |selector: &Selector| self.selectors.binary_search(selector).is_ok();
        self.selectors_of(captcha).iter().flatten().any(is_listed)
    }

    fn add(&mut self, pattern: &SitePattern, selectors: &[Selector], rule: u32) {
        for &reach in pattern.scope.reaches() {
            let node = self
                .hosts
                .entry(HostKey {
                    reach,
                    host: pattern.host.clone(),
                })
                .or_default();
            let first = if pattern.path.is_empty() {
                &mut node.whole
            } else {
                node.longest_path = node.longest_path.max(pattern.path.len());
                self.paths
                    .entry(PathKey {
                        reach,
                        host: pattern.host.clone(),
                        path: pattern.path.clone(),
                    })
                    .or_default()
            };
            for &selector in selectors {
                first.add(selector, rule);
            }
        }
    }

    fn intern(&mut self, pattern: &CaptchaPattern) -> Selector {
        let next = 1 + Kind::ALL.len() as Selector + self.names.len() as Selector;
        self.selector(pattern).unwrap_or_else(|| {
            if let Some(query) = NameQuery::of(pattern) {
                self.names.insert(query.to_key(), next);
            }
            next
        })
    }

    fn selector(&self, pattern: &CaptchaPattern) -> Option<Selector> {
        match pattern {
            CaptchaPattern::Any => Some(ANY),
            CaptchaPattern::Kind(kind) => Some(kind_selector(*kind)),
            CaptchaPattern::Type(_) | CaptchaPattern::Method(_) => self.names.get(&NameQuery::of(pattern)?).copied(),
        }
    }

    fn selectors_of(&self, captcha: &Captcha) -> [Option<Selector>; 3] {
        let (sort, name) = match &captcha.name {
            Name::Type(name) => (NameSort::Type, name),
            Name::Method(name) => (NameSort::Method, name),
        };
        let named = if self.names.is_empty() {
            None
        } else {
            self.names.get(&NameQuery { sort, name }).copied()
        };
        [Some(ANY), captcha.kind.map(kind_selector), named]
    }
}

impl Scope {
    fn reaches(self) -> &'static [Reach] {
        match self {
            Self::Exact => &[Reach::Here],
            Self::Subdomains | Self::Every => &[Reach::Below],
            Self::Domain => &[Reach::Here, Reach::Below],
        }
    }
}

impl First {
    fn add(&mut self, selector: Selector, rule: u32) {
        // Rules come in file order, so what is there came first.
        if let Err(at) = self.0.binary_search_by_key(&selector, |entry| entry.0) {
            self.0.insert(at, (selector, rule));
        }
    }

    fn of(&self, selectors: &[Option<Selector>; 3]) -> Option<u32> {
        let find = |selector: &Selector| {
            let at = self.0.binary_search_by_key(selector, |entry| entry.0).ok()?;
            Some(self.0[at].1)
        };
        selectors.iter().flatten().filter_map(find).min()
    }
}

fn earlier(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The prefixes of a path that a pattern's path can equal: those that end before a slash or at the end.
fn prefixes(path: &[u8], longest: usize) -> impl Iterator<Item = &[u8]> {
    (1..=path.len().min(longest))
        .filter(|&end| path.get(end).is_none_or(|&next| next == b'/'))
        .map(|end| &path[..end])
}

// === Keys, and the borrowed forms to look them up by ===

#[derive(Debug, PartialEq, Eq, Hash)]
struct HostKey {
    reach: Reach,
    host: Box<str>,
}

#[derive(Hash)]
struct HostQuery<'a> {
    reach: Reach,
    host: &'a str,
}

impl Equivalent<HostKey> for HostQuery<'_> {
    fn equivalent(&self, key: &HostKey) -> bool {
        self.reach == key.reach && *self.host == *key.host
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PathKey {
    reach: Reach,
    host: Box<str>,
    path: Box<[u8]>,
}

#[derive(Hash)]
struct PathQuery<'a> {
    reach: Reach,
    host: &'a str,
    path: &'a [u8],
}

impl Equivalent<PathKey> for PathQuery<'_> {
    fn equivalent(&self, key: &PathKey) -> bool {
        self.reach == key.reach && *self.host == *key.host && *self.path == *key.path
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum NameSort {
    Type,
    Method,
}

/// A name that compares and hashes ASCII case-insensitively.
#[derive(Debug)]
struct NameKey {
    sort: NameSort,
    name: Box<str>,
}

struct NameQuery<'a> {
    sort: NameSort,
    name: &'a str,
}

impl NameKey {
    fn query(&self) -> NameQuery<'_> {
        NameQuery {
            sort: self.sort,
            name: &self.name,
        }
    }
}

impl<'a> NameQuery<'a> {
    fn of(pattern: &'a CaptchaPattern) -> Option<Self> {
        let (sort, name) = match pattern {
            CaptchaPattern::Any | CaptchaPattern::Kind(_) => return None,
            CaptchaPattern::Type(name) => (NameSort::Type, name),
            CaptchaPattern::Method(name) => (NameSort::Method, name),
        };
        Some(Self { sort, name })
    }

    fn to_key(&self) -> NameKey {
        NameKey {
            sort: self.sort,
            name: self.name.into(),
        }
    }
}

impl Hash for NameQuery<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sort.hash(state);
        self.name.bytes().for_each(|byte| byte.to_ascii_lowercase().hash(state));
    }
}

impl Equivalent<NameKey> for NameQuery<'_> {
    fn equivalent(&self, key: &NameKey) -> bool {
        self.sort == key.sort && self.name.eq_ignore_ascii_case(&key.name)
    }
}

impl Hash for NameKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.query().hash(state);
    }
}

impl PartialEq for NameKey {
    fn eq(&self, other: &Self) -> bool {
        self.query().equivalent(other)
    }
}

impl Eq for NameKey {}
