//! The token bucket of a stage's route settings.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lambda_host::scalar;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// `DefaultRouteSettings`, or one of `RouteSettings`; what it says of logs and metrics has no effect here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "settings without a local effect are listed so that others can be refused")]
pub(crate) struct RouteSettings {
    #[serde(default, deserialize_with = "scalar::optional")]
    throttling_burst_limit: Option<u32>,
    #[serde(default, deserialize_with = "scalar::optional")]
    throttling_rate_limit: Option<f64>,
    #[serde(default)]
    detailed_metrics_enabled: IgnoredAny,
    #[serde(default)]
    data_trace_enabled: IgnoredAny,
    #[serde(default)]
    logging_level: IgnoredAny,
}

/// A bucket of `burst` requests, refilled by `rate` a second.
#[derive(Debug)]
pub(crate) struct Throttle {
    burst: f64,
    rate: f64,
    bucket: Mutex<(f64, Instant)>,
}

impl Throttle {
    /// None where the settings do not name both limits.
    pub(crate) fn new(settings: &RouteSettings) -> Option<Self> {
        let (burst, rate) = (f64::from(settings.throttling_burst_limit?), settings.throttling_rate_limit?);
        Some(Self { burst, rate, bucket: Mutex::new((burst, Instant::now())) })
    }

    /// Whether one more request may pass at `now`.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, since) = *bucket;
        let tokens =
            (tokens + now.saturating_duration_since(since).as_secs_f64() * self.rate).min(self.burst);
        let passes = tokens >= 1.0;
        *bucket = (if passes { tokens - 1.0 } else { tokens }, now);
        passes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let settings = serde_json::from_str(r#"{"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": "10"}"#);
        let throttle = Throttle::new(&settings.unwrap()).unwrap();
        let mut now = Instant::now();
        let admitted = |now| (0..4).filter(|_| throttle.admits(now)).count();
        assert_eq!(admitted(now), 2);
        now += Duration::from_millis(100);
        assert_eq!(admitted(now), 1);
        now += Duration::from_secs(60);
        assert_eq!(admitted(now), 2);
    }
}
