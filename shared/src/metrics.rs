//! Figures for CloudWatch in its Embedded Metric Format: one JSON object a line on standard output, which CloudWatch
//! Logs reads and turns into metrics. Nothing is called, so a measured function is no slower and needs no permission.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::Timestamp;

const NAMESPACE: &str = "ev";
/// An array in a document holds no more values.
const MOST_VALUES: usize = 100;

static FUNCTION: LazyLock<String> =
    LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "none".to_owned()));

/// Everything that is measured, all of it in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Events that the bus took; by type.
    EventsPublished,
    /// Milliseconds that a message waited in its queue before its consumer took it up.
    ConsumerLag,
    /// Milliseconds from what an event tells of to its consumer being done with it.
    EndToEndLatency,
    /// Messages that a consumer could not deal with this time.
    ConsumerFailures,
    /// Seconds that the oldest event the bus does not know has been waiting.
    OldestUnsentOutboxAge,
    /// Events that the bus does not know.
    UnsentOutbox,
    /// Messages found in dead-letter queues.
    DeadLetters,
}

impl Metric {
    /// The metric's name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventsPublished => "EventsPublished",
            Self::ConsumerLag => "ConsumerLag",
            Self::EndToEndLatency => "EndToEndLatency",
            Self::ConsumerFailures => "ConsumerFailures",
            Self::OldestUnsentOutboxAge => "OldestUnsentOutboxAge",
            Self::UnsentOutbox => "UnsentOutbox",
            Self::DeadLetters => "DeadLetters",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::ConsumerLag | Self::EndToEndLatency => "Milliseconds",
            Self::OldestUnsentOutboxAge => "Seconds",
            Self::EventsPublished | Self::ConsumerFailures | Self::UnsentOutbox | Self::DeadLetters => {
                "Count"
            }
        }
    }
}

/// Figures that share one dimension, gathered over a batch or a run and told at once.
#[derive(Debug)]
#[must_use = "figures are told by `emit`"]
pub struct Metrics {
    /// What the figures are of; the function, unless something else was asked for.
    dimension: (&'static str, String),
    values: BTreeMap<Metric, Vec<u64>>,
}

impl Metrics {
    /// Figures of this function (dimension `FunctionName`, as AWS's own have it).
    pub fn of_function() -> Self {
        Self::by("FunctionName", FUNCTION.clone())
    }

    /// Figures of all functions together, told apart by `dimension`. It must take few values: each is a metric of
    /// its own, and is paid for.
    pub fn by(dimension: &'static str, value: impl Into<String>) -> Self {
        Self { dimension: (dimension, value.into()), values: BTreeMap::new() }
    }

    /// Adds one observation.
    pub fn add(&mut self, metric: Metric, value: u64) -> &mut Self {
        self.values.entry(metric).or_default().push(value);
        self
    }

    /// How many observations of `metric` were added.
    #[cfg(test)]
    pub(crate) fn count(&self, metric: Metric) -> usize {
        self.values.get(&metric).map_or(0, Vec::len)
    }

