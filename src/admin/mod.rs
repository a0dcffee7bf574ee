//! The admin side: whether the gateway lives and is ready, what is in force, its metrics, and what became of the tasks.
//!
//! # Layout
//! - [`service`](mod@service): its paths
//! - [`access`]: whom it responds to; [`exchange`]: what they share of requests and responses
//! - [`status`]: what is known of the process and its configuration; [`ready`]: whether it accepts work; [`in_force`]: the
//!   configuration
//! - [`log_level`]: the log's level; [`metrics_page`]: the metrics; [`ledger_api`]: tasks and sums; [`client_warnings`]:
//!   clients that risk a ban
//! - [`page`]: the status page
//! - [`wrong_port`]: bots that ask here

mod access;
mod client_warnings;
mod exchange;
mod in_force;
mod ledger_api;
mod log_level;
mod metrics_page;
mod page;
mod ready;
mod service;
mod status;
mod wrong_port;

pub use access::Settings;
pub use log_level::LogLevel;
pub use service::service;
pub use status::{Reload, Status};
