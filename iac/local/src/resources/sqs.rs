//! `AWS::SQS::Queue`.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::try_join_all;
use local_template::{Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ResourceError;

/// A queue to create.
pub(super) struct Queue {
    logical_id: String,
    name: String,
    /// As the template resolves it; functions are told this one.
    url: String,
    attributes: HashMap<QueueAttributeName, String>,
    redrive_policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct Properties {
    visibility_timeout: Option<Value>,
    message_retention_period: Option<Value>,
    receive_message_wait_time_seconds: Option<Value>,
    delay_seconds: Option<Value>,
    maximum_message_size: Option<Value>,
    fifo_queue: Option<Value>,
    content_based_deduplication: Option<Value>,
    deduplication_scope: Option<Value>,
    fifo_throughput_limit: Option<Value>,
    redrive_policy: Option<Value>,
    queue_name: Option<IgnoredAny>,
    redrive_allow_policy: Option<IgnoredAny>,
    kms_master_key_id: Option<IgnoredAny>,
    kms_data_key_reuse_period_seconds: Option<IgnoredAny>,
    sqs_managed_sse_enabled: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

pub(super) fn read(stack: &Stack) -> Result<Vec<Queue>, TemplateError> {
    let queues = stack.of_kind::<Properties>("AWS::SQS::Queue")?;
    Ok(queues
        .into_iter()
        .map(|(resource, properties)| {
            let attributes = [
                (QueueAttributeName::VisibilityTimeout, properties.visibility_timeout),
                (QueueAttributeName::MessageRetentionPeriod, properties.message_retention_period),
                (
                    QueueAttributeName::ReceiveMessageWaitTimeSeconds,
                    properties.receive_message_wait_time_seconds,
                ),
                (QueueAttributeName::DelaySeconds, properties.delay_seconds),
                (QueueAttributeName::MaximumMessageSize, properties.maximum_message_size),
                (QueueAttributeName::FifoQueue, properties.fifo_queue),
                (QueueAttributeName::ContentBasedDeduplication, properties.content_based_deduplication),
                (QueueAttributeName::DeduplicationScope, properties.deduplication_scope),
                (QueueAttributeName::FifoThroughputLimit, properties.fifo_throughput_limit),
            ];
            let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, text(value?))));
            Queue {
                logical_id: resource.logical_id.clone(),
                name: resource.attributes.get("QueueName").cloned().unwrap_or_default(),
                url: resource.physical_id.clone(),
                attributes: attributes.collect(),
                redrive_policy: properties.redrive_policy.map(text),
            }
        })
        .collect())
}

/// Attributes are strings: numbers and flags as themselves, a policy as its JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(super) async fn create(config: &SdkConfig, queues: &[Queue]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    try_join_all(queues.iter().map(|queue| create_one(&client, queue))).await?;
    // A redrive policy names another queue, which must exist by then.
    try_join_all(queues.iter().map(|queue| redrive(&client, queue))).await.map(drop)
}

async fn create_one(client: &Client, queue: &Queue) -> Result<(), ResourceError> {
    let Queue { logical_id, name, url, attributes, .. } = queue;
    let attributes = (!attributes.is_empty()).then(|| attributes.clone());
    let call = client.create_queue().queue_name(name).set_attributes(attributes);
    let created = call.send().await.map_err(|error| ResourceError::refused(logical_id, error))?;
    match created.queue_url() {
        Some(given) if given == url => Ok(()),
        given => Err(ResourceError::Refused {
            resource: logical_id.clone(),
            problem: format!("its URL is {given:?}, not {url}"),
        }),
    }
}

async fn redrive(client: &Client, queue: &Queue) -> Result<(), ResourceError> {
    let Some(policy) = &queue.redrive_policy else { return Ok(()) };
    let call = client.set_queue_attributes().queue_url(&queue.url);
    let call = call.attributes(QueueAttributeName::RedrivePolicy, policy);
    call.send().await.map_err(|error| ResourceError::refused(&queue.logical_id, error))?;
    Ok(())
}
