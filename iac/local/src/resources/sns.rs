//! `AWS::SNS::Topic` and the queues that subscribe to it.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use futures::future::try_join_all;
use local_template::{Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ResourceError;

/// A topic to create, with its subscriptions.
pub(super) struct Topic {
    logical_id: String,
    name: String,
    arn: String,
    attributes: Vec<(&'static str, String)>,
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    logical_id: String,
    protocol: String,
    endpoint: String,
    attributes: Vec<(&'static str, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct TopicProperties {
    fifo_topic: Option<Value>,
    content_based_deduplication: Option<Value>,
    #[serde(default)]
    subscription: Vec<InlineSubscription>,
    topic_name: Option<IgnoredAny>,
    display_name: Option<IgnoredAny>,
    kms_master_key_id: Option<IgnoredAny>,
    signature_version: Option<IgnoredAny>,
    tracing_config: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct InlineSubscription {
    protocol: String,
    endpoint: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct SubscriptionProperties {
    topic_arn: String,
    protocol: String,
    endpoint: String,
    filter_policy: Option<Value>,
    filter_policy_scope: Option<Value>,
    raw_message_delivery: Option<Value>,
    redrive_policy: Option<Value>,
}

pub(super) fn read(stack: &Stack) -> Result<Vec<Topic>, TemplateError> {
    let mut topics = Vec::new();
    for (resource, properties) in stack.of_kind::<TopicProperties>("AWS::SNS::Topic")? {
        let inline = properties.subscription.into_iter().map(|subscription| Subscription {
            logical_id: resource.logical_id.clone(),
            protocol: subscription.protocol,
            endpoint: subscription.endpoint,
            attributes: Vec::new(),
        });
        topics.push(Topic {
            logical_id: resource.logical_id.clone(),
            name: resource.attributes.get("TopicName").cloned().unwrap_or_default(),
            arn: resource.physical_id.clone(),
            attributes: texts([
                ("FifoTopic", properties.fifo_topic),
                ("ContentBasedDeduplication", properties.content_based_deduplication),
            ]),
            subscriptions: inline.collect(),
        });
    }
    for (resource, properties) in stack.of_kind::<SubscriptionProperties>("AWS::SNS::Subscription")? {
        let topic = topics.iter_mut().find(|topic| topic.arn == properties.topic_arn);
        let problem = || format!("{} is no topic of this stack", properties.topic_arn);
        let topic = topic.ok_or_else(|| resource.refuse("TopicArn", problem()))?;
        topic.subscriptions.push(Subscription {
            logical_id: resource.logical_id.clone(),
            protocol: properties.protocol,
            endpoint: properties.endpoint,
            attributes: texts([
                ("FilterPolicy", properties.filter_policy),
                ("FilterPolicyScope", properties.filter_policy_scope),
                ("RawMessageDelivery", properties.raw_message_delivery),
                ("RedrivePolicy", properties.redrive_policy),
            ]),
        });
    }
    let deliverable =
        |subscription: &&Subscription| !matches!(subscription.protocol.as_str(), "sqs" | "email");
    match topics.iter().flat_map(|topic| &topic.subscriptions).find(deliverable) {
        None => Ok(topics),
        Some(other) => Err(TemplateError {
            place: format!("Resources.{}.Properties.Protocol", other.logical_id),
            problem: format!("{} is not delivered on this machine, only sqs is", other.protocol),
        }),
    }
}

fn texts<const N: usize>(values: [(&'static str, Option<Value>); N]) -> Vec<(&'static str, String)> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().filter_map(|(name, value)| Some((name, text(value?)))).collect()
}

pub(super) async fn create(config: &SdkConfig, topics: &[Topic]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    try_join_all(topics.iter().map(|topic| create_one(&client, topic))).await.map(drop)
}

async fn create_one(client: &Client, topic: &Topic) -> Result<(), ResourceError> {
    let mut call = client.create_topic().name(&topic.name);
    for (name, value) in &topic.attributes {
        call = call.attributes(*name, value);
    }
    call.send().await.map_err(|error| ResourceError::refused(&topic.logical_id, error))?;
    for subscription in &topic.subscriptions {
        // Nobody's mailbox hears of what happens here.
        if subscription.protocol == "email" {
            continue;
        }
        let mut call = client.subscribe().topic_arn(&topic.arn);
        call = call.protocol(&subscription.protocol).endpoint(&subscription.endpoint);
        for (name, value) in &subscription.attributes {
            call = call.attributes(*name, value);
        }
        call.send().await.map_err(|error| ResourceError::refused(&subscription.logical_id, error))?;
    }
    Ok(())
}
