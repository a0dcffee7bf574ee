//! Captcha patterns as small numbers, so that the index compares numbers and a captcha's name is looked up once.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use strum::VariantArray;

use super::CaptchaPattern;
use crate::submission::{Captcha, Kind, captcha::Name};

/// A [`CaptchaPattern`] as a number.
pub(super) type Selector = u32;

/// The selector of `*`.
pub(super) const ANY: Selector = 0;

/// The selectors of all rules.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    /// Type names and methods.
    names: HashMap<NameKey, Selector>,
    /// Whether a rule has the selector, by its number.
    used: Vec<bool>,
}

fn of_kind(kind: Kind) -> Selector {
    1 + kind as Selector
}

impl Selectors {
    /// The selector of a rule's pattern; a new one for a name that no rule had so far.
    pub fn add(&mut self, pattern: &CaptchaPattern) -> Selector {
        let next = 1 + Kind::VARIANTS.len() + self.names.len();
        let selector = self.of_pattern(pattern).unwrap_or_else(|| {
            let next = next as Selector;
            if let Some(query) = NameQuery::of(pattern) {
                self.names.insert(query.to_key(), next);
            }
            next
        });
        let number = selector as usize;
        self.used.resize(self.used.len().max(number + 1), false);
        self.used[number] = true;
        selector
    }

    /// The selector of a pattern; `None` if it is a name that no rule has.
    pub fn of_pattern(&self, pattern: &CaptchaPattern) -> Option<Selector> {
        match pattern {
            CaptchaPattern::Any => Some(ANY),
            CaptchaPattern::Kind(kind) => Some(of_kind(*kind)),
            CaptchaPattern::Type(_) | CaptchaPattern::Method(_) => self.names.get(&NameQuery::of(pattern)?).copied(),
        }
    }

    /// The selectors that match a captcha.
    pub fn matching(&self, captcha: &Captcha) -> [Option<Selector>; 3] {
        let (sort, name) = match &captcha.name {
            Name::Type(name) => (NameSort::Type, name),
            Name::Method(name) => (NameSort::Method, name),
        };
        let named = if self.names.is_empty() {
            None
        } else {
            self.names.get(&NameQuery { sort, name }).copied()
        };
        [Some(ANY), captcha.kind.map(of_kind), named]
    }

    /// Whether any rule covers a captcha.
    pub fn cover(&self, captcha: &Captcha) -> bool {
        let is_used = |selector: &Selector| self.used.get(*selector as usize) == Some(&true);
        self.matching(captcha).iter().flatten().any(is_used)
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
