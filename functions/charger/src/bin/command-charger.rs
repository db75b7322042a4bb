//! Consumer of `SESSION_UPDATED` (`STARTING`, `STOPPING`), `TRANSACTION_REFUSED`, `BOOKING_DUE`, `BOOKING_CANCELLED` and
//! `BOOKING_NO_SHOW`. Reads sessions and bookings, writes calls, posts to chargers.
use charger::{Stores, command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::consumer(async |event| command(stores.desk(), event, chrono::Utc::now()).await).await
}
