//! Waits for what is looked at, and not told.

use std::{
    future::poll_fn,
    task::Poll::{Pending, Ready},
};

/// Completes when something is so. It looks whenever its task is polled, and has nobody to wake it: whoever makes it so wakes
/// the task. That costs a request nothing, where a channel would be registered with and left again by each.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    poll_fn(|_| if is_so() { Ready(()) } else { Pending }).await
}
