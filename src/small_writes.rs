//! Small writes: a vectored write costs the system more than the copy of a few bytes.

use std::io::IoSlice;

use smallvec::SmallVec;

/// The most bytes that are joined: a head with a small body.
const SMALL: usize = 4 << 10;

/// Where slices are joined.
pub type Space = SmallVec<[u8; SMALL]>;

/// Joins slices in a space, if they are several and small.
pub fn join<'s>(slices: &[IoSlice<'_>], space: &'s mut Space) -> Option<&'s [u8]> {
    let length: usize = slices.iter().map(|slice| slice.len()).sum();
    if length > SMALL || slices.len() < 2 {
        return None;
    }
    for slice in slices {
        space.extend_from_slice(slice);
    }
    Some(space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_several_small_slices_are_joined() {
        let large = vec![b'a'; SMALL];
        for (slices, expected) in [
            (vec![&b"head"[..], b"body"], Some(&b"headbody"[..])),
            (vec![b"", b"x"], Some(b"x")),
            (vec![b"alone"], None),
            (vec![], None),
            (vec![&large, b"x"], None),
            (vec![&large, b""], Some(&large)),
        ] {
            let slices: Vec<IoSlice<'_>> = slices.into_iter().map(IoSlice::new).collect();
            assert_eq!(join(&slices, &mut Space::new()), expected);
        }
    }
}
