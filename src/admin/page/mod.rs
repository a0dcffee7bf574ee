//! The status page: rendered here, readable without JavaScript, and live with it.
//!
//! # Layout
//! - [`document`]: the page and its assets; [`live`]: the part that is renewed
//! - [`state`]: whether it works; [`chart`]: the last hour; [`tasks`]: what became of them; [`tables`]: rules, sites,
//!   decisions
//! - [`explain`]: the box that asks the core

mod chart;
mod document;
mod explain;
mod live;
mod state;
mod tables;
mod tasks;

pub use document::{asset, page};
pub use live::part;
pub use tasks::Tasks;
