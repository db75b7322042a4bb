//! Durations gathered, and their percentiles.

use std::time::Duration;

/// Many durations of the same thing.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// All of another.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The percentile `p` (0 to 100) in milliseconds; NaN when there is nothing.
    pub fn percentile_ms(&self, p: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (p / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_of_a_hundred_is_the_99th() {
        let mut sample = Sample::default();
        (1..=100).rev().for_each(|ms| sample.add(Duration::from_millis(ms)));
        assert!((sample.percentile_ms(99.0) - 99.0).abs() < 1e-9);
        assert!((sample.percentile_ms(50.0) - 50.0).abs() < 1e-9);
    }
}
