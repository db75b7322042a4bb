//! Connections to PostgreSQL: a bounded pool a database, whose connections keep the statements they prepared.

use std::time::Duration;

use dashmap::DashMap;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::NoTls;

use crate::failure::Failure;

/// How long a call waits for a connection while all are taken, or while PostgreSQL does not answer.
const WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Pools {
    postgres: tokio_postgres::Config,
    size: usize,
    by_database: DashMap<String, Pool>,
}

impl Pools {
    pub(crate) fn new(postgres: tokio_postgres::Config, size: usize) -> Self {
        Self { postgres, size, by_database: DashMap::new() }
    }

    pub(crate) async fn connection(&self, database: &str) -> Result<Object, Failure> {
        let known = self.by_database.get(database).map(|pool| pool.clone());
        let pool = match known {
            Some(pool) => pool,
            None => {
                let pool = self.open(database)?;
                self.by_database.entry(database.to_owned()).or_insert(pool).clone()
            }
        };
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error.into(),
            _ => Failure::database_unavailable(),
        })
    }

    fn open(&self, database: &str) -> Result<Pool, Failure> {
        let mut postgres = self.postgres.clone();
        postgres.dbname(database);
        let manager =
            Manager::from_config(postgres, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        Pool::builder(manager)
            .max_size(self.size)
            // What was used last has its statements planned and its memory at hand.
            .queue_mode(QueueMode::Lifo)
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| Failure::internal())
    }

    /// Has every connection prepare its statements anew: the plan of a kept `SELECT *` fails once its table has
    /// another column.
    pub(crate) fn schema_changed(&self) {
        for pool in &self.by_database {
            pool.manager().statement_caches.clear();
        }
    }
}
