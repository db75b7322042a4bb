//! How long to leave a server alone that asked for it.

use std::time::Duration;

/// Growing delays with full jitter, so that many clients do not come back at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The first delay's upper bound; it doubles with each try.
    pub(crate) base: Duration,
    /// No jitter goes beyond it; a server's own wish may.
    pub(crate) cap: Duration,
    /// How often a request is tried in all.
    pub(crate) tries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(60), tries: 6 }
    }
}

impl Backoff {
    /// The pause after the `failed`-th failure (from 1): at least what the server asked for, plus a random part
    /// (`chance`, 0 to 1) of the grown delay. None when it was tried often enough.
    pub(crate) fn pause(&self, failed: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let grown = self.base.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1))).min(self.cap);
        Some(asked.unwrap_or_default() + grown.mul_f64(chance.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_to_its_cap_and_never_undercuts_the_server() {
        let backoff = Backoff::default();
        let seconds = |failed, asked: Option<u64>, chance| {
            backoff.pause(failed, asked.map(Duration::from_secs), chance).map(|pause| pause.as_secs())
        };
        assert_eq!(seconds(1, None, 1.0), Some(1));
        assert_eq!(seconds(4, None, 1.0), Some(8));
        assert_eq!(seconds(3, None, 0.0), Some(0));
        assert_eq!(seconds(2, Some(90), 0.5), Some(91));
        assert_eq!(seconds(6, Some(1), 0.5), None);
        assert_eq!(Backoff { tries: 99, ..backoff }.pause(60, None, 1.0), Some(backoff.cap));
    }
}
