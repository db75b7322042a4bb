//! Each day: invoices whose due date is past. Writes invoices, tells `INVOICE_OVERDUE`.
use billing::{OverdueRequest, mark_overdue};
use shared::{Invocation, Outbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let outbox = Outbox::from_env(&config)?;
    shared::task(async |invocation: Invocation, _: OverdueRequest| mark_overdue(&outbox, invocation.at).await)
        .await
}
