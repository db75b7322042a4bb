//! A database with the migrations, and who asks.

use chrono::{TimeDelta, Utc};
use scratch::{CLUSTER, DataApi, Postgres, SECRET};
use serde_json::Value;
use shared::{Caller, CorrelationId, Database, Invocation, Outbox, Role, User, UserId};

use crate::aws::events_at;

pub(crate) fn database_at(url: &str) -> Database {
    let data = aws_sdk_rdsdata::config::Builder::from(&scratch::aws()).endpoint_url(url).build();
    Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres")
}

/// An invocation that has just begun.
pub(crate) fn invocation() -> Invocation {
    let at = Utc::now();
    Invocation { at, deadline: at + TimeDelta::seconds(60) }
}

pub(crate) fn caller(id: UserId, roles: &[Role]) -> Caller {
    Caller {
        user: Some(User { id, roles: roles.to_vec() }),
        correlation_id: CorrelationId::new(),
        source_ip: None,
        at: Utc::now(),
    }
}

pub(crate) fn operator() -> Caller {
    caller(UserId::new(), &[Role::Driver, Role::Operator])
}

pub(crate) fn driver() -> Caller {
    caller(UserId::new(), &[Role::Driver])
}

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) door_url: String,
    sql: tokio_postgres::Client,
    _door: DataApi,
    _postgres: Postgres,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        Self {
            database: database_at(&door.url),
            door_url: door.url.clone(),
            sql: postgres.connect().await,
            _door: door,
            _postgres: postgres,
        }
    }

    /// Its outbox, with the bus `bus` at `url`.
    pub(crate) fn outbox(&self, url: &str) -> Outbox {
        Outbox::new(self.database.clone(), events_at(url), "bus")
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row.
    pub(crate) async fn one(&self, sql: &str) -> Value {
        let row = self.sql.query_one(&format!("SELECT to_jsonb(({sql}))"), &[]).await.unwrap();
        row.get(0)
    }

    /// The first column of all rows.
    pub(crate) async fn all(&self, sql: &str) -> Vec<Value> {
        let sql = format!("SELECT to_jsonb(shown) FROM ({sql}) AS list (shown)");
        self.sql.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// A driver with an account.
    pub(crate) async fn account(&self, name: &str) -> UserId {
        let id = UserId::new();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{name}@example.com', '{name}', '-', '{name}', now(), now())"
        ))
        .await;
        id
    }
}
