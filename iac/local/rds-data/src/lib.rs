//! The RDS Data API in front of a PostgreSQL: what `aws-sdk-rdsdata` speaks, with the names, limits and
//! refusals that Aurora PostgreSQL (Serverless v2 and provisioned) has. Knows no schema and signs nothing:
//! a secret is right when its ARN is.

mod answer;
mod bind;
mod decode;
mod execute;
mod failure;
mod http;
mod named;
mod pools;
mod text;
mod transactions;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::pools::Pools;
use crate::transactions::Transactions;

/// What a `resourceArn` opens.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The only secret accepted with this cluster: its ARN, as calls name it.
    pub secret_arn: String,
    /// The database of a call that names none.
    pub database: String,
}

/// Whether one call may carry several SQL statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Multistatements {
    /// `ValidationException: Multistatements aren't supported.`, which is what Aurora Serverless v2 answers.
    #[default]
    Refused,
    /// Run in one implicit transaction when the call has no parameters. Aurora does not do this.
    Allowed,
}

/// How the Data API is stood up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where PostgreSQL is and as whom to connect; its `dbname` is replaced by each call's.
    pub postgres: tokio_postgres::Config,
    /// By `resourceArn`.
    pub clusters: BTreeMap<String, Cluster>,
    /// Connections held to each database, open transactions included.
    pub connections: usize,
    /// How long a statement may run: 45 s on AWS.
    pub statement_timeout: Duration,
    /// How long a transaction may stay unused before it is rolled back: 3 min on AWS.
    pub transaction_idle: Duration,
    /// How long a transaction may last in all: 24 h on AWS.
    pub transaction_life: Duration,
    /// Refused on AWS.
    pub multistatements: Multistatements,
}

impl Config {
    /// One cluster, with the limits that AWS has.
    #[must_use]
    pub fn new(postgres: tokio_postgres::Config, resource_arn: impl Into<String>, cluster: Cluster) -> Self {
        Self {
            postgres,
            clusters: BTreeMap::from([(resource_arn.into(), cluster)]),
            connections: 32,
            statement_timeout: Duration::from_secs(45),
            transaction_idle: Duration::from_secs(180),
            transaction_life: Duration::from_secs(24 * 3600),
            multistatements: Multistatements::Refused,
        }
    }
}

/// The Data API: its connections and the transactions that are open. Clones share both.
#[derive(Clone)]
pub struct DataApi {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    pools: Pools,
    transactions: Transactions,
}

impl DataApi {
    /// Connects to nothing yet: a PostgreSQL that is down is each call's `DatabaseUnavailableException`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let pools = Pools::new(config.postgres.clone(), config.connections);
        let transactions = Transactions::new(config.transaction_idle, config.transaction_life);
        Self { inner: Arc::new(Inner { config, pools, transactions }) }
    }
}
