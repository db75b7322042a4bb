//! Every half hour, and by hand. Writes the two secrets with the keys of access tokens.
use user::{KeySecrets, rotate_keys};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let secrets = KeySecrets::from_env(&config)?;
    shared::task(async |invocation, request| rotate_keys(&secrets, request, invocation.at).await).await
}
