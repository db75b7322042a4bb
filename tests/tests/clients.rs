//! The JavaScript clients that apps use, unchanged but for the endpoint: aws-amplify over TLS, Apollo with the
//! AppSync links. Runs under `local run`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::accounts::Account;
use tests::charge_point::ChargePoint;
use tests::journey::{self, CHARGER_PASSWORD};
use tests::stack::Stack;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// A client subscribes to a session that then fails to hear nothing of it.
async fn hears_a_session(program: &str, url: impl Fn(&Stack) -> String) {
    let stack = Stack::running().unwrap();
    let tell: journey::Tell<'_> = &mut |line| println!("{line}");
    journey::mirror(&stack, tell).await.unwrap();
    let operator = Account::operator(&stack).await.unwrap();
    let driver = Account::driver(&stack, program).await.unwrap();
    let site = journey::site(&stack, &operator, tell).await.unwrap();
    let mut charger = ChargePoint::start(&stack, &site.charge_point, CHARGER_PASSWORD, "1.6", 60).unwrap();
    charger.step("boot", |step| step["event"] == "ready", |_| ()).await.unwrap();
    journey::connector_available(&stack, &site).await.unwrap();
    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id } }";
    let input = json!({ "stationId": site.station, "connectorId": site.connector });
    let session: Value = driver.client.field(start, json!({ "input": input })).await.unwrap();

    let mut client = Command::new("node")
        .current_dir(Stack::root().join("tests/clients"))
        .arg(format!("{program}.mjs"))
        .env("NODE_EXTRA_CA_CERTS", &stack.certificate)
        .env("ENDPOINT", url(&stack))
        .env("TOKEN", &driver.token)
        .env("API_KEY", &stack.api_key)
        .env("STATION_ID", &site.station)
        .env("SESSION_ID", session["id"].as_str().unwrap())
        .env("EVENTS", "2")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut heard = Vec::new();
    while let Some(line) =
        tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap()
    {
        println!("{line}");
        heard.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    assert!(client.wait().await.unwrap().success(), "{heard:?}");
    let data: Vec<_> = heard.iter().filter(|line| line["event"] == "data").collect();
    assert_eq!(data.len(), 2, "{heard:?}");
    charger.stop().await.unwrap();
}

#[tokio::test]
async fn aws_amplify_hears_a_session_over_tls() {
    hears_a_session("amplify", |stack| stack.graphql_tls_url.clone()).await;
}

#[tokio::test]
async fn apollo_hears_a_session() {
    hears_a_session("apollo", |stack| stack.graphql_url.clone()).await;
}
