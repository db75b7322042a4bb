//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::de::DeserializeOwned;
use serde_json::Value;
use user::{GrantRole, Login, Refresh, Register};

fn sample(function: &str) -> Value {
    let path = format!("{}/../../events/{function}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn arguments<A: DeserializeOwned>(function: &str) -> A {
    serde_json::from_value(sample(function)["arguments"].clone()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    let _: Register = arguments("register");
    let _: Login = arguments("login");
    let _: Refresh = arguments("refresh-token");
    let _: GrantRole = serde_json::from_value(sample("grant-role")).unwrap();
    assert!(sample("authorize-graphql")["authorizationToken"].is_string());
}
