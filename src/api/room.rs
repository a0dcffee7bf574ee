//! Room for a body whose length is not known before it is there.

use std::io::{self, Read};

use bytes::Bytes;
use memmap2::MmapMut;

/// How much is read at a time, in bytes.
const STEP: usize = 64 << 10;

/// From this length on a body has pages of its own, as many as it can need. To grow it would be to copy it, and to hold it
/// twice meanwhile; pages that nothing was written to take no memory, and go back to the system as soon as it is dropped,
/// where an allocator would keep them for a while.
const LARGE: usize = 1 << 20;

/// The bytes that have come.
pub struct Room {
    filled: Filled,
    limit: usize,
}

enum Filled {
    Small(Vec<u8>),
    Large { pages: MmapMut, length: usize },
}

impl Room {
    /// No bytes yet. `limit` is the most that will be taken; beyond it `fill` goes on by one step at most.
    pub fn new(limit: usize) -> Self {
        Self {
            filled: Filled::Small(Vec::new()),
            limit,
        }
    }

    /// Whether more bytes have come than the limit allows.
    pub fn is_over(&self) -> bool {
        let length = match &self.filled {
            Filled::Small(bytes) => bytes.len(),
            Filled::Large { length, .. } => *length,
        };
        length > self.limit
    }

    /// Reads some bytes, and returns how many: 0 only at the end, or when the limit was passed.
    pub fn fill(&mut self, mut source: impl Read) -> io::Result<usize> {
        if let Filled::Small(bytes) = &self.filled
            && bytes.len() >= LARGE
            // Where the system does not promise that much, it grows as a small one does.
            && let Ok(mut pages) = MmapMut::map_anon(self.limit.max(bytes.len()) + STEP)
        {
            let length = bytes.len();
            pages[..length].copy_from_slice(bytes);
            self.filled = Filled::Large { pages, length };
        }
        match &mut self.filled {
            Filled::Small(bytes) => source.take(STEP as u64).read_to_end(bytes),
            Filled::Large { pages, length } => {
                let end = pages.len().min(*length + STEP);
                let read = source.read(&mut pages[*length..end])?;
                *length += read;
                Ok(read)
            }
        }
    }

    /// What has come.
    pub fn into_bytes(self) -> Bytes {
        match self.filled {
            Filled::Small(bytes) => Bytes::from(bytes),
            Filled::Large { pages, length } => Bytes::from_owner(pages).slice(..length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_kept_whole() {
        for length in [0, 1, STEP, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 7] {
            let body: Vec<u8> = (0..length).map(|number| number as u8).collect();
            // No system maps the last one.
            for limit in [0, length, 4 * LARGE, 1 << 60] {
                let mut room = Room::new(limit);
                let mut source = &body[..];
                while !room.is_over() && room.fill(&mut source).unwrap() > 0 {}
                assert!(source.is_empty() || room.is_over(), "{length} {limit}");
                assert_eq!(room.into_bytes(), body[..length - source.len()], "{length} {limit}");
            }
        }
    }
}
