//! The payment provider's stand-in by itself: what one payment takes there, as many at a time as the figure beside it
//! has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sample::Sample;
use super::service;
use crate::Result;
use crate::stack::Stack;

/// As many as confirm bookings.
const CLIENTS: usize = 16;

/// What it came to.
pub(super) struct Provider {
    /// Payments a second, as fast as they are answered.
    pub sustained: f64,
    /// Of one payment: its intent made, and confirmed.
    pub delays: Sample,
}

/// Pays as fast as answers come, and then `rate` times a second, for `time` each.
pub(super) async fn measure(stack: &Stack, rate: f64, time: Duration) -> Result<Provider> {
    let secret: Value = serde_json::from_str(&stack.secret("ev/payments").await?)?;
    let text = |name: &str| secret[name].as_str().ok_or_else(|| format!("the payment secret has no {name}"));
    let (http, url, key) = (reqwest::Client::new(), format!("{}/v1", text("url")?), text("apiKey")?);
    let pay = async || {
        let form = [
            ("amount", "100"),
            ("currency", "eur"),
            ("payment_method", "pm_card_visa"),
            ("payment_method_types[]", "card"),
        ];
        let made = http.post(format!("{url}/payment_intents")).bearer_auth(key).form(&form).send().await?;
        let intent: Value = made.error_for_status()?.json().await?;
        let id = intent["id"].as_str().ok_or("an intent without id")?;
        let confirmed =
            http.post(format!("{url}/payment_intents/{id}/confirm")).bearer_auth(key).send().await?;
        let intent: Value = confirmed.error_for_status()?.json().await?;
        if intent["status"] == "succeeded" {
            Ok(())
        } else {
            Err(crate::Error::from(format!("not paid: {intent}")))
        }
    };

    let (paid, started) = (AtomicUsize::new(0), Instant::now());
    let clients = (0..CLIENTS).map(async |_| {
        while started.elapsed() < time {
            pay().await?;
            paid.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, crate::Error>(())
    });
    futures::future::try_join_all(clients).await?;
    let sustained = paid.into_inner() as f64 / started.elapsed().as_secs_f64();

    // It tells of each by a webhook.
    service::quiet(stack).await?;
    let (gap, started) = (Duration::from_secs_f64(CLIENTS as f64 / rate), Instant::now());
    let clients = (0..CLIENTS).map(async |client| {
        let mut delays = Sample::default();
        let mut due = started + gap.mul_f64(client as f64 / CLIENTS as f64);
        while due - started < time {
            tokio::time::sleep_until(due.into()).await;
            pay().await?;
            delays.add(due.elapsed());
            due += gap;
        }
        Ok::<_, crate::Error>(delays)
    });
    let mut delays = Sample::default();
    for sample in futures::future::try_join_all(clients).await? {
        delays.merge(sample);
    }
    Ok(Provider { sustained, delays })
}
