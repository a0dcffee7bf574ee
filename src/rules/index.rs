//! Finds the first rule for a site and a captcha without looking at the rules one by one.
//!
//! A site is looked up under its own host, under every parent domain, and under "every site"; at each of these, if there
//! are patterns with a path, its path is followed segment by segment through a tree of their segments. Each place, and each
//! node of a tree, holds, per captcha, the first rule in file order; the smallest of all finds wins. So the cost depends on
//! the labels of the host and on as much of the path as the longest pattern has, not on the number of rules.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    CaptchaPattern, MissReason, Rule, SitePattern,
    captcha_selector::{ANY, Selector, Selectors},
    site_pattern::HostPattern,
};
use crate::submission::{Captcha, Host, Site, host::parents};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The patterns for every host.
    every: Node,
    hosts: HashMap<Place, Node>,
    /// The trees of paths, by their nodes' numbers.
    paths: Vec<FirstRules>,
    /// The numbers of the nodes below a node.
    segments: HashMap<Segment, usize>,
    selectors: Selectors,
}

/// What a lookup found, rules by their number.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub rule: Option<usize>,
    /// The first rule that would have decided but for the path or the captcha.
    pub missed: Option<(usize, MissReason)>,
}

/// The rules of one place.
#[derive(Debug, Default)]
struct Node {
    /// Those whose patterns have no path.
    whole: FirstRules,
    /// Those whose patterns have one.
    with_path: Option<Box<WithPath>>,
}

#[derive(Debug)]
struct WithPath {
    /// The length of the longest path.
    longest: usize,
    /// The number of the node from which the first segment leads on.
    root: usize,
    rules: FirstRules,
}

/// Per captcha selector the first rule that has it, ordered by selector.
#[derive(Debug, Default)]
struct FirstRules {
    by_selector: SmallVec<[(Selector, u32); 2]>,
    /// The first rule, whatever its captchas.
    first: Option<u32>,
}

impl Index {
    pub fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0..).zip(rules) {
            let selectors: Vec<Selector> = rule
                .captchas
                .iter()
                .map(|captcha| index.selectors.add(captcha))
                .collect();
            for pattern in &rule.sites {
                index.add(pattern, &selectors, number);
            }
        }
        for node in index.hosts.values_mut().chain([&mut index.every]) {
            node.whole.order();
            if let Some(with_path) = &mut node.with_path {
                with_path.rules.order();
            }
        }
        index.paths.iter_mut().for_each(FirstRules::order);
        index
    }

    fn add(&mut self, pattern: &SitePattern, selectors: &[Selector], rule: u32) {
        for place in places(&pattern.hosts).into_iter().flatten() {
            let node = match place {
                PlaceRef::Every => &mut self.every,
                place => self.hosts.entry(place.to_owned()).or_default(),
            };
            if pattern.path.is_empty() {
                node.whole.add(selectors, rule);
                continue;
            }
            let with_path = node
                .with_path
                .get_or_insert_with(|| Box::new(WithPath::new(new_node(&mut self.paths))));
            with_path.longest = with_path.longest.max(pattern.path.len());
            with_path.rules.add(selectors, rule);
            let mut at = with_path.root;
            for name in segments(&pattern.path) {
                let segment = Segment {
                    parent: at,
                    name: name.into(),
                };
                at = *self
                    .segments
                    .entry(segment)
                    .or_insert_with(|| new_node(&mut self.paths));
            }
            self.paths[at].add(selectors, rule);
        }
    }

    /// The first rule for a site and a captcha, and a rule before it that was missed nearly.
    pub fn look_up(&self, site: &Site, captcha: &Captcha) -> Found {
        let selectors = self.selectors.matching(captcha);
        let (mut first, mut missed) = (None, None);
        let mut miss = |rule: Option<u32>, reason| {
            if let Some(rule) = rule
                && missed.is_none_or(|(missed, _)| rule < missed)
            {
                missed = Some((rule, reason));
            }
        };
        self.visit(PlaceRef::At(site.host()), |place, node| {
            // A pattern for every host is near to none.
            let is_near = place != PlaceRef::Every;
            match node.whole.of(&selectors) {
                None if is_near => miss(node.whole.first, MissReason::Captcha),
                rule => first = earlier(first, rule),
            }
            let Some(with_path) = &node.with_path else {
                return;
            };
            let mut on_path = None;
            for rules in self.rules_on_path(with_path, site.path()) {
                match rules.of(&selectors) {
                    None if is_near => miss(rules.first, MissReason::Captcha),
                    rule => on_path = earlier(on_path, rule),
                }
            }
            first = earlier(first, on_path);
            if on_path.is_none() && is_near {
                miss(with_path.rules.of(&selectors), MissReason::Path);
            }
        });
        Found {
            rule: first.map(|rule| rule as usize),
            missed: missed
                .filter(|(missed, _)| first.is_none_or(|first| *missed < first))
                .map(|(rule, reason)| (rule as usize, reason)),
        }
    }

    /// The first rule for every site and a captcha.
    pub fn first_for_every_site(&self, captcha: &Captcha) -> Option<usize> {
        let rule = self.every.whole.of(&self.selectors.matching(captcha));
        rule.map(|rule| rule as usize)
    }

    /// The last of those rules, all before `rule`, which together leave a pattern nothing to match.
    pub fn shadow_of(&self, pattern: &SitePattern, captchas: &[CaptchaPattern], rule: usize) -> Option<usize> {
        let mut last = None;
        for place in places(&pattern.hosts).into_iter().flatten() {
            for captcha in captchas {
                let selectors = [Some(ANY), Some(self.selectors.of_pattern(captcha)?), None];
                let mut first = None;
                self.visit(place, |_, node| {
                    first = earlier(first, node.whole.of(&selectors));
                    let with_path = node.with_path.iter();
                    for rules in with_path.flat_map(|with_path| self.rules_on_path(with_path, &pattern.path)) {
                        first = earlier(first, rules.of(&selectors));
                    }
                });
                let first = first.map(|first| first as usize).filter(|first| *first < rule)?;
                last = last.max(Some(first));
            }
        }
        last
    }

    /// Whether any rule covers a captcha.
    pub fn covers(&self, captcha: &Captcha) -> bool {
        self.selectors.cover(captcha)
    }

    /// Visits the node of a place and of every place that contains it.
    fn visit<'a>(&self, place: PlaceRef<'a>, mut visit: impl FnMut(PlaceRef<'a>, &Node)) {
        visit(PlaceRef::Every, &self.every);
        let mut look = |place| {
            if let Some(node) = self.hosts.get(&place) {
                visit(place, node);
            }
        };
        let name = match place {
            PlaceRef::Every => return,
            PlaceRef::At(host) => host.name().unwrap_or_default(),
            PlaceRef::Below(name) => name,
        };
        look(place);
        for domain in parents(name) {
            look(PlaceRef::Below(domain));
        }
    }

    /// The rules of a place whose pattern's path is a prefix of a path, up to one of its slashes or its end.
    fn rules_on_path(&self, with_path: &WithPath, path: &[u8]) -> impl Iterator<Item = &FirstRules> {
        // What is cut off here makes the last segment reach beyond every pattern's end, so that it leads nowhere.
        let looked_at = &path[..path.len().min(with_path.longest + 1)];
        segments(looked_at).scan(with_path.root, |at, name| {
            *at = *self.segments.get(&SegmentQuery { parent: *at, name })?;
            Some(&self.paths[*at])
        })
    }
}

