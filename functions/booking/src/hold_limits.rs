//! How often holds may be asked for: counted in Redis, in windows of an hour; with Redis gone it is not limited.

use std::net::IpAddr;

use redis::Pipeline;
use shared::{Cache, Failure, UserId};
use uuid::Uuid;

const WINDOW_SECONDS: i64 = 3600;
/// For one account.
const PER_USER: i64 = 60;
/// For all accounts behind one address.
const PER_ADDRESS: i64 = 300;

/// Counts one more of the account's and of the address's, or refuses it until an hour is over.
pub(crate) async fn admit(cache: &Cache, user: UserId, source_ip: Option<&str>) -> Result<(), Failure> {
    let mut keys = vec![(format!("holds:account:{user}"), PER_USER)];
    keys.extend(source_ip.map(|address| (format!("holds:address:{}", network(address)), PER_ADDRESS)));
    let mut commands = Pipeline::new();
    for (key, _) in &keys {
        commands.incr(key, 1).expire(key, WINDOW_SECONDS).arg("NX").ignore().ttl(key);
    }
    let counted: Option<Vec<i64>> = cache.ask(async |redis| commands.query_async(redis).await).await;
    let counted = counted.unwrap_or_default();
    for ((_, most), counted) in keys.iter().zip(counted.chunks_exact(2)) {
        if counted[0] > *most {
            let retry_after_seconds = u32::try_from(counted[1]).unwrap_or(1).max(1);
            return Err(Failure::Limited { retry_after_seconds });
        }
    }
    Ok(())
}

/// What one subscriber of a network has, an IPv4 address or an IPv6 prefix of 64 bits, so that it cannot be read.
fn network(address: &str) -> Uuid {
    let bytes = match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Err(_) => address.as_bytes().to_vec(),
    };
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_one_whatever_address_of_theirs_they_use() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("203.0.113.9"), network("203.0.113.10"));
        assert_eq!(network("203.0.113.9"), network("::ffff:203.0.113.9"));
    }
}
