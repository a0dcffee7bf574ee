//! What a proxy says instead of making a connection.

use http::StatusCode;

/// The reason why a proxy made no connection to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it requires a user and a password, which [upstream] proxy can have")]
    NoCredentials,
    #[error("it does not accept the user and the password that [upstream] proxy has")]
    Credentials,
    /// It authenticates in another way, such as Negotiate.
    #[error("it accepts neither no authentication nor a user and a password, and the gateway knows no other way")]
    Authentication,
    /// The status of its response to CONNECT.
    #[error("it responded {} to CONNECT", .0.as_u16())]
    Status(StatusCode),
    /// The reply of RFC 1928, section 6, in words.
    #[error("it replied: {0}")]
    Reply(&'static str),
}
