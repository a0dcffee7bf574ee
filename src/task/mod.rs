//! What requests and responses say about tasks: which task a poll or a report is about, and what became of it. Both dialects
//! share the ids. Nothing else is taken from them: no key, no token, no solution.
//!
//! # Layout
//! - [`id`]: the id of a task; [`error_code`]: the vendor's codes
//! - `json`: reads JSON; [`request`]: polls and reports; [`response`]: what the vendor says

pub mod error_code;
pub mod id;
mod json;
pub mod request;
pub mod response;

pub use error_code::ErrorCode;
pub use id::TaskId;
pub use request::{Call, Opinion};
pub use response::VendorResult;
