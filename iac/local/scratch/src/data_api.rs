//! The RDS Data API's door before a test's PostgreSQL.

use rds_data::{Cluster, Config};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Postgres;

/// The cluster that the door answers for.
pub const CLUSTER: &str = "arn:aws:rds:eu-central-1:000000000000:cluster:test";
/// The secret that opens it; the database is `postgres`.
pub const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:test";

/// An open door, shut when dropped.
pub struct DataApi {
    /// For `AWS_ENDPOINT_URL_RDS_DATA` or a client's `endpoint_url`.
    pub url: String,
    _shut: DropGuard,
}

impl DataApi {
    /// A door that answers exactly as deployed functions would be answered.
    pub async fn open(postgres: &Postgres) -> Self {
        let cluster = Cluster { secret_arn: SECRET.to_owned(), database: "postgres".to_owned() };
        Self::with(Config::new(postgres.config(), CLUSTER, cluster)).await
    }

    /// A door with other limits.
    pub async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shut = CancellationToken::new();
        let (door, until) = (rds_data::DataApi::new(config), shut.clone());
        tokio::spawn(async move { door.serve(listener, until).await });
        Self { url, _shut: shut.drop_guard() }
    }
}
