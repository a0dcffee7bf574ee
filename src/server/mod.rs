//! Listeners and connections, for the API, the admin side and the sandbox. The accept loop is our own because
//! `axum::serve` neither preserves the spelling of field names nor leaves out the Date field.
//!
//! # Layout
//! - [`bind`](mod@bind): opens a listener; [`listener`]: what is spoken on it
//! - [`serve`]: [`Server`], the accept loop; `connection`: one connection, its TLS, its tunnel
//! - [`entrance`]: how a request came in; [`fault`]: why none came
//! - [`limits`]: the limits of connections; `progress`: holds connections to the time limits,
//!   and tells when a client has gone; `watched`: the stream that tells it
//! - `body_guard`: ties a connection's progress to the bodies of request and response

pub mod bind;
mod body_guard;
mod connection;
pub mod entrance;
pub mod fault;
pub mod limits;
pub mod listener;
mod progress;
pub mod serve;
mod watched;

pub use bind::bind;
pub use body_guard::RequestBody;
pub use connection::Requests;
#[cfg(any(test, fuzzing))]
pub(crate) use connection::serve_one;
pub use entrance::{Entrance, Tunnel, Way};
pub use fault::{ConnectionFault, FaultKind};
pub use limits::Limits;
pub use listener::{Listener, Protocol};
pub use progress::Client;
pub use serve::{Server, Stop};
