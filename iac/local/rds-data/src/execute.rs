//! Runs calls: who may, on which connection, for how long, and what comes back.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Object};
use futures::StreamExt as _;
use tokio::sync::Mutex;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::answer::{Output, answer};
use crate::bind::Bound;
use crate::decode::Decoder;
use crate::failure::Failure;
use crate::named::{Numbered, first_word, number};
use crate::transactions::{InUse, end};
use crate::wire::{
    BatchExecuteStatement, BatchExecuteStatementResponse, BeginTransaction, BeginTransactionResponse,
    EndTransaction, EndTransactionResponse, ExecuteStatement, ExecuteStatementResponse, ResultSetOptions,
    SqlParameter, UpdateResult,
};
use crate::{Cluster, Inner, Multistatements};

const MAX_SQL: usize = 65_536;
const MAX_ROW: usize = 64 * 1024;
const MAX_RESULT: usize = 1024 * 1024;
/// Kept statements a connection; more are a sign of SQL with values written into it.
const MAX_KEPT: usize = 512;

/// The connection of one call.
enum Lease {
    Pooled(Object),
    Transaction { id: String, session: InUse },
}

impl Lease {
    fn client(&self) -> Result<&ClientWrapper, Failure> {
        match self {
            Self::Pooled(connection) => Ok(connection),
            Self::Transaction { id, session } => session
                .as_ref()
                .map(|session| &*session.connection)
                .ok_or_else(|| Failure::transaction_not_found(id)),
        }
    }
}

/// A statement with its parameters in place.
struct Call {
    sql: String,
    parameters: Vec<Bound>,
}

impl Call {
    fn new(sql: &str, parameters: Vec<SqlParameter>) -> Result<Self, Failure> {
        let given: HashMap<String, Bound> =
            parameters.into_iter().map(Bound::read).collect::<Result<_, _>>()?;
        let is_untyped = |name: &str| given.get(name).is_some_and(|bound| bound.declared == Type::UNKNOWN);
        let Numbered { sql, order } = number(sql, |name| given.contains_key(name), is_untyped)
            .map_err(|missing| Failure::bad_request(format!("Cannot find parameter: {}", missing.0)))?;
        let parameters = order.iter().filter_map(|name| given.get(*name)).cloned().collect();
        Ok(Self { sql, parameters })
    }

    fn types(&self) -> Vec<Type> {
        self.parameters.iter().map(|parameter| parameter.declared.clone()).collect()
    }
}

impl Inner {
    fn authorize(&self, resource: &str, secret: &str, schema: Option<&str>) -> Result<&Cluster, Failure> {
        if schema.is_some() {
            return Err(Failure::validation("The schema parameter isn't supported"));
        }
        let cluster =
            self.config.clusters.get(resource).ok_or_else(|| Failure::endpoint_not_enabled(resource))?;
        if cluster.secret_arn == secret { Ok(cluster) } else { Err(Failure::secret(secret)) }
    }

    async fn lease(
        &self,
        cluster: &Cluster,
        resource: &str,
        database: Option<&str>,
        transaction: Option<String>,
    ) -> Result<Lease, Failure> {
        match transaction {
            Some(id) => self
                .transactions
                .take(&id, resource, database)
                .map(|session| Lease::Transaction { id, session }),
            None => self.pools.connection(database.unwrap_or(&cluster.database)).await.map(Lease::Pooled),
        }
    }

    pub(crate) async fn begin(&self, request: BeginTransaction) -> Result<BeginTransactionResponse, Failure> {
        let BeginTransaction { resource_arn, secret_arn, database, schema } = request;
        let cluster = self.authorize(&resource_arn, &secret_arn, schema.as_deref())?;
        let database = database.as_deref().unwrap_or(&cluster.database);
        let connection = self.pools.connection(database).await?;
        let transaction_id = self.transactions.begin(&resource_arn, database, connection).await?;
        Ok(BeginTransactionResponse { transaction_id })
    }

    pub(crate) async fn commit(&self, request: EndTransaction) -> Result<EndTransactionResponse, Failure> {
        let EndTransaction { resource_arn, secret_arn, transaction_id } = request;
        self.authorize(&resource_arn, &secret_arn, None)?;
        let mut session = self.transactions.take(&transaction_id, &resource_arn, None)?;
        let session = session.take().ok_or_else(|| Failure::transaction_not_found(&transaction_id))?;
        self.transactions.forget(&transaction_id);
        if session.failed {
            end(session, "ROLLBACK").await?;
            return Err(Failure::database(
                "The database returned ROLLBACK, so the transaction cannot be committed.",
            ));
        }
        let changed_schema = session.changed_schema;
        end(session, "COMMIT").await?;
        if changed_schema {
            self.pools.schema_changed();
        }
        Ok(EndTransactionResponse { transaction_status: "Transaction Committed" })
    }

