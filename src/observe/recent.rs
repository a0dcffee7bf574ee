//! The series of a family that were counted last. Most requests are like one that came just before, and find their series
//! without a hash of its labels.

use std::{fmt, hash::Hash};

use arrayvec::ArrayVec;
use parking_lot::Mutex;
use prometheus_client::metrics::family::{Family, MetricConstructor};

/// How many series are found so.
const COUNT: usize = 8;

/// A family, with its latest series at hand.
pub struct Recent<S, M, C = fn() -> M> {
    family: Family<S, M, C>,
    latest: Mutex<ArrayVec<(S, M), COUNT>>,
}

impl<S, M, C> Recent<S, M, C>
where
    S: Clone + Hash + Eq,
    M: Clone,
    C: MetricConstructor<M>,
{
    /// The series of a family.
    pub fn of(family: Family<S, M, C>) -> Self {
        Self {
            family,
            latest: Mutex::default(),
        }
    }

    /// The family, to be registered.
    pub fn family(&self) -> &Family<S, M, C> {
        &self.family
    }

    /// Counts in the series with these labels.
    pub fn count<R>(&self, labels: S, count: impl FnOnce(&M) -> R) {
        let mut latest = self.latest.lock();
        let known = latest.iter().position(|(known, _)| *known == labels);
        let known = known.unwrap_or_else(|| {
            let series = self.family.get_or_create_owned(&labels);
            if latest.is_full() {
                latest.remove(0);
            }
            latest.push((labels, series));
            latest.len() - 1
        });
        count(&latest[known].1);
    }
}

impl<S, M, C> fmt::Debug for Recent<S, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn every_series_counts_its_own() {
        let recent = Recent::<_, Counter, _>::of(Family::<(usize,), Counter>::default());
        for number in 0..40 {
            for times in [number % 10, number % 3] {
                recent.count((times,), Counter::inc);
            }
        }
        let counted = |times| recent.family().get_or_create_owned(&(times,)).get();
        assert_eq!(
            (0..11).map(counted).collect::<Vec<_>>(),
            [18, 17, 17, 4, 4, 4, 4, 4, 4, 4, 0]
        );
    }
}
