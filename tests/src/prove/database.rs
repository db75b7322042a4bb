//! A stack's database from behind, for what no door offers: thousands of rows at once, and a look at every one.

use serde_json::Value;
use tokio_postgres::{Client, NoTls, Row};

use crate::Result;
use crate::stack::Stack;

/// One connection.
pub(super) struct Database(Client);

impl Database {
    /// Connects to the one of `stack`.
    pub(super) async fn of(stack: &Stack) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(&stack.postgres_url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// Runs a statement whose `$1` is a document.
    pub(super) async fn with(&self, statement: &str, document: &Value) -> Result<Vec<Row>> {
        Ok(self.0.query(statement, &[document]).await?)
    }

    /// Runs several statements.
    pub(super) async fn script(&self, statements: &str) -> Result<()> {
        Ok(self.0.batch_execute(statements).await?)
    }

    /// Every row.
    pub(super) async fn rows(&self, query: &str) -> Result<Vec<Row>> {
        Ok(self.0.query(query, &[]).await?)
    }

    /// A count.
    pub(super) async fn count(&self, query: &str) -> Result<i64> {
        Ok(self.0.query_one(query, &[]).await?.try_get(0)?)
    }

    /// Every row's first column, which is text.
    pub(super) async fn texts(&self, query: &str) -> Result<Vec<String>> {
        self.rows(query).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Fails with the rows of a query that must find none.
    pub(super) async fn none(&self, what: &str, query: &str) -> Result<()> {
        let found =
            self.texts(&format!("SELECT row_to_json(found)::text FROM ({query}) AS found LIMIT 5")).await?;
        if found.is_empty() { Ok(()) } else { Err(format!("{what}: {}", found.join(" ")).into()) }
    }
}
