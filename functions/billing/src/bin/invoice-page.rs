//! `GET /invoices/{id}`. Reads one invoice, its account, and the secret that signs links.
use billing::Pages;
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::start_tracing();
    let config = shared::aws_config().await;
    let pages = Pages::from_env(&config)?;
    lambda_http::run(service_fn(async |request: Request| {
        pages.answer(&request, chrono::Utc::now()).await.map_err(Error::from)
    }))
    .await
}
