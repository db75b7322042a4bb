//! A PostgreSQL of the test's own, the Data API before it, and the AWS client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_pass_by_value, dead_code)]

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::types::{Field, SqlParameter, TypeHint};
use rds_data::{Cluster, Config};
use scratch::{DataApi, Postgres};

pub(crate) use scratch::{CLUSTER, SECRET};

pub(crate) struct Stack {
    pub(crate) postgres: Postgres,
    pub(crate) client: Client,
    pub(crate) door: DataApi,
}

pub(crate) async fn stack() -> Stack {
    stack_with(|_| {}).await
}

pub(crate) async fn stack_with(adjust: impl FnOnce(&mut Config)) -> Stack {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let cluster = Cluster { secret_arn: SECRET.to_owned(), database: "postgres".to_owned() };
    let mut config = Config::new(postgres.config(), CLUSTER, cluster);
    adjust(&mut config);
    let door = DataApi::with(config).await;
    let config = aws_sdk_rdsdata::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&door.url)
        .build();
    Stack { postgres, client: Client::from_conf(config), door }
}

pub(crate) type Answer = Result<ExecuteStatementOutput, Refusal>;

/// An exception's name and message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String, pub(crate) String);

pub(crate) fn refusal<E: ProvideErrorMetadata + std::fmt::Debug>(error: SdkError<E>) -> Refusal {
    let name = error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_owned();
    Refusal(name, error.message().unwrap_or_default().to_owned())
}

impl Stack {
    pub(crate) async fn sql(&self, sql: &str, parameters: Vec<SqlParameter>) -> Answer {
        self.sql_in(None, sql, parameters).await
    }

    pub(crate) async fn sql_in(
        &self,
        transaction: Option<&str>,
        sql: &str,
        parameters: Vec<SqlParameter>,
    ) -> Answer {
        self.client
            .execute_statement()
            .resource_arn(CLUSTER)
            .secret_arn(SECRET)
            .sql(sql)
            .set_transaction_id(transaction.map(str::to_owned))
            .set_parameters(Some(parameters))
            .send()
            .await
            .map_err(refusal)
    }

    /// The first record.
    pub(crate) async fn row(&self, sql: &str, parameters: Vec<SqlParameter>) -> Vec<Field> {
        self.sql(sql, parameters).await.unwrap().records().first().cloned().unwrap()
    }

    /// The first field of the first record.
    pub(crate) async fn one(&self, sql: &str, parameters: Vec<SqlParameter>) -> Field {
        self.row(sql, parameters).await.remove(0)
    }

    pub(crate) async fn begin(&self) -> String {
        let begun =
            self.client.begin_transaction().resource_arn(CLUSTER).secret_arn(SECRET).send().await.unwrap();
        begun.transaction_id().unwrap().to_owned()
    }

    pub(crate) async fn commit(&self, id: &str) -> Result<String, Refusal> {
        let call =
            self.client.commit_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
        call.send().await.map(|done| done.transaction_status().unwrap().to_owned()).map_err(refusal)
    }

    pub(crate) async fn rollback(&self, id: &str) -> Result<String, Refusal> {
        let call =
            self.client.rollback_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
        call.send().await.map(|done| done.transaction_status().unwrap().to_owned()).map_err(refusal)
    }
}

pub(crate) fn value(name: &str, value: Field) -> SqlParameter {
    SqlParameter::builder().name(name).value(value).build()
}

pub(crate) fn text(name: &str, text: &str) -> SqlParameter {
    value(name, Field::StringValue(text.to_owned()))
}

pub(crate) fn long(name: &str, long: i64) -> SqlParameter {
    value(name, Field::LongValue(long))
}

pub(crate) fn hinted(name: &str, text: &str, hint: TypeHint) -> SqlParameter {
    SqlParameter::builder().name(name).value(Field::StringValue(text.to_owned())).type_hint(hint).build()
}

pub(crate) fn string(text: &str) -> Field {
    Field::StringValue(text.to_owned())
}

pub(crate) fn refused(name: &str, message: &str) -> Refusal {
    Refusal(name.to_owned(), message.to_owned())
}
