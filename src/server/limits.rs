//! The limits of connections.

use std::time::Duration;

/// What a server grants its connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest request head, in bytes.
    pub head: usize,
    /// How long a head may take from its first byte to its last.
    pub head_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// How long a client may read nothing of a response that is ready for it.
    pub write_timeout: Duration,
    /// How many connections may be open at once, over all listeners. Further ones queue.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            connections: 10_000,
        }
    }
}
