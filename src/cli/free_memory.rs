//! Memory that is free again goes back to the system, in a quiet process too.

use std::{hint::black_box, time::Duration};

use tokio::time::sleep;

const PAUSE: Duration = Duration::from_secs(2);

/// So large that it has pages of its own.
const LARGE: usize = 1 << 20;

/// Frees a large block now and then, for ever. mimalloc gives back pages that have been free for a second, but it looks for
/// them only when another page becomes free: after a burst of clients, a process without another request would keep what
/// these needed.
pub async fn give_back() {
    loop {
        sleep(PAUSE).await;
        drop(black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}
