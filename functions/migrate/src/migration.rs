//! The migrations of this build, and which of them a database still lacks.

use serde::Deserialize;
use sha2::{Digest, Sha256};

macro_rules! migrations {
    ($($version:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }),*]
    };
}

/// Every migration, in order. Once released, a file is never changed: a later one changes what it did.
pub const MIGRATIONS: &[Migration] = migrations![
    1 "0001_outbox",
    2 "0002_users",
    3 "0003_stations",
    4 "0004_sessions",
    5 "0005_chargers",
    6 "0006_transactions",
    7 "0007_tariffs",
    8 "0008_plans",
    9 "0009_wallets",
    10 "0010_invoices",
    11 "0011_billing",
    12 "0012_payments",
    13 "0013_events",
    14 "0014_slots",
    15 "0015_bookings",
    16 "0016_vendors",
    17 "0017_vendor_reports",
    18 "0018_refunds",
    19 "0019_no_shows",
];

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The number that its name begins with; the order of application.
    pub version: i32,
    /// Its file name without `.sql`.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

impl Migration {
    /// SHA-256 of the file, hexadecimal.
    pub fn checksum(&self) -> String {
        Sha256::digest(self.sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a database remembers of a migration it has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recorded {
    /// Its number.
    pub version: i32,
    /// Its name then.
    pub name: String,
    /// Its checksum then.
    pub checksum: String,
}

/// A database that this build does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A file is not what was applied under its number.
    #[error("the migration {0} was changed after it had been applied")]
    Changed(String),
    /// A number below the latest applied one was never applied.
    #[error("the migration {0} comes before one that is applied already")]
    OutOfOrder(&'static str),
}

/// The migrations that are not recorded yet, in order. What a newer build has recorded is no matter: an older one
/// may run beside it during a deployment.
pub fn pending<'m>(
    migrations: &'m [Migration],
    recorded: &[Recorded],
) -> Result<Vec<&'m Migration>, RecordError> {
    let latest = recorded.iter().map(|record| record.version).max().unwrap_or_default();
    let mut pending = Vec::new();
    for migration in migrations {
        match recorded.iter().find(|record| record.version == migration.version) {
            Some(record) if record.checksum != migration.checksum() => {
                return Err(RecordError::Changed(record.name.clone()));
            }
            Some(_) => {}
            None if migration.version < latest => return Err(RecordError::OutOfOrder(migration.name)),
            None => pending.push(migration),
        }
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const A: Migration = Migration { version: 1, name: "0001_a", sql: "SELECT 1" };
    const B: Migration = Migration { version: 2, name: "0002_b", sql: "SELECT 2" };

    fn record(migration: &Migration) -> Recorded {
        Recorded { version: migration.version, name: migration.name.into(), checksum: migration.checksum() }
    }

    #[test]
    fn every_file_is_listed_in_the_order_of_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
        assert_eq!(files, listed);
        for migration in MIGRATIONS {
            let number = migration.name.split('_').next().unwrap();
            assert_eq!(number, format!("{:04}", migration.version));
        }
    }

    #[test]
    fn a_fresh_database_gets_all_and_an_up_to_date_one_nothing() {
        assert_eq!(pending(&[A, B], &[]), Ok(vec![&A, &B]));
        assert_eq!(pending(&[A, B], &[record(&A)]), Ok(vec![&B]));
        assert_eq!(pending(&[A, B], &[record(&A), record(&B)]), Ok(vec![]));
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        assert_eq!(pending(&[A], &[record(&A), record(&B)]), Ok(vec![]));
    }

    #[test]
    fn a_changed_file_is_named() {
        let changed = Migration { sql: "SELECT 9", ..A };
        assert_eq!(pending(&[changed], &[record(&A)]), Err(RecordError::Changed("0001_a".into())));
    }

    #[test]
    fn a_late_number_is_refused() {
        assert_eq!(pending(&[A, B], &[record(&B)]), Err(RecordError::OutOfOrder("0001_a")));
    }
}
