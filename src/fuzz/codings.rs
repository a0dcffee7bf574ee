//! Compressed bodies.

use crate::api::{
    budget::Budget,
    content_coding::{Coding, decode},
};

/// The largest body that is allowed here.
const LIMIT: usize = 1 << 20;

/// A compressed body, behind a byte that chooses the coding: it decodes to at most the limit, or is refused.
pub fn content_coding(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let codings = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    let budget = Budget::new(16 * LIMIT);
    let mut charge = budget.charge();
    if let Ok(decoded) = decode(body, codings[usize::from(*choice) % codings.len()], LIMIT, &mut charge) {
        assert!(decoded.len() <= LIMIT);
    }
}
