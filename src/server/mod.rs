//! Listeners and connections, for the API, the admin side and the sandbox. The accept loop is our own because
//! `axum::serve` neither preserves the spelling of field names nor leaves out the Date field.
//!
//! # Layout
//! - [`bind`](mod@bind): opens a listener
//! - [`serve`]: [`Server`], the accept loop
//! - [`limits`]: the limits of connections; `progress`: holds connections to the time limits,
//!   and tells when a client has gone
//! - `body_guard`: ties a connection's progress to the bodies of request and response

pub mod bind;
mod body_guard;
pub mod limits;
mod progress;
pub mod serve;

pub use bind::bind;
pub use limits::Limits;
pub use progress::ClientGone;
pub use serve::{HeadError, LocalAddress, PeerAddress, Server, closed};
