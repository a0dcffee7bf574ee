//! How long tasks took: a distribution in buckets that grow by a tenth, so that a quantile is off by 5 % at most. Clients
//! see a solution only when they poll, every 1 to 5 seconds.

use serde::{Deserialize, Serialize};

use super::clock::Millis;

/// The upper bound of the first bucket, in milliseconds.
const FIRST: f64 = 100.0;
const GROWTH: f64 = 1.1;
/// The last bucket begins at 16 minutes: no task is known for longer.
const LAST: u8 = 97;

/// A distribution of times. Only buckets that are in use take memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SolveTimes(Vec<(u8, u32)>);

fn bucket(time: Millis) -> u8 {
    let steps = (time.max(1) as f64 / FIRST).log(GROWTH).ceil();
    // The bounds are within a byte.
    steps.clamp(0.0, f64::from(LAST)) as u8
}

impl SolveTimes {
    /// Adds one time.
    pub fn add(&mut self, time: Millis) {
        self.add_many(bucket(time), 1);
    }

    fn add_many(&mut self, bucket: u8, count: u32) {
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => self.0[index].1 = self.0[index].1.saturating_add(count),
            Err(index) => self.0.insert(index, (bucket, count)),
        }
    }

    /// Adds all times of another distribution.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|&(bucket, count)| self.add_many(bucket, count));
    }

    /// The time that a share of all (0 to 1) did not exceed; `None` without any. It is the middle of a bucket.
    pub fn quantile(&self, share: f64) -> Option<Millis> {
        let all: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        let rank = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let (bucket, _) = self.0.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        Some((FIRST * GROWTH.powf(f64::from(*bucket) - 0.5)) as Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_off_by_five_percent_at_most() {
        let mut times = SolveTimes::default();
        assert_eq!(times.quantile(0.5), None);
        for time in (200..=20_000).rev() {
            times.add(time);
        }
        for (share, exact) in [(0.05, 1_190.0), (0.5, 10_100.0), (0.95, 19_010.0)] {
            let shown = times.quantile(share).unwrap() as f64;
            assert!((shown / exact - 1.0).abs() < 0.055, "{share}: {shown} for {exact}");
        }
        let mut twice = times.clone();
        twice.merge(&times);
        assert_eq!(twice.quantile(0.5), times.quantile(0.5));
    }

    #[test]
    fn the_least_and_the_longest_have_a_bucket() {
        for (time, at_least, at_most) in [
            (0, 0, 100),
            (100, 0, 100),
            (900_000, 850_000, 1_000_000),
            (u64::MAX, 900_000, 1_100_000),
        ] {
            let mut times = SolveTimes::default();
            times.add(time);
            let shown = times.quantile(0.5).unwrap();
            assert!((at_least..=at_most).contains(&shown), "{time}: {shown}");
        }
    }
}
