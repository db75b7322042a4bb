//! `POST /v1/vendor/webhooks/session-start`. Verifies the vendor's signature and queues what it tells; reads no table.
use vendor::{Desk, Kind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let desk = Desk::from_env(&shared::aws_config().await)?;
    rest::open(async |caller, request| desk.receive(Kind::SessionStart, &caller, &request).await).await
}
