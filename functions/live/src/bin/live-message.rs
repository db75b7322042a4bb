//! `$default` of the live API. Writes subscriptions.
use live::{LiveTable, SocketEvent, Sockets, receive};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (table, sockets) = (LiveTable::from_env(&config)?, Sockets::from_env(&config)?);
    shared::run(async |_: Invocation, event: SocketEvent| receive(&table, &sockets, &event).await).await
}
