//! Logging in through the front door, argon2id and all.

use std::time::{Duration, Instant};

use super::sample::Sample;
use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;

/// `times` logins of one driver, one after another, after a few that warm the function up.
pub async fn measure(stack: &Stack, driver: &Account, times: u32) -> Result<Sample> {
    for _ in 0..3 {
        Account::login(stack, &driver.email).await?;
    }
    let mut delays = Sample::default();
    for _ in 0..times {
        let started = Instant::now();
        Account::login(stack, &driver.email).await?;
        delays.add(started.elapsed());
        // A pause, so that one login does not wait for the leftovers of the one before.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(delays)
}
