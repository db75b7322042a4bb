//! What a statement may be, how large, how long, and how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use aws_sdk_rdsdata::types::{Field, SqlParameter};
use rds_data::Multistatements;
use support::{CLUSTER, Refusal, SECRET, long, refusal, refused, stack, stack_with, string, text};

const MIGRATION: &str = "
    CREATE TABLE IF NOT EXISTS m (id int PRIMARY KEY, note text DEFAULT 'a;b');
    CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END; $f$;
    CREATE INDEX IF NOT EXISTS m_note ON m (note);";

#[tokio::test]
async fn statements_limits_and_errors() {
    let stack = stack().await;
    stack.sql("CREATE TABLE u (id int PRIMARY KEY, name text UNIQUE);", vec![]).await.unwrap();

    // Database errors.
    stack.sql("INSERT INTO u VALUES (1, 'a')", vec![]).await.unwrap();
    assert_eq!(
        stack.sql("INSERT INTO u VALUES (2, :name)", vec![text("name", "a")]).await.unwrap_err(),
        refused(
            "DatabaseErrorException",
            "ERROR: duplicate key value violates unique constraint \"u_name_key\"; SQLState: 23505"
        )
    );
    assert_eq!(
        stack.sql("SELEC 1", vec![]).await.unwrap_err(),
        refused(
            "DatabaseErrorException",
            "ERROR: syntax error at or near \"SELEC\"; Position: 1; SQLState: 42601"
        )
    );

    // One statement a call; a script goes in one DO block.
    assert_eq!(
        stack.sql(MIGRATION, vec![]).await.unwrap_err(),
        refused("ValidationException", "Multistatements aren't supported.")
    );
    for _ in 0..2 {
        stack.sql(&format!("DO $migration$ BEGIN {MIGRATION} END $migration$"), vec![]).await.unwrap();
    }
    assert_eq!(stack.one("SELECT f()", vec![]).await, Field::LongValue(1));

    // Sizes.
    let long_sql = format!("SELECT '{}'", "x".repeat(65_536));
    assert_eq!(stack.sql(&long_sql, vec![]).await.unwrap_err().0, "ValidationException");
    let row = "SELECT repeat('x', :n::int)";
    assert!(stack.sql(row, vec![long("n", 65_536)]).await.is_ok());
    assert_eq!(stack.sql(row, vec![long("n", 65_537)]).await.unwrap_err().0, "BadRequestException");
    let rows = "SELECT repeat('x', 1024) FROM generate_series(1, :n)";
    assert_eq!(stack.sql(rows, vec![long("n", 1024)]).await.unwrap().records().len(), 1024);
    assert_eq!(
        stack.sql(rows, vec![long("n", 1025)]).await.unwrap_err(),
        refused("BadRequestException", "Database response exceeded size limit")
    );

    // Who and where.
    let call = || stack.client.execute_statement().sql("SELECT current_database()");
    let other_cluster = call().resource_arn(format!("{CLUSTER}x")).secret_arn(SECRET).send().await;
    assert_eq!(refusal(other_cluster.unwrap_err()).0, "HttpEndpointNotEnabledException");
    let other_secret = call().resource_arn(CLUSTER).secret_arn(format!("{SECRET}x")).send().await;
    assert_eq!(refusal(other_secret.unwrap_err()).0, "SecretsErrorException");
    let call = || call().resource_arn(CLUSTER).secret_arn(SECRET);
    let template = call().database("template1").send().await.unwrap();
    assert_eq!(template.records()[0][0], string("template1"));
    assert_eq!(
        refusal(call().database("nope").send().await.unwrap_err()),
        refused("DatabaseErrorException", "ERROR: database \"nope\" does not exist; SQLState: 3D000")
    );
    let schema = call().schema("public").send().await.unwrap_err();
    assert_eq!(refusal(schema), refused("ValidationException", "The schema parameter isn't supported"));

    // Batches: all or nothing.
    let set = |id: i64| vec![SqlParameter::builder().name("id").value(Field::LongValue(id)).build()];
    let batch = |ids: &[i64]| {
        let sets = ids.iter().map(|id| set(*id)).collect();
        let call = stack.client.batch_execute_statement().resource_arn(CLUSTER).secret_arn(SECRET);
        call.sql("INSERT INTO u (id) VALUES (:id)").set_parameter_sets(Some(sets)).send()
    };
    assert_eq!(batch(&[10, 11, 12]).await.unwrap().update_results().len(), 3);
    let Refusal(name, message) = refusal(batch(&[13, 10]).await.unwrap_err());
    assert_eq!(name, "DatabaseErrorException");
    assert!(message.ends_with("SQLState: 23505"), "{message}");
    assert_eq!(stack.one("SELECT count(*) FROM u WHERE id >= 10", vec![]).await, Field::LongValue(3));

    // A statement already prepared survives a change of its table, and settings do not leak.
    for _ in 0..40 {
        stack.row("SELECT * FROM u WHERE id = 1", vec![]).await;
    }
    stack.sql("ALTER TABLE u ADD COLUMN extra int", vec![]).await.unwrap();
    for _ in 0..40 {
        assert_eq!(stack.row("SELECT * FROM u WHERE id = 1", vec![]).await.len(), 3);
    }
    stack.sql("SET TIME ZONE 'Asia/Tokyo'", vec![]).await.unwrap();
    assert_ne!(stack.one("SELECT current_setting('TimeZone')", vec![]).await, string("Asia/Tokyo"));
}

#[tokio::test]
async fn several_statements_where_they_are_allowed() {
    let stack = stack_with(|config| config.multistatements = Multistatements::Allowed).await;
    for _ in 0..2 {
        stack.sql(MIGRATION, vec![]).await.unwrap();
    }
    assert_eq!(stack.one("SELECT f()", vec![]).await, Field::LongValue(1));
}

#[tokio::test]
async fn slow_statements_and_a_database_that_goes_away() {
    let stack = stack_with(|config| config.statement_timeout = Duration::from_millis(300)).await;
    stack.sql("CREATE TABLE slow (id int)", vec![]).await.unwrap();
    let insert = "INSERT INTO slow SELECT 1 FROM pg_sleep(0.6)";
    assert_eq!(
        stack.sql(insert, vec![]).await.unwrap_err(),
        refused("StatementTimeoutException", "Request timed out")
    );
    assert_eq!(stack.one("SELECT count(*) FROM slow", vec![]).await, Field::LongValue(0));
    let going_on = stack.client.execute_statement().resource_arn(CLUSTER).secret_arn(SECRET).sql(insert);
    let told = going_on.continue_after_timeout(true).send().await.unwrap_err();
    assert_eq!(refusal(told).0, "StatementTimeoutException");
    let done = async {
        while stack.one("SELECT count(*) FROM slow", vec![]).await != Field::LongValue(1) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), done).await.expect("the statement went on");

    stack.postgres.down();
    assert_eq!(stack.sql("SELECT 1", vec![]).await.unwrap_err().0, "DatabaseUnavailableException");
    assert_eq!(stack.sql("SELECT 1", vec![]).await.unwrap_err().0, "DatabaseUnavailableException");
    stack.postgres.up();
    assert_eq!(stack.one("SELECT 1", vec![]).await, Field::LongValue(1));
}
