//! Brings the database to the schema of this build: ordered `.sql` files, each applied once. Knows no table but
//! its own record of what was applied.

mod migration;
mod store;

use serde::{Deserialize, Serialize};
use shared::{Database, Failure, Timestamp};

pub use migration::{MIGRATIONS, Migration, RecordError, Recorded, pending};

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Files applied now, in order; empty when the schema was up to date.
    pub applied: Vec<&'static str>,
    /// Monthly partitions of `sessions` made now.
    pub partitions: i64,
}

/// Applies what is pending, then makes the partitions of this month and the next three. Harmless to repeat, also
/// at the same time.
pub async fn migrate(database: &Database, now: Timestamp) -> Result<Report, Failure> {
    store::bootstrap(database).await?;
    let recorded = store::recorded(database).await?;
    let mut applied = Vec::new();
    for migration in pending(MIGRATIONS, &recorded).map_err(Failure::fault)? {
        if store::apply(database, migration).await? {
            tracing::info!(migration = migration.name, "applied");
            applied.push(migration.name);
        }
    }
    let partitions = store::ensure_partitions(database, now).await?;
    Ok(Report { applied, partitions })
}
