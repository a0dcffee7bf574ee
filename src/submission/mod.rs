//! Reads a submission, the request that creates a task, without changing or re-serialising a byte of it.
//!
//! The readers yield byte ranges ([`Parameters`], in the target or the body) and what those bytes say ([`Captcha`],
//! [`Site`], the client's own nocache). [`crate::rules`] decides, [`crate::rewrite`] changes.
//!
//! # Layout
//! - [`read`](mod@read): [`Submission`], what is read of a request
//! - [`endpoint`]: which method of the API a path names
//! - [`plain_shape`]: what a deny configuration requires of it
//! - [`create_task`]: the JSON dialect; [`legacy`]: the five shapes of `in.php`
//! - [`json`], [`form`], [`multipart`]: one syntax each, from bytes to [`Parameters`]; `json_bytes`: where JSON values
//!   end; [`limits`]: of what is read
//! - [`wishes`]: how a client wants its responses; [`hidden`]: what `Debug` shows of a client's bytes
//! - [`captcha`]: task types and methods; [`site`] and [`host`]: the target page; `plain_site`: the usual URLs;
//!   [`key_suffix`]: the suffixes of an API key; [`lint`]: what clients do wrong with nocache

pub mod captcha;
pub mod create_task;
pub mod endpoint;
pub mod form;
pub mod hidden;
pub mod host;
pub mod json;
mod json_bytes;
pub mod key_suffix;
pub mod legacy;
pub mod limits;
pub mod lint;
pub mod multipart;
pub mod parameters;
pub mod plain_shape;
mod plain_site;
pub mod read;
pub mod site;
pub mod wishes;

pub use captcha::{Captcha, CaptchaNames, Kind};
pub use endpoint::{Dialect, Endpoint};
pub use host::Host;
pub use parameters::{NocacheValue, Parameter, Parameters, Part, Scalar, Syntax};
pub use read::{Lists, ParameterRef, Request, Submission, Unread, read};
pub use site::{Site, SiteError};
pub use wishes::Wishes;