    /// Prints what was added, if anything was.
    pub fn emit(&self) {
        let mut text = self.documents(chrono::Utc::now()).join("\n");
        if text.is_empty() {
            return;
        }
        text.push('\n');
        // Whole lines in one write, so that a line of the log does not get between. Nobody to tell if it fails.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    /// One document; more where a metric has more values than one may hold.
    fn documents(&self, at: Timestamp) -> Vec<String> {
        let longest = self.values.values().map(Vec::len).max().unwrap_or_default();
        (0..longest.div_ceil(MOST_VALUES)).map(|part| self.document(at, part).to_string()).collect()
    }

    fn document(&self, at: Timestamp, part: usize) -> Value {
        let (dimension, of) = &self.dimension;
        let mut root = Map::from_iter([("FunctionName".to_owned(), json!(*FUNCTION))]);
        root.insert((*dimension).to_owned(), json!(of));
        let mut definitions = Vec::new();
        for (metric, values) in &self.values {
            let Some(values) = values.chunks(MOST_VALUES).nth(part) else { continue };
            definitions.push(json!({ "Name": metric.name(), "Unit": metric.unit() }));
            let target = if let [one] = values { json!(one) } else { json!(values) };
            root.insert(metric.name().to_owned(), target);
        }
        let directive =
            json!({ "Namespace": NAMESPACE, "Dimensions": [[dimension]], "Metrics": definitions });
        let metadata = json!({ "Timestamp": at.timestamp_millis(), "CloudWatchMetrics": [directive] });
        root.insert("_aws".to_owned(), metadata);
        Value::Object(root)
    }
}

/// Whole milliseconds from `from` to `to`; none if the clocks that took them disagree.
pub(crate) fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to - from).num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What the format's specification asks of a document, beyond being JSON.
    fn check(line: &str) -> Value {
        assert!(!line.contains('\n') && line.len() < 256 * 1024);
        let root: Value = serde_json::from_str(line).unwrap();
        let metadata = &root["_aws"];
        assert!(metadata["Timestamp"].is_u64());
        for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=255).contains(&namespace.len()));
            let sets = directive["Dimensions"].as_array().unwrap();
            assert!(!sets.is_empty());
            for set in sets {
                let names = set.as_array().unwrap();
                assert!(names.len() <= 30);
                for name in names {
                    let target = root[name.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&target.len()));
                }
            }
            let definitions = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&definitions.len()));
            for definition in definitions {
                let members = definition.as_object().unwrap();
                assert!(
                    members.keys().all(|key| ["Name", "Unit", "StorageResolution"].contains(&key.as_str()))
                );
                assert!(["Milliseconds", "Seconds", "Count"].contains(&definition["Unit"].as_str().unwrap()));
                match &root[definition["Name"].as_str().unwrap()] {
                    Value::Number(_) => {}
                    Value::Array(values) => {
                        assert!((1..=100).contains(&values.len()) && values.iter().all(Value::is_number));
                    }
                    other => panic!("{other} is no target of a metric"),
                }
            }
        }
        root
    }

    fn moment() -> Timestamp {
        "2026-02-21T14:31:00.5Z".parse().unwrap()
    }

    #[test]
    fn a_document_is_what_the_format_says() {
        let mut metrics = Metrics::by("EventType", "SESSION_ENDED");
        metrics.add(Metric::EventsPublished, 3);
        let [line] = metrics.documents(moment()).try_into().unwrap();
        let root = check(&line);
        assert_eq!(
            root,
            json!({
                "_aws": {
                    "Timestamp": 1_771_684_260_500_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "ev",
                        "Dimensions": [["EventType"]],
                        "Metrics": [{ "Name": "EventsPublished", "Unit": "Count" }],
                    }],
                },
                "FunctionName": "none",
                "EventType": "SESSION_ENDED",
                "EventsPublished": 3,
            })
        );
    }

    #[test]
    fn a_batch_is_one_line_with_every_value() {
        let mut metrics = Metrics::of_function();
        for lag in [3, 5, 8] {
            metrics.add(Metric::ConsumerLag, lag).add(Metric::EndToEndLatency, lag + 1);
        }
        metrics.add(Metric::ConsumerFailures, 0);
        let [line] = metrics.documents(moment()).try_into().unwrap();
        let root = check(&line);
        assert_eq!(root["ConsumerLag"], json!([3, 5, 8]));
        assert_eq!(root["EndToEndLatency"], json!([4, 6, 9]));
        assert_eq!(root["ConsumerFailures"], 0);
    }

    #[test]
    fn more_values_than_a_document_may_hold_are_told_in_several() {
        let mut metrics = Metrics::of_function();
        for value in 0..250 {
            metrics.add(Metric::ConsumerLag, value);
        }
        metrics.add(Metric::ConsumerFailures, 1);
        let lines = metrics.documents(moment());
        let told: Vec<u64> = lines
            .iter()
            .flat_map(|line| serde_json::from_value::<Vec<u64>>(check(line)["ConsumerLag"].clone()).unwrap())
            .collect();
        assert_eq!(told, (0..250).collect::<Vec<_>>());
        let failures: u64 = lines.iter().filter_map(|line| check(line)["ConsumerFailures"].as_u64()).sum();
        assert_eq!(failures, 1, "a value is told once");
    }

    #[test]
    fn nothing_measured_is_nothing_told() {
        assert!(Metrics::of_function().documents(moment()).is_empty());
    }
}
