//! The mirrored API: a request's path through the gateway.
//!
//! A submission is held in memory, read, decided and rewritten by the core, and sent on; everything else streams through.
//!
//! # Layout
//! - [`gateway`]: what every request is handled with
//! - [`handle`](mod@handle): admits a request and tells submissions from everything else
//! - [`submit`]: a submission's path; [`forward`]: to the upstream and back
//! - [`request_target`]: which request targets are served, since this is not an open proxy
//! - [`fields`]: header fields on their way through
//! - [`held_body`]: bodies that are held or discarded; [`content_coding`]: compressed ones
//! - [`error_response`]: responses of the gateway's own; [`recording`]: the record of a request in flight

pub mod content_coding;
pub mod error_response;
pub mod fields;
pub mod forward;
pub mod gateway;
pub mod handle;
pub mod held_body;
pub mod recording;
pub mod request_target;
pub mod submit;

pub use gateway::{Gateway, Settings};
pub use handle::handle;