    pub(crate) async fn rollback(&self, request: EndTransaction) -> Result<EndTransactionResponse, Failure> {
        let EndTransaction { resource_arn, secret_arn, transaction_id } = request;
        self.authorize(&resource_arn, &secret_arn, None)?;
        let mut session = self.transactions.take(&transaction_id, &resource_arn, None)?;
        let session = session.take().ok_or_else(|| Failure::transaction_not_found(&transaction_id))?;
        self.transactions.forget(&transaction_id);
        end(session, "ROLLBACK").await?;
        Ok(EndTransactionResponse { transaction_status: "Rollback Complete" })
    }

    pub(crate) async fn execute(
        self: Arc<Self>,
        request: ExecuteStatement,
    ) -> Result<ExecuteStatementResponse, Failure> {
        let cluster =
            self.authorize(&request.resource_arn, &request.secret_arn, request.schema.as_deref())?;
        check_length(&request.sql)?;
        let call = Call::new(&request.sql, request.parameters.unwrap_or_default())?;
        let database = request.database.as_deref();
        let lease = self.lease(cluster, &request.resource_arn, database, request.transaction_id).await?;
        let options = request.result_set_options.unwrap_or_default();
        let goes_on = request.continue_after_timeout == Some(true);
        let api = self.clone();
        let output = self
            .within_timeout(lease, request.sql, goes_on, async move |lease| {
                let result = api.run(&lease, &call, options).await;
                (lease, result)
            })
            .await?;
        answer(output, request.include_result_metadata == Some(true), request.format_records_as)
    }

    pub(crate) async fn batch(
        self: Arc<Self>,
        request: BatchExecuteStatement,
    ) -> Result<BatchExecuteStatementResponse, Failure> {
        let cluster =
            self.authorize(&request.resource_arn, &request.secret_arn, request.schema.as_deref())?;
        check_length(&request.sql)?;
        let sets = request.parameter_sets.unwrap_or_else(|| vec![vec![]]);
        let calls: Vec<Call> =
            sets.into_iter().map(|set| Call::new(&request.sql, set)).collect::<Result<_, _>>()?;
        let database = request.database.as_deref();
        let lease = self.lease(cluster, &request.resource_arn, database, request.transaction_id).await?;
        let api = self.clone();
        let update_results = vec![UpdateResult { generated_fields: [] }; calls.len()];
        self.within_timeout(lease, request.sql, false, async move |lease| {
            let result = api.run_batch(&lease, &calls).await;
            (lease, result)
        })
        .await?;
        Ok(BatchExecuteStatementResponse { update_results })
    }

