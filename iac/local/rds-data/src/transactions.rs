//! Open transactions: each a connection of its own until it is ended, or left unused for too long.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use deadpool_postgres::Object;
use tokio::sync::OwnedMutexGuard;

use crate::failure::Failure;

/// A connection within `BEGIN`.
pub(crate) struct Session {
    pub(crate) connection: Object,
    /// A statement failed: PostgreSQL answers a `COMMIT` by rolling back.
    pub(crate) failed: bool,
    /// A statement may have left settings behind, so the connection is not to be used again.
    pub(crate) tainted: bool,
    pub(crate) changed_schema: bool,
}

/// The use of a transaction by one call; empty once it has ended.
pub(crate) type InUse = OwnedMutexGuard<Option<Session>>;

struct Open {
    resource_arn: String,
    database: String,
    begun: Instant,
    last_used: Mutex<Instant>,
    session: Arc<tokio::sync::Mutex<Option<Session>>>,
}

impl Open {
    fn touch(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn unused_for(&self) -> Duration {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

type ById = DashMap<String, Open>;

pub(crate) struct Transactions {
    by_id: Arc<ById>,
    idle: Duration,
    life: Duration,
    reaper: OnceLock<()>,
}

impl Transactions {
    pub(crate) fn new(idle: Duration, life: Duration) -> Self {
        Self { by_id: Arc::default(), idle, life, reaper: OnceLock::new() }
    }

    /// Begins on `connection` and gives the transaction's id.
    pub(crate) async fn begin(
        &self,
        resource_arn: &str,
        database: &str,
        connection: Object,
    ) -> Result<String, Failure> {
        connection.batch_execute("BEGIN").await?;
        self.reaper.get_or_init(|| {
            tokio::spawn(reap(Arc::downgrade(&self.by_id), self.idle, self.life));
        });
        let id = uuid::Uuid::new_v4().simple().to_string();
        let session = Session { connection, failed: false, tainted: false, changed_schema: false };
        let now = Instant::now();
        let open = Open {
            resource_arn: resource_arn.to_owned(),
            database: database.to_owned(),
            begun: now,
            last_used: Mutex::new(now),
            session: Arc::new(tokio::sync::Mutex::new(Some(session))),
        };
        self.by_id.insert(id.clone(), open);
        Ok(id)
    }

    /// Takes the transaction for one call. Two calls at once are refused, not queued.
    pub(crate) fn take(
        &self,
        id: &str,
        resource_arn: &str,
        database: Option<&str>,
    ) -> Result<InUse, Failure> {
        let open = self.by_id.get(id).filter(|open| open.resource_arn == resource_arn);
        let open = open.ok_or_else(|| Failure::transaction_not_found(id))?;
        if database.is_some_and(|database| database != open.database) {
            return Err(Failure::bad_request("Database name is not the same as transaction database"));
        }
        let session = open.session.clone().try_lock_owned();
        let session = session.map_err(|_| Failure::database("Transaction is still running a query"))?;
        if session.is_none() {
            return Err(Failure::transaction_not_found(id));
        }
        open.touch();
        Ok(session)
    }

    /// Says that a call has finished, from which on the transaction is unused.
    pub(crate) fn used(&self, id: &str) {
        if let Some(open) = self.by_id.get(id) {
            open.touch();
        }
    }

    pub(crate) fn forget(&self, id: &str) {
        self.by_id.remove(id);
    }
}

/// Ends a transaction with `COMMIT` or `ROLLBACK`, after which the connection serves others, or is closed when
/// its state is not certain.
pub(crate) async fn end(session: Session, sql: &str) -> Result<(), Failure> {
    let result = session.connection.batch_execute(sql).await;
    if result.is_err() || session.tainted {
        drop(Object::take(session.connection));
    }
    Ok(result?)
}

async fn reap(by_id: Weak<ById>, idle: Duration, life: Duration) {
    let mut rounds = tokio::time::interval((idle.min(life) / 8).max(Duration::from_millis(10)));
    loop {
        rounds.tick().await;
        let Some(by_id) = by_id.upgrade() else { return };
        let mut expired = Vec::new();
        by_id.retain(|id, open| {
            if open.unused_for() < idle && open.begun.elapsed() < life {
                return true;
            }
            // A statement that still runs keeps its transaction until its own timeout.
            let Ok(mut session) = open.session.try_lock() else { return true };
            tracing::warn!(transaction.id = %id, "a transaction expired and is rolled back");
            expired.extend(session.take());
            false
        });
        for session in expired {
            tokio::spawn(async move { end(session, "ROLLBACK").await });
        }
    }
}
