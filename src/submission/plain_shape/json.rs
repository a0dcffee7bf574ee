//! JSON: begins with `{`, and a form reader finds nothing in it that decides. (The reader has held it to the grammar.)

use super::{
    Doubt,
    names::{Spelling, spelling},
};
use crate::submission::{form, limits::MAX_NAME};

/// Refuses what does not begin with `{` after white space of JSON.
pub fn check_start(body: &[u8]) -> Result<(), Doubt> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    match body.iter().find(|byte| !is_space(byte)) {
        Some(b'{') => Ok(()),
        _ => Err(Doubt::Json),
    }
}

/// Refuses a JSON body in which a form reader would find a name that decides.
pub fn check_not_a_form(body: &[u8], deciding: &[&'static str]) -> Result<(), Doubt> {
    for (name, _) in form::raw_pairs(body, 0, form::Separators::Ampersand) {
        let name = form::decode(&name[..name.len().min(MAX_NAME)]);
        if let Spelling::Plain(known) | Spelling::Odd(known) = spelling(&name, deciding) {
            return Err(Doubt::JsonAndForm(known));
        }
    }
    Ok(())
}
