//! `AWS::Serverless::Function` as a template writes it, after `Globals` are merged in. A property that is not
//! named here is refused by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::scalar;

/// The properties of one function. The private ones are known and have no effect on one machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
pub struct FunctionProperties {
    /// The folder of the built binary; its last segment is the binary's name.
    pub code_uri: String,
    /// Always `bootstrap` for a custom runtime; given to the process as `_HANDLER`.
    #[serde(default = "bootstrap")]
    pub handler: String,
    /// `provided.al2023`: this host runs native binaries only.
    pub runtime: String,
    /// Megabytes; told to the process, not enforced.
    #[serde(default = "smallest_memory", deserialize_with = "scalar::required")]
    pub memory_size: u32,
    /// Seconds until the process is killed (Lambda's default is 3).
    #[serde(default = "default_timeout", deserialize_with = "scalar::required")]
    pub timeout: u32,
    /// The process's environment.
    #[serde(default)]
    pub environment: Environment,
    /// Event sources by name; read by the doors they belong to.
    #[serde(default)]
    pub events: BTreeMap<String, Event>,
    /// The most processes at once.
    #[serde(default, deserialize_with = "scalar::optional")]
    pub reserved_concurrent_executions: Option<usize>,
    /// Where an event goes that failed every attempt.
    #[serde(default)]
    pub dead_letter_queue: Option<DeadLetterQueue>,
    /// How events are retried.
    #[serde(default)]
    pub event_invoke_config: Option<EventInvokeConfig>,
    /// The log format and levels, told to the process.
    #[serde(default)]
    pub logging_config: Option<LoggingConfig>,
    #[serde(default)]
    function_name: IgnoredAny,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    architectures: IgnoredAny,
    #[serde(default)]
    policies: IgnoredAny,
    #[serde(default)]
    role: IgnoredAny,
    #[serde(default)]
    role_path: IgnoredAny,
    #[serde(default)]
    assume_role_policy_document: IgnoredAny,
    #[serde(default)]
    permissions_boundary: IgnoredAny,
    #[serde(default)]
    tracing: IgnoredAny,
    #[serde(default)]
    vpc_config: IgnoredAny,
    #[serde(default)]
    tags: IgnoredAny,
    #[serde(default)]
    propagate_tags: IgnoredAny,
    #[serde(default)]
    auto_publish_alias: IgnoredAny,
    #[serde(default)]
    deployment_preference: IgnoredAny,
    #[serde(default)]
    provisioned_concurrency_config: IgnoredAny,
    #[serde(default)]
    snap_start: IgnoredAny,
    #[serde(default)]
    kms_key_arn: IgnoredAny,
    #[serde(default)]
    ephemeral_storage: IgnoredAny,
    #[serde(default)]
    package_type: IgnoredAny,
    #[serde(default)]
    code_signing_config_arn: IgnoredAny,
    #[serde(default)]
    recursive_loop: IgnoredAny,
}

/// `Environment`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Environment {
    /// Name to value.
    #[serde(default, deserialize_with = "scalar::texts")]
    pub variables: BTreeMap<String, String>,
}

/// One entry of `Events`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Event {
    /// `SQS`, `ScheduleV2`, `HttpApi`, …
    #[serde(rename = "Type")]
    pub kind: String,
    /// The source's own properties, read by whoever serves that kind.
    #[serde(default)]
    pub properties: Value,
}

/// `DeadLetterQueue`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DeadLetterQueue {
    /// `SQS` or `SNS`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The queue's or topic's ARN.
    pub target_arn: String,
}

/// `EventInvokeConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct EventInvokeConfig {
    /// 0 to 2.
    #[serde(default, deserialize_with = "scalar::optional")]
    pub maximum_retry_attempts: Option<u32>,
    /// 60 to 21600.
    #[serde(default, deserialize_with = "scalar::optional")]
    pub maximum_event_age_in_seconds: Option<u64>,
    /// Where the record of a failed event goes.
    #[serde(default)]
    pub destination_config: Option<DestinationConfig>,
}

/// `DestinationConfig`; only failures are reported onwards here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DestinationConfig {
    /// Taken when every attempt failed.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
}

/// `OnFailure`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct OnFailure {
    /// `SQS`, `SNS`, `EventBridge`, `Lambda`.
    #[serde(rename = "Type", default)]
    pub kind: Option<String>,
    /// The destination's ARN.
    pub destination: String,
}

/// `LoggingConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
pub struct LoggingConfig {
    /// `JSON` or `Text`.
    #[serde(default)]
    pub log_format: Option<String>,
    /// `TRACE` to `FATAL`.
    #[serde(default)]
    pub application_log_level: Option<String>,
    /// The log group's name.
    #[serde(default)]
    pub log_group: Option<String>,
    #[serde(default)]
    system_log_level: IgnoredAny,
}

fn bootstrap() -> String {
    "bootstrap".to_owned()
}

fn smallest_memory() -> u32 {
    128
}

fn default_timeout() -> u32 {
    3
}
