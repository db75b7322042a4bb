//! `GET /.well-known/jwks.json`. Reads the verifying keys, nothing else.
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::{Error, Request, Response, service_fn};
use user::{VerifyingKeys, jwks};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::start_tracing();
    let config = shared::aws_config().await;
    let keys = VerifyingKeys::from_env(&config)?;
    lambda_http::run(service_fn(async |_: Request| {
        let keys = jwks(&keys, chrono::Utc::now()).await?;
        let response = Response::builder()
            .header(CONTENT_TYPE, "application/jwk-set+json")
            // Shorter than the time between publishing a new key and signing with it.
            .header(CACHE_CONTROL, "public, max-age=300")
            .body(serde_json::to_string(&keys)?)?;
        Ok::<_, Error>(response)
    }))
    .await
}
