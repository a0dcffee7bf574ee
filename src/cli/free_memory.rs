//! Memory that is free again goes back to the system, in a quiet process too.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::api::Gateway;

const PAUSE: Duration = Duration::from_secs(2);

/// So large that it has pages of its own.
const LARGE: usize = 1 << 20;

/// Now and then, for ever: closes connections to the upstream that a burst of clients has left, and frees a large block.
/// mimalloc gives back pages that have been free for a second, but it looks for them only when another page becomes free: a
/// process without another request would keep what the burst needed.
pub async fn give_back(gateway: Arc<Gateway>) {
    loop {
        sleep(PAUSE).await;
        gateway.upstream().trim(Instant::now());
        drop(black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}
