//! Until when the work at hand must be done: Lambda kills what takes longer, and its caller hears nothing. The doors
//! set it; whoever waits for something that may not come asks for it.

use std::time::Duration;

use tokio::time::Instant;

/// Kept of the time for answering; and the least there is to work in, even if there was none.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Where no door has set any, as in tests and in tasks that were spawned.
const DEFAULT: Duration = Duration::from_secs(8);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Does `work`, which has `time` for it and for answering. It is not cut off: what it waits for is.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> T {
    let time = time.saturating_sub(LAST_WORDS).max(LAST_WORDS);
    DEADLINE.scope(Instant::now() + time, work).await
}

/// The moment by which the work that asks must be done.
pub(crate) fn deadline() -> Instant {
    DEADLINE.try_with(|deadline| *deadline).unwrap_or_else(|_| Instant::now() + DEFAULT)
}
