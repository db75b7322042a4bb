//! `POST /webhooks/stripe`. Verifies the provider's signature and queues what the message is about; reads no table.
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::{Error, Request, Response, service_fn};
use payment::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::start_tracing();
    let webhook = Webhook::from_env(&shared::aws_config().await)?;
    lambda_http::run(service_fn(async |request: Request| {
        let signature = request.headers().get("stripe-signature").and_then(|value| value.to_str().ok());
        let (status, body) = match webhook.receive(signature, request.body(), chrono::Utc::now()).await {
            Ok(()) => (200, r#"{"received":true}"#),
            Err(rejected) => {
                tracing::warn!(cause = %rejected, status = rejected.status(), "webhook rejected");
                (rejected.status(), r#"{"received":false}"#)
            }
        };
        let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
        Ok::<_, Error>(response.body(body.to_owned())?)
    }))
    .await
}
