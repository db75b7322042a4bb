//! Consumes the hints of `stripe-webhook`. Asks the provider, and settles payments and refunds by its answer.
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use payment::{Payments, settle_batch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::start_tracing();
    let payments = Payments::from_env(&shared::aws_config().await)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(settle_batch(&payments, event.payload, chrono::Utc::now()).await)
    }))
    .await
}
