//! The record of applied migrations, in the database it is about. The Data API takes one statement a call, so a
//! whole file travels as a parameter of `apply_migration`, which runs and records it in one transaction.

use serde::de::IgnoredAny;
use shared::{Database, DatabaseError, Statement, Timestamp};

use crate::migration::{Migration, Recorded};

pub(crate) async fn bootstrap(database: &Database) -> Result<(), DatabaseError> {
    database.rows::<IgnoredAny>(Statement::new(include_str!("bootstrap.sql"))).await.map(drop)
}

pub(crate) async fn recorded(database: &Database) -> Result<Vec<Recorded>, DatabaseError> {
    let all = "SELECT jsonb_build_object('version', version, 'name', name, 'checksum', checksum)
               FROM schema_migrations ORDER BY version";
    database.rows(Statement::new(all)).await
}

/// Whether this call applied it; not so when another run was first.
pub(crate) async fn apply(database: &Database, migration: &Migration) -> Result<bool, DatabaseError> {
    let apply = Statement::new(
        "SELECT to_jsonb(apply_migration(:version::integer, :name::text, :checksum::text, :script::text))",
    );
    let apply = apply
        .bind("version", i64::from(migration.version))
        .bind("name", migration.name)
        .bind("checksum", migration.checksum())
        .bind("script", migration.sql);
    Ok(database.row(apply).await?.unwrap_or_default())
}

/// How many partitions were made.
pub(crate) async fn ensure_partitions(database: &Database, now: Timestamp) -> Result<i64, DatabaseError> {
    let ensure = Statement::new(
        "WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(7303014))
         SELECT to_jsonb(ensure_session_partitions(:now::timestamptz, 3)) FROM lock",
    );
    Ok(database.row(ensure.bind("now", now)).await?.unwrap_or_default())
}
