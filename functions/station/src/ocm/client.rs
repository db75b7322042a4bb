//! OpenChargeMap's API over HTTP: one page a request, bounded in time and size, tried again politely.

use std::time::Duration;

use rand::Rng;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::{Failure, Timestamp};
use tokio::time::Instant;
use tracing::warn;

use super::backoff::Backoff;
use super::paging::Position;
use crate::store::aurora::moment_parameter;

/// 5,000 POIs in the verbose form have about 16 MB; a larger answer is not what was asked for.
const LARGEST_ANSWER: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the API is and how it knows us: the secret's document.
#[derive(Clone, Deserialize)]
pub(crate) struct Access {
    /// With the version: `https://api.openchargemap.io/v3`, with or without `/poi`.
    pub(crate) url: String,
    /// A GUID.
    pub(crate) key: String,
}

/// The API, asked on behalf of one run.
pub(crate) struct OpenChargeMap {
    client: Client,
    endpoint: Url,
    key: String,
    backoff: Backoff,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPage {
    /// No time is left for another try: continue in the next invocation.
    #[error("no time is left")]
    OutOfTime,
    /// It kept failing.
    #[error("OpenChargeMap keeps failing: {0}")]
    Down(String),
    /// It refuses what we ask: the key, or the request.
    #[error("OpenChargeMap refuses: {0}")]
    Refused(String),
}

/// How one try failed.
enum Trouble {
    Passing { cause: String, asked: Option<Duration> },
    Lasting(String),
}

impl OpenChargeMap {
    pub(crate) fn new(access: Access, backoff: Backoff) -> Result<Self, Failure> {
        let client = Client::builder()
            .user_agent(concat!("station-mirror/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::fault)?;
        Ok(Self { client, endpoint: endpoint(&access.url)?, key: access.key, backoff })
    }

    /// Up to `limit` POIs from `position` on, each as it came. Tries until `deadline`.
    pub(crate) async fn page(
        &self,
        position: &Position,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Box<RawValue>>, NoPage> {
        let mut failed = 0;
        loop {
            let answer = tokio::time::timeout_at(deadline, self.attempt(position, limit)).await;
            let (cause, asked) = match answer.map_err(|_| NoPage::OutOfTime)? {
                Ok(page) => return Ok(page),
                Err(Trouble::Lasting(cause)) => return Err(NoPage::Refused(cause)),
                Err(Trouble::Passing { cause, asked }) => (cause, asked),
            };
            failed += 1;
            let chance = rand::rng().random();
            let Some(pause) = self.backoff.pause(failed, asked, chance) else {
                return Err(NoPage::Down(cause));
            };
            warn!(cause, failed, pause_ms = pause.as_millis(), "OpenChargeMap failed: trying again");
            if Instant::now() + pause >= deadline {
                return Err(NoPage::OutOfTime);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, position: &Position, limit: usize) -> Result<Vec<Box<RawValue>>, Trouble> {
        let mut request = self.client.get(self.endpoint.clone()).header("x-api-key", &self.key).query(&[
            ("output", "json"),
            ("verbose", "true"),
            ("compact", "false"),
            ("sortby", "modified_asc"),
            // All of them: a delisted POI must be taken off our lists, too.
            ("submissionstatustypeid", "0"),
        ]);
        request = request.query(&[("maxresults", limit)]);
        if let Some(since) = position.since {
            request = request.query(&[("modifiedsince", moment_parameter(since))]);
        }
        let passing = |cause: String| Trouble::Passing { cause, asked: None };
        // The address is left out of the errors: it may hold credentials of a proxy.
        let mut response = request.send().await.map_err(|error| passing(error.without_url().to_string()))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let asked = retry_after(response.headers(), chrono::Utc::now());
            return Err(Trouble::Passing { cause: format!("HTTP {status}"), asked });
        }
        if !status.is_success() {
            return Err(Trouble::Lasting(format!("HTTP {status}")));
        }
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| passing(error.without_url().to_string()))?
        {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Trouble::Lasting(format!("an answer of more than {LARGEST_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| passing(format!("no JSON list: {error}")))
    }
}

fn endpoint(url: &str) -> Result<Url, Failure> {
    let base = url.trim_end_matches('/');
    let base = base.strip_suffix("/poi").unwrap_or(base);
    format!("{base}/poi").parse().map_err(|_| Failure::fault("the secret holds no address of OpenChargeMap"))
}

/// Seconds or a date (RFC 9110); none when absent or no such thing.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc();
    Some((date - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-02-21T06:00:00Z".parse().unwrap();
        let asked =
            |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sat, 21 Feb 2026 06:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(asked("Fri, 20 Feb 2026 06:01:30 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