impl WithPath {
    fn new(root: usize) -> Self {
        Self {
            longest: 0,
            root,
            rules: FirstRules::default(),
        }
    }
}

fn new_node(paths: &mut Vec<FirstRules>) -> usize {
    paths.push(FirstRules::default());
    paths.len() - 1
}

/// The segments of a path: what follows each of its slashes. A path without one has none.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').skip(1)
}

impl FirstRules {
    /// Adds a rule. Rules come in file order.
    fn add(&mut self, selectors: &[Selector], rule: u32) {
        self.first.get_or_insert(rule);
        self.by_selector
            .extend(selectors.iter().map(|selector| (*selector, rule)));
    }

    /// Orders the entries by selector and keeps the first rule of each.
    fn order(&mut self) {
        self.by_selector.sort_unstable();
        self.by_selector.dedup_by_key(|entry| entry.0);
        self.by_selector.shrink_to_fit();
    }

    fn of(&self, selectors: &[Option<Selector>; 3]) -> Option<u32> {
        let find = |selector: &Selector| {
            let at = self.by_selector.binary_search_by_key(selector, |entry| entry.0).ok()?;
            Some(self.by_selector[at].1)
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

/// The places where a pattern's rules are found.
fn places(hosts: &HostPattern) -> [Option<PlaceRef<'_>>; 2] {
    match hosts {
        HostPattern::Every => [Some(PlaceRef::Every), None],
        HostPattern::Only(host) => [Some(PlaceRef::At(host)), None],
        HostPattern::WithSubdomains(host) => [Some(PlaceRef::At(host)), host.name().map(PlaceRef::Below)],
        HostPattern::SubdomainsOf(host) => [host.name().map(PlaceRef::Below), None],
    }
}

// === Keys, and the borrowed forms to look them up by, with equal hashes ===

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Every host.
    Every,
    /// A host itself.
    At(Host),
    /// Every subdomain of a name.
    Below(SmolStr),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PlaceRef<'a> {
    Every,
    At(&'a Host),
    Below(&'a str),
}

impl PlaceRef<'_> {
    fn to_owned(self) -> Place {
        match self {
            Self::Every => Place::Every,
            Self::At(host) => Place::At(host.clone()),
            Self::Below(name) => Place::Below(name.into()),
        }
    }
}

impl Place {
    fn as_ref(&self) -> PlaceRef<'_> {
        match self {
            Self::Every => PlaceRef::Every,
            Self::At(host) => PlaceRef::At(host),
            Self::Below(name) => PlaceRef::Below(name),
        }
    }
}

impl Hash for PlaceRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One byte after the name tells places of one name apart; an address is hashed as an address.
        let (name, kind) = match self {
            Self::Every => return state.write_u8(0),
            Self::At(Host::Address(address)) => return address.hash(state),
            Self::At(Host::Name(name)) => (&**name, 1),
            Self::Below(name) => (*name, 2),
        };
        state.write(name.as_bytes());
        state.write_u8(kind);
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, key: &Place) -> bool {
        *self == key.as_ref()
    }
}

/// A step from a node of a tree of paths.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Segment {
    parent: usize,
    name: Box<[u8]>,
}

#[derive(Hash)]
struct SegmentQuery<'a> {
    parent: usize,
    name: &'a [u8],
}

impl Equivalent<Segment> for SegmentQuery<'_> {
    fn equivalent(&self, key: &Segment) -> bool {
        self.parent == key.parent && *self.name == *key.name
    }
}
