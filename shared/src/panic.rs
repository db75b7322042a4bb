//! A panic made the failure of what was being handled, and of nothing else in the process.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::Failure;

/// What `work` gives; a fault if it panics. What handlers share with each other are clients, which a call that ended
/// halfway leaves in order: a future may be dropped at any point, and so may they.
pub async fn caught<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(fault(&*panic)))
}

fn fault(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::fault(format!("panicked: {}", text.unwrap_or("for an unknown reason")))
}
