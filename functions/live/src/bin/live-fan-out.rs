//! Consumer of `CONNECTOR_STATUS_CHANGED` and of new connections. Reads subscriptions, posts to sockets, sweeps the gone.
use live::FanOut;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let feed = FanOut::from_env(&shared::aws_config().await)?;
    shared::consumer(async |news| feed.deliver(news, chrono::Utc::now()).await).await
}