    /// Runs on a task of its own, because a statement goes on when its caller hangs up, and so may one whose
    /// caller has been told that it timed out. It keeps its connection while it is being cancelled: the cancellation
    /// may come when it has ended, and would then be that of the connection's next statement.
    async fn within_timeout<T: Send + 'static, Work>(
        self: Arc<Self>,
        lease: Lease,
        sql: String,
        goes_on: bool,
        work: impl FnOnce(Lease) -> Work,
    ) -> Result<T, Failure>
    where
        Work: Future<Output = (Lease, Result<T, Failure>)> + Send + 'static,
    {
        let (cancel, timeout) = (lease.client()?.cancel_token(), self.config.statement_timeout);
        let is_given_back = Arc::new(Mutex::new(false));
        let (given_back, work) = (is_given_back.clone(), work(lease));
        let mut task = tokio::spawn(async move {
            let (lease, result) = work.await;
            let mut given_back = given_back.lock().await;
            self.settle(lease, &sql, result.as_ref().err());
            *given_back = true;
            result
        });
        match tokio::time::timeout(timeout, &mut task).await {
            Ok(finished) => finished.unwrap_or_else(|_| Err(Failure::internal())),
            Err(_) if goes_on => Err(Failure::timeout()),
            Err(_) => {
                let is_given_back = is_given_back.lock().await;
                let is_cancelled = *is_given_back || cancel.cancel_query(NoTls).await.is_ok();
                drop(is_given_back);
                if is_cancelled {
                    // The connection is free again only after PostgreSQL has answered the statement.
                    drop(task.await);
                }
                Err(Failure::timeout())
            }
        }
    }

    async fn run(&self, lease: &Lease, call: &Call, options: ResultSetOptions) -> Result<Output, Failure> {
        let client = lease.client()?;
        let refused = match attempt(client, call, options).await {
            Err(Attempt::Stale) if matches!(lease, Lease::Pooled(_)) => attempt(client, call, options).await,
            other => other,
        };
        match refused {
            Err(Attempt::Failed(failure))
                if self.config.multistatements == Multistatements::Allowed
                    && call.parameters.is_empty()
                    && failure == Failure::validation("Multistatements aren't supported.") =>
            {
                client.batch_execute(&call.sql).await?;
                self.pools.schema_changed();
                Ok(Output { statement: None, records: vec![], updated: 0 })
            }
            other => other.map_err(Attempt::into_failure),
        }
    }

    /// All sets or none, unless a transaction of the caller's decides.
    async fn run_batch(&self, lease: &Lease, calls: &[Call]) -> Result<(), Failure> {
        let client = lease.client()?;
        let is_own = matches!(lease, Lease::Pooled(_));
        if is_own {
            client.batch_execute("BEGIN").await?;
        }
        for call in calls {
            if let Err(error) = attempt(client, call, ResultSetOptions::default()).await {
                if is_own {
                    client.batch_execute("ROLLBACK").await?;
                }
                return Err(error.into_failure());
            }
        }
        if is_own {
            client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    /// Gives the connection back in the state that the next call may rely on.
    fn settle(&self, lease: Lease, sql: &str, failure: Option<&Failure>) {
        let verb = first_word(sql).to_ascii_uppercase();
        let taints = matches!(
            verb.as_str(),
            "SET"
                | "RESET"
                | "LISTEN"
                | "UNLISTEN"
                | "PREPARE"
                | "DEALLOCATE"
                | "DISCARD"
                | "LOAD"
                | "BEGIN"
                | "START"
        );
        let is_plain =
            matches!(verb.as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "WITH" | "VALUES");
        let changes_schema = !is_plain && failure.is_none();
        match lease {
            Lease::Pooled(connection) if taints => drop(Object::take(connection)),
            Lease::Pooled(_) => {}
            Lease::Transaction { id, mut session } => {
                if let Some(session) = session.as_mut() {
                    session.failed = failure.is_some_and(|failure| failure.name == "DatabaseErrorException");
                    session.tainted |= taints;
                    session.changed_schema |= changes_schema;
                }
                drop(session);
                self.transactions.used(&id);
            }
        }
        if changes_schema {
            self.pools.schema_changed();
        }
    }
}

fn check_length(sql: &str) -> Result<(), Failure> {
    if sql.len() <= MAX_SQL {
        return Ok(());
    }
    Err(Failure::validation(format!(
        "1 validation error detected: Value at 'sql' failed to satisfy constraint: Member must have length less than or equal to {MAX_SQL}"
    )))
}

enum Attempt {
    /// The statement as it was prepared fits the schema no longer; it has been forgotten.
    Stale,
    Failed(Failure),
}

impl Attempt {
    fn into_failure(self) -> Failure {
        match self {
            Self::Stale => {
                Failure::database("ERROR: cached plan must not change result type; SQLState: 0A000")
            }
            Self::Failed(failure) => failure,
        }
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn attempt(client: &ClientWrapper, call: &Call, options: ResultSetOptions) -> Result<Output, Attempt> {
    if client.statement_cache.size() > MAX_KEPT {
        client.statement_cache.clear();
    }
    let types = call.types();
    let refused = |error: tokio_postgres::Error| {
        client.statement_cache.remove(&call.sql, &types);
        let stale = error.as_db_error().is_some_and(|error| {
            *error.code() == SqlState::INVALID_SQL_STATEMENT_NAME
                || (*error.code() == SqlState::FEATURE_NOT_SUPPORTED
                    && error.message().starts_with("cached plan"))
        });
        if stale { Attempt::Stale } else { Attempt::Failed(error.into()) }
    };
    let statement = client.prepare_typed_cached(&call.sql, &types).await.map_err(refused)?;
    let decoder = Decoder::new(statement.columns(), options)?;
    let rows = client.query_raw(&statement, &call.parameters).await.map_err(refused)?;
    let mut rows = pin!(rows);
    let (mut records, mut total) = (Vec::new(), 0);
    while let Some(row) = rows.next().await {
        let (record, size) = decoder.record(&row.map_err(refused)?)?;
        if size > MAX_ROW {
            return Err(
                Failure::bad_request(format!("Packet for query is too large ({size} > {MAX_ROW})")).into()
            );
        }
        total += size;
        if total > MAX_RESULT {
            return Err(Failure::bad_request("Database response exceeded size limit").into());
        }
        records.push(record);
    }
    let updated = rows.rows_affected().unwrap_or(0);
    Ok(Output { statement: Some(statement), records, updated })
}
