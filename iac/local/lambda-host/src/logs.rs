//! The lines that function processes print, made readable. Where they go is the owner's choice.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tracing::{debug, error, info, warn};

/// Takes each line. Must not block.
pub type LogSink = Arc<dyn Fn(LogLine<'_>) + Send + Sync>;

/// One line that a function's process printed.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The function's name.
    pub function: &'a str,
    /// The process's number within the host.
    pub process: u64,
    /// The line as printed, without its end.
    pub raw: &'a str,
}

impl LogLine<'_> {
    /// The level a JSON line names, and the line for people: message first, then `field=value`.
    /// A line that is not JSON is itself; one of embedded metrics is the figures.
    pub fn readable(&self) -> (tracing::Level, String) {
        let Ok(Value::Object(line)) = serde_json::from_str::<Value>(self.raw) else {
            return (tracing::Level::INFO, self.raw.to_owned());
        };
        let level = line.get("level").and_then(Value::as_str).and_then(|level| level.parse().ok());
        let fields = line.get("fields").and_then(Value::as_object).unwrap_or(&line);
        let text = if line.contains_key("_aws") {
            format!("metrics: {}", sentence(fields))
        } else {
            sentence(fields)
        };
        (level.unwrap_or(tracing::Level::INFO), text)
    }
}

/// Sends a line to `tracing` at its own level, target `function`.
pub fn trace_line(line: &LogLine<'_>) {
    let (level, text) = line.readable();
    let function = line.function;
    match level {
        tracing::Level::ERROR => error!(target: "function", function, "{text}"),
        tracing::Level::WARN => warn!(target: "function", function, "{text}"),
        tracing::Level::INFO => info!(target: "function", function, "{text}"),
        _ => debug!(target: "function", function, "{text}"),
    }
}

/// What every line carries and nobody reads beside the function's name.
const NOISE: [&str; 11] = [
    "message",
    "timestamp",
    "level",
    "target",
    "span",
    "spans",
    "filename",
    "line_number",
    "threadId",
    "_aws",
    "FunctionName",
];

fn sentence(fields: &Map<String, Value>) -> String {
    let mut text = fields.get("message").map(plain).unwrap_or_default();
    for (name, value) in fields.iter().filter(|(name, _)| !NOISE.contains(&name.as_str())) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(&plain(value));
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads `stream` to its end. Bytes that are not UTF-8 are replaced, so no line stops the reading.
pub(crate) async fn follow(stream: impl AsyncRead + Unpin, function: &str, process: u64, sink: &LogSink) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let raw = String::from_utf8_lossy(&line);
        sink(LogLine { function, process, raw: raw.trim_end_matches(['\n', '\r']) });
        line.clear();
    }
}
