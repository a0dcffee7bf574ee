//! Queries and forms: splitting at `;` too changes nothing that decides. (Some readers did.)

use super::{
    Doubt,
    names::{Spelling, spelling},
};
use crate::submission::{
    Parameters, Site, SiteError, Syntax, form,
    limits::{MAX_NAME, MAX_OF_ONE_NAME},
};

/// The values that decide, as they are read.
pub struct Decided<'l> {
    /// By name; the values of all but pageurl.
    pub texts: &'l [(&'static str, Option<&'l str>)],
    /// Of pageurl.
    pub site: &'l Result<Site, SiteError>,
}

impl Decided<'_> {
    /// Refuses lists in which a reader that takes `;` for a separator as well would see another captcha or host.
    pub fn check_semicolons(&self, lists: &[Parameters<'_>], deciding: &[&'static str]) -> Result<(), Doubt> {
        for list in lists {
            let start = match list.syntax {
                Syntax::Query { .. } => form::query_start(list.source),
                Syntax::Form => 0,
                Syntax::Json | Syntax::Multipart { .. } => continue,
            };
            if memchr::memchr(b';', &list.source[start..]).is_none() {
                continue;
            }
            let mut found = 0;
            for (name, value) in form::raw_pairs(list.source, start, form::Separators::AmpersandOrSemicolon) {
                // `data:image/png;base64,…` looks like a long name.
                let name = form::decode(&name[..name.len().min(MAX_NAME)]);
                match spelling(&name, deciding) {
                    Spelling::Other => continue,
                    Spelling::Odd(name) => return Err(Doubt::Name(name)),
                    Spelling::Plain(name) if self.agrees(name, &form::decode(value)) => found += 1,
                    Spelling::Plain(_) => return Err(Doubt::Semicolon),
                }
                // As many as nobody sends, so that each costs something only once.
                if found > deciding.len() * MAX_OF_ONE_NAME {
                    return Err(Doubt::Semicolon);
                }
            }
        }
        Ok(())
    }

    /// Whether a parameter that decides has the same value here.
    fn agrees(&self, name: &str, value: &str) -> bool {
        match self.texts.iter().find(|(own, _)| *own == name) {
            Some((_, text)) => text.is_some_and(|text| text.eq_ignore_ascii_case(value)),
            None => match (Site::parse(value), self.site) {
                (Ok(here), Ok(there)) => here.host() == there.host(),
                (here, there) => here.err() == there.as_ref().err().copied(),
            },
        }
    }
}
