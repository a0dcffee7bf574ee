//! What a deny configuration lets through: the few shapes of a submission that every reader reads alike. Everything else is
//! in [`Doubt`], and refused where `unreadable` is `deny`. Elsewhere nothing of this is computed.
//!
//! A submission goes on only if:
//! - [`path`] and method: the path is spelled plainly and the method is one that is read
//! - [`body`]: it is UTF-8, and at most one Content-Type names no other charset. (What had a content coding is sent on
//!   decoded; what cannot be decoded is not read.)
//! - [`names`]: no name is one that decides but for its spelling, and none that decides is given twice
//! - [`json`]: begins with `{`, is strict, and no form for a form reader; members that decide have their type
//! - [`form`]: splitting at `;` too changes nothing that decides
//! - [`multipart`]: boundary, delimiters and part fields are as real clients write them
//! - [`site`]: the URL is spelled plainly; asked only of captchas that a deny covers
//!
//! # Layout
//! - [`judge`](mod@judge): the whole list, in its order; [`doubt`]: what is wrong, in words
//! - [`skeleton`]: what is left of a text for a reader that decodes, folds and ignores more than others
//! - one file for each bullet above; [`field_value`]: parameters of field values

pub mod body;
pub mod doubt;
pub mod field_value;
pub mod form;
pub mod json;
pub mod judge;
pub mod multipart;
pub mod names;
pub mod path;
pub mod site;
pub mod skeleton;

pub use doubt::Doubt;
pub use judge::{Sent, judge, unread};
