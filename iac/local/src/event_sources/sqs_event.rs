//! The event a function gets for a batch of messages, and what its answer says of each.

use std::collections::{HashMap, HashSet};

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `{"Records": […]}` as Lambda's SQS event source shapes it.
pub(super) fn event(messages: &[Message], queue_arn: &str) -> Value {
    let records: Vec<_> = messages.iter().map(|message| record(message, queue_arn)).collect();
    json!({"Records": records})
}

fn record(message: &Message, queue_arn: &str) -> Value {
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::String(value.clone())))
        .collect();
    let mut record = json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": message_attributes(message.message_attributes.as_ref()),
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": super::arn_field(queue_arn, 3),
    });
    if let Some(digest) = &message.md5_of_message_attributes {
        record["md5OfMessageAttributes"] = json!(digest);
    }
    record
}

fn message_attributes(attributes: Option<&HashMap<String, MessageAttributeValue>>) -> Map<String, Value> {
    let entry = |value: &MessageAttributeValue| {
        let mut entry = json!({
            "stringListValues": [], "binaryListValues": [], "dataType": value.data_type,
        });
        if let Some(text) = &value.string_value {
            entry["stringValue"] = json!(text);
        }
        if let Some(binary) = &value.binary_value {
            entry["binaryValue"] = json!(STANDARD.encode(binary));
        }
        entry
    };
    attributes.into_iter().flatten().map(|(name, value)| (name.clone(), entry(value))).collect()
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every message but these, by id.
    AllBut(HashSet<String>),
    /// None: the answer makes no sense, and Lambda then takes the whole batch as failed.
    None,
}

#[derive(Deserialize)]
struct BatchResponse {
    #[serde(rename = "batchItemFailures", default)]
    failures: Option<Vec<ItemFailure>>,
}

#[derive(Deserialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

/// Reads a `ReportBatchItemFailures` answer by Lambda's rules: nothing, null or an empty list is success;
/// an identifier that is empty or not of the batch fails it whole.
pub(super) fn verdict(answer: &[u8], messages: &[Message]) -> Verdict {
    if answer.is_empty() {
        return Verdict::AllBut(HashSet::new());
    }
    let Ok(response) = serde_json::from_slice::<Option<BatchResponse>>(answer) else { return Verdict::None };
    let failures = response.and_then(|response| response.failures).unwrap_or_default();
    let failed: HashSet<_> = failures.into_iter().map(|failure| failure.id).collect();
    let known: HashSet<_> = messages.iter().filter_map(Message::message_id).collect();
    if failed.iter().all(|id| known.contains(id.as_str())) { Verdict::AllBut(failed) } else { Verdict::None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use aws_sdk_sqs::primitives::Blob;
    use aws_sdk_sqs::types::MessageSystemAttributeName;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:bills";

    fn message(id: &str) -> Message {
        Message::builder().message_id(id).receipt_handle(format!("handle-{id}")).body("{}").build()
    }

    #[test]
    fn record_has_the_shape_lambda_documents() {
        let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
        let bytes =
            MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new(*b"\x00\xff"));
        let message = Message::builder()
            .message_id("m-1")
            .receipt_handle("h-1")
            .body("hello")
            .md5_of_body("5d41402abc4b2a76b9719d911017c592")
            .md5_of_message_attributes("d1")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "2")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1545082649183")
            .message_attributes("kind", text)
            .message_attributes("raw", bytes.build().unwrap())
            .build();
        let expected = json!({"Records": [{
            "messageId": "m-1",
            "receiptHandle": "h-1",
            "body": "hello",
            "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1545082649183"},
            "messageAttributes": {
                "kind": {"stringValue": "v", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                "raw": {"binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
            },
            "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
            "md5OfMessageAttributes": "d1",
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE,
            "awsRegion": "eu-west-1",
        }]});
        assert_eq!(event(&[message], QUEUE), expected);
    }

    #[test]
    fn answer_is_read_by_lambdas_rules() {
        let batch = [message("a"), message("b")];
        let all = || Verdict::AllBut(HashSet::new());
        for (answer, expected) in [
            ("", all()),
            ("null", all()),
            ("{}", all()),
            (r#"{"batchItemFailures": null}"#, all()),
            (r#"{"batchItemFailures": []}"#, all()),
            (r#"{"batchItemFailures": [{"itemIdentifier": "b"}]}"#, Verdict::AllBut(["b".to_owned()].into())),
            (r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, Verdict::None),
            (r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#, Verdict::None),
            (r#"{"batchItemFailures": [{"itemId": "a"}]}"#, Verdict::None),
            (r#"{"batchItemFailures": [{"itemIdentifier": "c"}]}"#, Verdict::None),
            (r#""done""#, Verdict::None),
            ("not json", Verdict::None),
        ] {
            assert_eq!(verdict(answer.as_bytes(), &batch), expected, "{answer}");
        }
    }
}
