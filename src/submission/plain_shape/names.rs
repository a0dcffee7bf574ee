//! Names that decide: spelled plainly, and given once.

use super::{Doubt, skeleton::Skeleton};
use crate::submission::Parameters;

/// How a name relates to some that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// It is one, ignoring ASCII case.
    Plain(&'static str),
    /// It is one to a reader that decodes, folds or cuts more.
    Odd(&'static str),
    /// It is another name to everybody.
    Other,
}

/// The spelling of a name.
pub fn spelling(name: &str, deciding: &[&'static str]) -> Spelling {
    if let Some(plain) = deciding.iter().find(|known| name.eq_ignore_ascii_case(known)) {
        return Spelling::Plain(plain);
    }
    // Most names are plain, and nothing has to be built for them.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Spelling::Other;
    }
    let skeleton = Skeleton::of(name);
    let odd = deciding.iter().find(|known| skeleton.is(known));
    odd.map_or(Spelling::Other, |odd| Spelling::Odd(odd))
}

/// Refuses a name that is one that decides but for its spelling, and one that is given twice in the lists together.
pub fn check(lists: &[Parameters<'_>], deciding: &[&'static str]) -> Result<(), Doubt> {
    let mut found: Vec<&str> = Vec::new();
    for item in lists.iter().flat_map(|list| &list.items) {
        match spelling(&item.name, deciding) {
            Spelling::Odd(name) => return Err(Doubt::Name(name)),
            Spelling::Plain(name) if found.contains(&name) => return Err(Doubt::Twice(name)),
            Spelling::Plain(name) => found.push(name),
            Spelling::Other => {}
        }
    }
    Ok(())
}
