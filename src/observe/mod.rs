//! What is observed of requests. Every request leaves one [`Record`], written once, when its response has ended or when
//! it was refused or failed. Observers read it and change nothing.
//!
//! # Layout
//! - [`record`]: the record; [`cause`]: why a request failed
//! - [`observers`]: who is given each record
//! - [`log`]: one event per record; [`outage`]: when a repeated failure is worth a warning
//! - [`metrics`]: counts and times; [`gauges`]: what others count; [`process`]: what the process uses
//! - [`clients`]: clients that risk a ban, or misuse nocache
//! - [`misdirected`]: clients that speak to the wrong port
//! - [`ledger`]: what became of each task; [`time`]: how points in time are shown
//! - [`activity`]: what happened lately, for the status page
//! - [`upstream_seen`]: the upstream as the last requests saw it

pub mod activity;
pub mod cause;
pub mod clients;
pub mod gauges;
pub mod ledger;
pub mod log;
pub mod metrics;
pub mod misdirected;
pub mod observers;
pub mod outage;
pub mod process;
pub mod recent;
pub mod record;
pub mod time;
pub mod upstream_seen;

pub use cause::{Cause, Fault};
pub use ledger::Ledger;
pub use observers::{Counted, Observers};
pub use record::Record;
