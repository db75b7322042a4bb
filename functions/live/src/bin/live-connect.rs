//! `$connect` of the live API. Reads the verifying keys, writes connections, has them greeted through the queue.
use live::{Door, SocketEvent};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let door = Door::from_env(&shared::aws_config().await)?;
    shared::run(async |invocation: Invocation, event: SocketEvent| door.connect(&event, invocation.at).await)
        .await
}
