//! The mirrored API: a request's path through the gateway.
//!
//! A submission is held in memory, read, decided and rewritten by the core, and sent on; everything else streams through,
//! and so does a large picture that no rule covers.
//!
//! # Layout
//! - [`gateway`]: what every request is handled with
//! - [`handle`]: tells submissions from everything else
//! - [`admission`]: which requests are served here; [`request_target`]: this is not an open proxy; [`cross_site`]: pages of
//!   other sites
//! - [`submit`]: a submission's path; [`judge`]: what becomes of it; [`forward`]: to the upstream and back
//! - [`fields`]: header fields on their way through
//! - [`held_body`]: a body as it arrives; [`places`] and [`budget`]: what requests share; [`content_coding`]: compressed
//!   bodies, decoded into a [`room`]
//! - [`response_reader`]: what the vendor says about a task
//! - [`guard`]: polls that would earn a ban
//! - [`error_response`]: responses of the gateway's own; [`recording`]: the record of a request in flight

use bytes::Bytes;
use http_body_util::{Either, Full};

use crate::upstream::ResponseBody;

pub mod admission;
pub mod budget;
pub mod content_coding;
pub mod cross_site;
pub mod error_response;
pub mod fields;
pub mod forward;
pub mod gateway;
pub mod guard;
pub mod handle;
pub mod held_body;
pub mod judge;
pub mod places;
pub mod recording;
pub mod request_target;
pub mod response_reader;
pub mod room;
pub mod submit;

pub use cross_site::CrossSite;
pub use gateway::{Gateway, Settings};
pub use guard::{Outage, PollGuard};
pub use handle::service;

/// The body of a response: the gateway's own, or the upstream's.
pub type Body = Either<Full<Bytes>, ResponseBody>;

/// A response to a client.
pub type Response = http::Response<Body>;
