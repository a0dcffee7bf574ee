//! From a submission and the rules to an [`Outcome`] and the [`Edit`]s that bring it about: the one path that `serve`,
//! `explain`, tests and benches all take.
//!
//! # Layout
//! - [`read`](mod@read): a submission, as the rules require it
//! - [`plan`](mod@plan): what happens to a submission; [`decision`]: the words for it
//! - [`edit`]: insertions, replacements and removals at byte ranges

pub mod decision;
pub mod edit;
pub mod plan;
pub mod read;
#[cfg(test)]
mod tests;

pub use decision::{Decision, Flaw, Outcome, Reason};
pub use edit::{Edit, Edits, apply};
pub use plan::{Plan, nocache_as_sent, outcome_for, plan};
pub use read::{read, read_beginning};
