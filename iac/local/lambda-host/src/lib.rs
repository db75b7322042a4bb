//! Runs functions as AWS Lambda does: a process per concurrent invocation over the Runtime API, started on
//! first use, killed at its timeout. The doors know it only as [`Invoke`].

mod asynchronous;
mod forward;
mod function;
mod host;
mod invoke;
mod invoke_api;
mod logs;
mod options;
mod outcome;
mod pool;
mod process;
mod properties;
mod report;
mod runtime_api;
pub mod scalar;

pub use asynchronous::{Destination, FailedEvent};
pub use function::Function;
pub use host::{Host, HostError};
pub use invoke::{Invoke, InvokeError, Outcome};
pub use invoke_api::invoke_api;
pub use logs::{LogLine, LogSink, trace_line};
pub use options::{FailureSink, Forward, Options};
pub use properties::{Event, FunctionProperties};
pub use report::ProcessReport;
