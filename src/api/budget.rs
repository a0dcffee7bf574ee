//! What may be held of all bodies together, so that many clients cannot take the memory that one may have.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Bodies up to this many bytes are small: they are held until they are whole, and only then is their request in flight.
pub const SMALL: usize = 64 << 10;

/// A number of bytes that all held bodies share. Bodies larger than [`SMALL`] may use three quarters of it; the rest is for
/// small ones.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    large: usize,
}

/// The budget does not allow more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget;

impl Budget {
    /// A budget of this many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        let used = Mutex::default();
        Arc::new(Self { limit, used })
    }

    /// What one body uses of it: nothing yet.
    pub fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            budget: self.clone(),
            bytes: 0,
            form: 0,
            is_large: false,
        }
    }
}

/// What one body uses of a budget, until it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
    /// How many of them are of the latest form of the body: as it came, decoded, or edited.
    form: usize,
    /// Whether one form of the body is not small.
    is_large: bool,
}

impl Charge {
    /// Uses more of the budget.
    pub fn add(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let is_large = self.is_large || self.form + bytes > SMALL;
        self.change(self.bytes + bytes, is_large)?;
        self.form += bytes;
        Ok(())
    }

    /// The charge, of which nothing is left here.
    pub fn take(&mut self) -> Self {
        let none = self.budget.charge();
        std::mem::replace(self, none)
    }

    /// What is added from now on is another form of the body.
    pub fn begin_form(&mut self) {
        self.form = 0;
    }

    /// Gives back all but this much.
    pub fn keep(&mut self, bytes: usize) {
        // Less is never over the budget.
        let _ = self.change(bytes.min(self.bytes), bytes > SMALL && self.is_large);
    }

    fn change(&mut self, bytes: usize, is_large: bool) -> Result<(), OverBudget> {
        // Many a charge is dropped with nothing left in it.
        if (bytes, is_large) == (self.bytes, self.is_large) {
            return Ok(());
        }
        let large = |is_large, bytes| if is_large { bytes } else { 0 };
        let mut used = self.budget.used.lock();
        let new = Used {
            all: used.all - self.bytes + bytes,
            large: used.large - large(self.is_large, self.bytes) + large(is_large, bytes),
        };
        let limit = self.budget.limit;
        let is_over = new.all > limit || is_large && new.large > limit / 4 * 3;
        if is_over && bytes > self.bytes {
            return Err(OverBudget);
        }
        *used = new;
        (self.bytes, self.is_large) = (bytes, is_large);
        Ok(())
    }

    /// Bytes that use this much of the budget until the last of them is dropped.
    pub fn of(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.keep(0);
    }
}

struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_leave_a_quarter_to_small_ones() {
        let budget = Budget::new(16 * SMALL);
        let mut large: Vec<Charge> = (0..6).map(|_| budget.charge()).collect();
        for charge in &mut large {
            // As it arrives: small first.
            assert_eq!(charge.add(SMALL), Ok(()));
            assert_eq!(charge.add(SMALL), Ok(()));
        }
        assert_eq!(budget.charge().add(2 * SMALL), Err(OverBudget));
        let mut growing = budget.charge();
        assert_eq!(growing.add(SMALL), Ok(()));
        assert_eq!(growing.add(1), Err(OverBudget), "it would be a large one");
        let mut small: Vec<Charge> = (0..3).map(|_| budget.charge()).collect();
        assert!(small.iter_mut().all(|charge| charge.add(SMALL) == Ok(())));
        assert_eq!(budget.charge().add(1), Err(OverBudget));

        // Two small forms of a body are not a large one.
        let mut edited = small.pop().unwrap();
        small.pop();
        edited.begin_form();
        assert_eq!(edited.add(SMALL), Ok(()));
        edited.keep(SMALL);
        small.extend([edited, budget.charge()]);
        assert_eq!(small[2].add(SMALL), Ok(()));
        assert_eq!(budget.charge().add(1), Err(OverBudget));

        let bytes = small.pop().unwrap().of(Bytes::from_static(b"held"));
        let rest = bytes.slice(1..);
        drop(bytes);
        assert_eq!(budget.charge().add(1), Err(OverBudget), "a part of it is still there");
        drop(rest);
        assert_eq!(budget.charge().add(SMALL), Ok(()));
        drop((large, growing, small));
        assert_eq!(budget.used.lock().all, 0);
        assert_eq!(budget.used.lock().large, 0);
    }
}
