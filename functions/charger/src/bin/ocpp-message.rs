//! `$default` of the OCPP API. Reads and writes everything about chargers, and sessions by what chargers report.
use charger::{SocketEvent, Stores, receive};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::run(async |invocation: Invocation, event: SocketEvent| {
        receive(stores.desk(), stores.answers(), &event, invocation.at).await
    })
    .await
}
