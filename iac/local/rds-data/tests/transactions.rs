//! Transactions by id: isolation, ends, expiry.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use aws_sdk_rdsdata::types::Field;
use support::{CLUSTER, SECRET, long, refusal, refused, stack, stack_with};

#[tokio::test]
async fn transactions() {
    let stack = stack().await;
    stack.sql("CREATE TABLE t (id int PRIMARY KEY)", vec![]).await.unwrap();
    let insert = "INSERT INTO t VALUES (:id)";
    let count = async || stack.one("SELECT count(*) FROM t", vec![]).await;

    let id = stack.begin().await;
    stack.sql_in(Some(&id), insert, vec![long("id", 1)]).await.unwrap();
    assert_eq!(count().await, Field::LongValue(0));
    assert_eq!(stack.commit(&id).await.unwrap(), "Transaction Committed");
    assert_eq!(count().await, Field::LongValue(1));

    let id = stack.begin().await;
    stack.sql_in(Some(&id), insert, vec![long("id", 2)]).await.unwrap();
    assert_eq!(stack.rollback(&id).await.unwrap(), "Rollback Complete");
    assert_eq!(count().await, Field::LongValue(1));
    assert_eq!(stack.commit(&id).await.unwrap_err().0, "TransactionNotFoundException");
    assert_eq!(
        stack.sql_in(Some(&id), "SELECT 1", vec![]).await.unwrap_err().0,
        "TransactionNotFoundException"
    );

    // After an error nothing runs, and a commit does not pretend.
    let id = stack.begin().await;
    assert_eq!(
        stack.sql_in(Some(&id), insert, vec![long("id", 1)]).await.unwrap_err().0,
        "DatabaseErrorException"
    );
    let aborted = stack.sql_in(Some(&id), "SELECT 1", vec![]).await.unwrap_err();
    assert!(aborted.1.ends_with("SQLState: 25P02"), "{aborted:?}");
    assert_eq!(stack.commit(&id).await.unwrap_err().0, "DatabaseErrorException");

    // Two calls at once.
    let id = stack.begin().await;
    let slow = stack.sql_in(Some(&id), "SELECT 1 FROM pg_sleep(0.5)", vec![]);
    let meanwhile = async {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while stack.one(running, vec![]).await != Field::LongValue(1) {}
        stack.sql_in(Some(&id), "SELECT 1", vec![]).await
    };
    let (slow, meanwhile) = tokio::join!(slow, meanwhile);
    slow.unwrap();
    assert_eq!(
        meanwhile.unwrap_err(),
        refused("DatabaseErrorException", "Transaction is still running a query")
    );
    let elsewhere = stack.client.execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).sql("SELECT 1");
    let elsewhere = elsewhere.database("template1").transaction_id(&id).send().await;
    assert_eq!(refusal(elsewhere.unwrap_err()).0, "BadRequestException");
    stack.rollback(&id).await.unwrap();

    // A batch in a transaction is the transaction's to keep.
    let id = stack.begin().await;
    let batch =
        stack.client.batch_execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(&id);
    let sets = vec![vec![long("id", 20)], vec![long("id", 21)]];
    batch.sql(insert).set_parameter_sets(Some(sets)).send().await.unwrap();
    stack.rollback(&id).await.unwrap();
    assert_eq!(count().await, Field::LongValue(1));
}

#[tokio::test]
async fn unused_transactions_are_rolled_back_and_their_connections_serve_again() {
    let stack = stack_with(|config| {
        config.connections = 3;
        config.transaction_idle = Duration::from_millis(400);
    })
    .await;
    stack.sql("CREATE TABLE t (id int PRIMARY KEY)", vec![]).await.unwrap();
    let mut ids = Vec::new();
    for id in 0..2 {
        ids.push(stack.begin().await);
        let insert = "INSERT INTO t VALUES (:id)";
        stack.sql_in(ids.last().map(String::as_str), insert, vec![long("id", id)]).await.unwrap();
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock'";
    let expired = async { while stack.one(locks, vec![]).await != Field::LongValue(0) {} };
    tokio::time::timeout(Duration::from_secs(10), expired).await.expect("they expire");
    assert_eq!(stack.commit(&ids[0]).await.unwrap_err().0, "TransactionNotFoundException");
    assert_eq!(stack.one("SELECT count(*) FROM t", vec![]).await, Field::LongValue(0));
    for _ in 0..3 {
        stack.begin().await;
    }
}
