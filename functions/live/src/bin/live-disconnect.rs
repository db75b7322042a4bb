//! `$disconnect` of the live API. Deletes connections and subscriptions.
use live::{LiveTable, SocketEvent, disconnect};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let table = LiveTable::from_env(&shared::aws_config().await)?;
    shared::run(async |_: Invocation, event: SocketEvent| disconnect(&table, &event).await).await
}
