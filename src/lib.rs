//! A local HTTP gateway for the CapMonster Cloud API that sets `nocache` on reCAPTCHA tasks, by rules per target site,
//! and forwards everything else untouched.
//!
//! # Layout
//! The core is pure: bytes and values in, values out; no I/O, no async, no clock.
//! - [`submission`] reads a request that creates a task: which captcha, which site, where nocache is
//! - [`rules`] decides by site and captcha
//! - [`rewrite`] turns a decision into edits of byte ranges, and applies them
//! - `task` reads which task a poll or a report is about, and what the vendor says of it
//!
//! The shell carries requests through it, in the order of a request's way:
//! - [`server`] accepts connections; `tls` has the certificates that they show
//! - `api` tells submissions from everything else, and applies the core to them
//! - `upstream` keeps connections to the vendor's API and sends a request at most once
//!
//! Every request leaves a record, which `observe` writes to the log, counts, and enters into the ledger of tasks.
//!
//! Beside it: `config` reads settings and rules, `reload` follows its files, `admin` reports health, [`sandbox`]
//! stands in for the vendor, and `cli` puts the parts together.

#![warn(clippy::expect_used, clippy::unwrap_used)]
// They panic when the reader of a pipe has gone: `cli::output` writes.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod admin;
mod api;
mod cli;
mod config;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod idle_wake;
mod observe;
mod reload;
pub mod rewrite;
pub mod rules;
pub mod sandbox;
pub mod server;
mod small_writes;
pub mod submission;
mod task;
mod timed_body;
mod tls;
mod until;
mod upstream;

#[doc(hidden)]
pub use cli::log_bench::LoggedSubmission;
pub use cli::run;
