//! AWS as a test's clients see it.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A client's configuration: credentials of this machine, and a region.
pub fn aws() -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The same for clients that all call `endpoint`.
pub fn aws_at(endpoint: impl Into<String>) -> SdkConfig {
    aws().into_builder().endpoint_url(endpoint).build()
}

/// The address of a bus that takes every event.
pub async fn bus() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let take = |body: String| async move {
        let request: Value = serde_json::from_str(&body).unwrap();
        let count = request["Entries"].as_array().unwrap().len();
        Json(json!({"FailedEntryCount": 0, "Entries": vec![json!({"EventId": "taken"}); count]}))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    url
}
