//! What must hold for any bytes: the bodies of the fuzz targets in `fuzz/`, which `cargo test` runs for a while, too.
//! Compiled for tests and by `cargo fuzz` alone.
//!
//! # Layout
//! - [`submissions`]: reading and rewriting; [`deny`](mod@deny): what a deny lets through; [`names`]: sites and patterns
//! - [`tasks`]: what they say about tasks; [`files`]: configurations; [`responses`]: what an upstream sends; [`codings`]: compressed bodies

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "they are tests"
)]

mod codings;
mod deny;
mod files;
mod names;
mod responses;
mod submissions;
mod tasks;
#[cfg(test)]
mod tests;

pub use codings::content_coding;
pub use deny::deny;
pub use files::configuration;
pub use names::{site, site_pattern};
pub use responses::response;
pub use submissions::{create_task, legacy};
pub use tasks::task;
