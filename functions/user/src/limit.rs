//! How often a password may be tried, at a login or by who is logged in. Counted in Redis, in windows of fifteen minutes; with Redis gone nothing is
//! limited but what argon2 costs.
//!
//! - One address at one account: 10 failures. What others do elsewhere never counts against the owner here.
//! - One address at any account: 100 failures, except at accounts it has logged in to: a guesser behind the same
//!   gateway does not lock its neighbours out.
//! - One account from any address: never refused, because anyone could then lock its owner out. From 50 failures on
//!   each attempt from an address it has not been used from waits a second, and the log tells of it.

use std::net::IpAddr;
use std::time::Duration;

use redis::Pipeline;
use sha2::{Digest, Sha256};
use shared::{Cache, Failure};
use tracing::warn;

use crate::credentials::Email;

const WINDOW_SECONDS: i64 = 15 * 60;
const PAIR_FAILURES: i64 = 10;
const ADDRESS_FAILURES: i64 = 100;
const ACCOUNT_FAILURES: i64 = 50;
/// How long an account's address counts as its owner's after a login.
const KNOWN_SECONDS: u64 = 30 * 24 * 3600;
const DELAY: Duration = Duration::from_secs(1);

/// One try of one address at one account, by the keys it is counted under.
pub(crate) struct Attempt {
    account_key: String,
    address_key: String,
    pair_key: String,
    known_key: String,
}

/// Failures in the current window, this attempt included, and the seconds until the window ends.
#[derive(Debug, Clone, Copy)]
struct Counts {
    pair: i64,
    pair_left: i64,
    address: i64,
    address_left: i64,
    account: i64,
    is_known: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Admit,
    Delay,
    Refuse { retry_after_seconds: u32 },
}

fn judge(counts: Counts) -> Verdict {
    let refuse = |left: i64| {
        let seconds = u32::try_from(left).unwrap_or_default().max(1);
        Verdict::Refuse { retry_after_seconds: seconds }
    };
    if counts.pair > PAIR_FAILURES {
        refuse(counts.pair_left)
    } else if counts.address > ADDRESS_FAILURES && !counts.is_known {
        refuse(counts.address_left)
    } else if counts.account > ACCOUNT_FAILURES && !counts.is_known {
        Verdict::Delay
    } else {
        Verdict::Admit
    }
}

impl Attempt {
    /// Keys hold hashes: an e-mail address is nobody's business in a cache.
    pub(crate) fn new(email: &Email, source_ip: Option<&str>) -> Self {
        let (account, address) = (hash(email.as_str()), hash(&network(source_ip.unwrap_or_default())));
        Self {
            account_key: format!("login:account:{account}"),
            address_key: format!("login:address:{address}"),
            pair_key: format!("login:pair:{account}:{address}"),
            known_key: format!("login:known:{account}:{address}"),
        }
    }

    /// Counts the attempt as a failure until it has succeeded, so that many at once count as many.
    pub(crate) async fn admit(&self, cache: &Cache) -> Result<(), Failure> {
        let Some(counts) = self.count(cache).await else { return Ok(()) };
        match judge(counts) {
            Verdict::Admit => Ok(()),
            Verdict::Delay => {
                warn!(failures = counts.account, "an account is being guessed at");
                tokio::time::sleep(DELAY).await;
                Ok(())
            }
            Verdict::Refuse { retry_after_seconds } => Err(Failure::Limited { retry_after_seconds }),
        }
    }

    /// Takes the count back, and remembers the address as the owner's.
    pub(crate) async fn succeeded(&self, cache: &Cache) {
        let mut commands = Pipeline::new();
        commands.del(&self.pair_key).decr(&self.address_key, 1).decr(&self.account_key, 1);
        commands.set_ex(&self.known_key, 1, KNOWN_SECONDS);
        cache.ask(async |redis| commands.query_async::<()>(redis).await).await;
    }

    async fn count(&self, cache: &Cache) -> Option<Counts> {
        let mut commands = Pipeline::new();
        for key in [&self.pair_key, &self.address_key, &self.account_key] {
            commands.incr(key, 1).expire(key, WINDOW_SECONDS).arg("NX").ignore();
        }
        commands.ttl(&self.pair_key).ttl(&self.address_key).exists(&self.known_key);
        let counts = cache.ask(async |redis| commands.query_async(redis).await).await;
        let (pair, address, account, pair_left, address_left, is_known) = counts?;
        Some(Counts { pair, pair_left, address, address_left, account, is_known })
    }
}

pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What one subscriber of a network holds: an IPv4 address, or an IPv6 prefix of 64 bits.
pub(crate) fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const QUIET: Counts =
        Counts { pair: 1, pair_left: 900, address: 1, address_left: 900, account: 1, is_known: false };

    #[test]
    fn ten_failures_of_one_address_at_one_account_are_enough() {
        assert_eq!(judge(Counts { pair: 10, ..QUIET }), Verdict::Admit);
        assert_eq!(
            judge(Counts { pair: 11, pair_left: 600, is_known: true, ..QUIET }),
            Verdict::Refuse { retry_after_seconds: 600 }
        );
    }

    #[test]
    fn an_address_that_guesses_at_many_accounts_is_refused_but_not_its_neighbours_at_home() {
        let busy = Counts { address: 101, address_left: 0, ..QUIET };
        assert_eq!(judge(busy), Verdict::Refuse { retry_after_seconds: 1 });
        assert_eq!(judge(Counts { is_known: true, ..busy }), Verdict::Admit);
    }

    #[test]
    fn no_number_of_failures_elsewhere_locks_an_owner_out() {
        let attacked = Counts { account: 1_000_000, ..QUIET };
        assert_eq!(judge(attacked), Verdict::Delay);
        assert_eq!(judge(Counts { is_known: true, ..attacked }), Verdict::Admit);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn keys_tell_no_address() {
        let attempt = Attempt::new(&"ada@example.com".to_owned().try_into().unwrap(), Some("203.0.113.9"));
        let keys = [&attempt.account_key, &attempt.address_key, &attempt.pair_key, &attempt.known_key]
            .map(String::as_str);
        assert!(!keys.concat().contains("ada") && !keys.concat().contains("203"));
    }
}
