//! A queue and its consumer as SQS and Lambda have them: when a message comes back, and how many are in hand at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use bytes::Bytes;
use lambda_host::{Invoke, InvokeError, Outcome};
use local::event_sources::{EventSources, Mutate, Wiring};
use local_template::{Endpoints, LoadOptions, Stack};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Up, free_base, sdk};

/// What a consumer does with each batch, by the message's body and how often it has been received.
struct Consumer {
    sqs: aws_sdk_sqs::Client,
    queue: String,
    received: Mutex<Vec<(String, String)>>,
    in_hand: AtomicUsize,
    most_in_hand: AtomicUsize,
}

#[async_trait]
impl Invoke for Consumer {
    async fn invoke(&self, _: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        let in_hand = self.in_hand.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_hand.fetch_max(in_hand, Ordering::SeqCst);
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let mut failures = Vec::new();
        let mut function_error = None;
        for record in event["Records"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (body, count) =
                (text(&record["body"]), text(&record["attributes"]["ApproximateReceiveCount"]));
            self.received.lock().unwrap().push((body.clone(), count.clone()));
            let first = count == "1";
            match body.as_str() {
                "sooner" if first => {
                    let handle = text(&record["receiptHandle"]);
                    let change = self.sqs.change_message_visibility().queue_url(&self.queue);
                    change.receipt_handle(handle).visibility_timeout(1).send().await.unwrap();
                    failures.push(json!({ "itemIdentifier": record["messageId"] }));
                }
                "hopeless" => {
                    let handle = text(&record["receiptHandle"]);
                    let change = self.sqs.change_message_visibility().queue_url(&self.queue);
                    change.receipt_handle(handle).visibility_timeout(0).send().await.unwrap();
                    failures.push(json!({ "itemIdentifier": record["messageId"] }));
                }
                "later" => failures.push(json!({ "itemIdentifier": record["messageId"] })),
                "crash" if first => function_error = Some("Unhandled".to_owned()),
                "slow" => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => {}
            }
        }
        self.in_hand.fetch_sub(1, Ordering::SeqCst);
        let payload = json!({ "batchItemFailures": failures }).to_string();
        Ok(Outcome { payload: Bytes::from(payload), function_error })
    }

    async fn invoke_event(&self, function: &str, _: Bytes) -> Result<(), InvokeError> {
        Err(InvokeError::UnknownFunction(function.to_owned()))
    }
}

struct Nobody;

#[async_trait]
impl Mutate for Nobody {
    async fn mutate(&self, _: &str, _: &str, _: Value) -> Result<(), String> {
        Err("nobody".to_owned())
    }
}

impl Consumer {
    fn of(body: &str, received: &[(String, String)]) -> Vec<String> {
        received.iter().filter(|(other, _)| other == body).map(|(_, count)| count.clone()).collect()
    }

    fn counts(&self, body: &str) -> Vec<String> {
        Self::of(body, &self.received.lock().unwrap())
    }
}

/// The fixture's queue `logical_id` with a consumer of `properties`, reading.
async fn consume(file: &Value, logical_id: &str, properties: &str) -> (EventSources, Arc<Consumer>) {
    let text = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  {logical_id}: {{Type: AWS::SQS::Queue}}\n  Reader:\n    \
         Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: target/lambda/reader/\n      \
         Runtime: provided.al2023\n      Events:\n        Queue:\n          Type: SQS\n          Properties:\n            \
         Queue: !GetAtt {logical_id}.Arn\n            FunctionResponseTypes: [ReportBatchItemFailures]\n{properties}"
    );
    let aws = file["addresses"]["aws"].as_str().unwrap().to_owned();
    let options = LoadOptions {
        stack_name: file["stackName"].as_str().unwrap().to_owned(),
        region: file["region"].as_str().unwrap().to_owned(),
        account: file["account"].as_str().unwrap().to_owned(),
        parameters: Default::default(),
        endpoints: Endpoints {
            aws: aws.clone(),
            graphql: aws.clone(),
            http_api: aws.clone(),
            websocket_api: aws,
        },
    };
    let stack = Stack::parse(&text, &options).unwrap();
    let config = sdk(file);
    let consumer = Arc::new(Consumer {
        sqs: aws_sdk_sqs::Client::new(&config),
        queue: file["resources"][logical_id].as_str().unwrap().to_owned(),
        received: Mutex::default(),
        in_hand: AtomicUsize::new(0),
        most_in_hand: AtomicUsize::new(0),
    });
    let wiring = Wiring {
        sqs: aws_sdk_sqs::Client::new(&config),
        eventbridge: aws_sdk_eventbridge::Client::new(&config),
        invoke: Arc::clone(&consumer) as _,
        mutate: Arc::new(Nobody),
    };
    (EventSources::start(&stack, wiring).await.unwrap(), consumer)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

#[test]
fn a_message_comes_back_when_its_consumer_says_and_else_by_its_queue() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path(), free_base(4));
    let file = up.file();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sqs = aws_sdk_sqs::Client::new(&sdk(&file));
        let url = |logical_id: &str| file["resources"][logical_id].as_str().unwrap().to_owned();
        let send = async |logical_id: &str, body: &str| {
            sqs.send_message().queue_url(url(logical_id)).message_body(body).send().await.unwrap();
        };
        let number = async |logical_id: &str, attribute: QueueAttributeName| {
            let call =
                sqs.get_queue_attributes().queue_url(url(logical_id)).attribute_names(attribute.clone());
            let attributes = call.send().await.unwrap().attributes.unwrap();
            attributes[&attribute].parse::<usize>().unwrap()
        };

        // Ten minutes is the queue's own delay; the consumer's second and none count instead, where it says so.
        let (sources, consumer) = consume(&file, "Slow", "").await;
        for body in ["sooner", "hopeless", "later", "good"] {
            send("Slow", body).await;
        }
        until("the first is dealt with", async || consumer.counts("sooner") == ["1", "2"]).await;
        until("the hopeless one is a dead letter", async || {
            number("SlowDead", QueueAttributeName::ApproximateNumberOfMessages).await == 1
        })
        .await;
        assert_eq!(consumer.counts("hopeless"), ["1", "2", "3"]);
        until("only the untouched one is left", async || {
            number("Slow", QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await == 1
        })
        .await;
        assert_eq!(consumer.counts("later"), ["1"]);
        assert_eq!(consumer.counts("good"), ["1"]);
        sources.stop().await;

        // A consumer that dies says nothing: the queue's timeout, a second here, brings its messages back.
        let (sources, consumer) = consume(&file, "Queue", "            BatchSize: 1\n").await;
        send("Queue", "crash").await;
        until("it comes again", async || consumer.counts("crash") == ["1", "2"]).await;
        until("it is gone", async || {
            number("Queue", QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await == 0
        })
        .await;
        sources.stop().await;

        let most = "            BatchSize: 1\n            ScalingConfig: {MaximumConcurrency: 2}\n";
        for _ in 0..30 {
            send("Heard", "slow").await;
        }
        let (sources, consumer) = consume(&file, "Heard", most).await;
        until("all are dealt with", async || consumer.counts("slow").len() == 30).await;
        assert_eq!(consumer.most_in_hand.load(Ordering::SeqCst), 2);
        sources.stop().await;
    });
    up.signal(Signal::INT);
    assert!(up.end().status.success());
}
