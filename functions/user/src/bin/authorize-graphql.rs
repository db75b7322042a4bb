//! The GraphQL API's authorizer. Reads the verifying keys, nothing else.
use serde_json::Value;
use user::{AccessTokenVerifier, authorize};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let verifier = AccessTokenVerifier::from_env(&config)?;
    shared::run(async |invocation, question: Value| authorize(&verifier, &question, invocation.at).await)
        .await
}
