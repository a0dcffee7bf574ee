//! The way to the vendor's API: hyper's client connections, and a small pool that knows what a submission costs.
//!
//! A request is sent at most once. The upstream may be closing an idle connection just as a request is written to it, and
//! then nothing tells whether the request was read. So a submission reuses only a connection that was idle briefly, else
//! it opens a new one ([`Reuse`]). A second attempt is made only if hyper hands the request back unsent.
//!
//! # Layout
//! - [`send`]: [`Upstream`], which sends a request
//! - [`route`]: one origin with its connections; [`origin`]: its URL
//! - [`dial`]: TCP and TLS; [`resolver`]: names; [`trust`]: certificates; [`error`]: what can fail from there on
//! - [`proxy`]: the setting; [`tunnel`]: how a proxy is asked for a connection; [`refusal`]: what it says instead
//! - [`socket`]: a TCP connection that hyper and the pool share
//! - [`outgoing`]: the body of a request on its way
//! - [`pool`]: idle connections; [`lease`]: a response body that returns its connection to the pool; [`response_body`]: what
//!   the client gets of it
//! - [`idle_limit`]: how long the upstream keeps an idle connection, learned from its closes

pub mod dial;
pub mod error;
pub mod idle_limit;
pub mod lease;
pub mod origin;
pub mod outgoing;
pub mod pool;
pub mod proxy;
pub mod refusal;
pub mod resolver;
pub mod response_body;
pub mod route;
pub mod send;
pub mod settings;
pub mod socket;
pub mod trust;
pub mod tunnel;

pub use error::UpstreamError;
pub use origin::Origin;
pub use outgoing::Outgoing;
pub use proxy::Proxy;
pub use response_body::ResponseBody;
pub use send::{Purpose, Reuse, Upstream, takes_codings_off};
pub use settings::Settings;
pub use trust::TlsError;
