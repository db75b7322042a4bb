//! ministack: SQS, SNS and EventBridge in memory, a server of the test's own.

use std::path::Path;
use std::process::Command;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use scratch::{Server, free_port, until};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Aws {
    pub(crate) url: String,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) events: aws_sdk_eventbridge::Client,
    _server: Server,
    _folder: TempDir,
}

impl Aws {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/venv/bin/ministack");
        let program = if installed.exists() { installed.as_path() } else { Path::new("ministack") };
        let mut command = Command::new(program);
        command
            .current_dir(&folder)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", "eu-central-1")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", &url)
            .env("IOT_MTLS_ENABLED", "0")
            .env("PERSIST_STATE", "0");
        let server = Server::start(&mut command);
        let health = format!("{url}/_ministack/health");
        let is_up = async || reqwest::get(&health).await.ok().filter(|answer| answer.status().is_success());
        until("ministack", is_up).await;
        Self {
            sqs: sqs_at(&url),
            sns: aws_sdk_sns::Client::from_conf(
                aws_sdk_sns::config::Builder::from(&scratch::aws()).endpoint_url(&url).build(),
            ),
            events: events_at(&url),
            url,
            _server: server,
            _folder: folder,
        }
    }

    /// The URL of a new queue.
    pub(crate) async fn queue(&self, name: &str) -> String {
        let created = self.sqs.create_queue().queue_name(name);
        let created = created.attributes(QueueAttributeName::VisibilityTimeout, "0").send().await.unwrap();
        created.queue_url.unwrap()
    }

    pub(crate) async fn arn(&self, queue: &str) -> String {
        let name = QueueAttributeName::QueueArn;
        let call = self.sqs.get_queue_attributes().queue_url(queue).attribute_names(name.clone());
        call.send().await.unwrap().attributes.unwrap().remove(&name).unwrap()
    }

    /// Has a message that `queue` gave `most` times and got back go to `dead`.
    pub(crate) async fn redrive(&self, queue: &str, dead: &str, most: u32) {
        let policy = json!({ "deadLetterTargetArn": self.arn(dead).await, "maxReceiveCount": most });
        let call = self.sqs.set_queue_attributes().queue_url(queue);
        call.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        self.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }

    /// What is in a queue, taken out of it.
    pub(crate) async fn drain(&self, queue: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let call = self.sqs.receive_message().queue_url(queue).max_number_of_messages(10);
            let call =
                call.visibility_timeout(60).message_system_attribute_names(MessageSystemAttributeName::All);
            let messages = call.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            for message in messages {
                let handle = message.receipt_handle.unwrap();
                self.sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
                bodies.push(message.body.unwrap());
            }
        }
    }

    /// How many messages a queue holds, given out or not.
    pub(crate) async fn count(&self, queue: &str) -> u32 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.sqs.get_queue_attributes().queue_url(queue).set_attribute_names(Some(names.into()));
        let attributes = call.send().await.unwrap().attributes.unwrap();
        attributes.values().map(|count| count.parse::<u32>().unwrap()).sum()
    }

    /// A new bus of that name, and a queue that hears all of it.
    pub(crate) async fn bus(&self, name: &str) -> String {
        let heard = self.queue(&format!("{name}-heard")).await;
        self.events.create_event_bus().name(name).send().await.unwrap();
        let pattern = json!({ "account": ["000000000000"] }).to_string();
        let rule = self.events.put_rule().name("all").event_bus_name(name).event_pattern(pattern);
        rule.send().await.unwrap();
        let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(self.arn(&heard).await);
        let targets = self.events.put_targets().rule("all").event_bus_name(name);
        targets.targets(target.build().unwrap()).send().await.unwrap();
        heard
    }

    /// The events that a bus's queue heard, taken out of it.
    pub(crate) async fn heard(&self, queue: &str) -> Vec<Value> {
        let read = |body: String| serde_json::from_str::<Value>(&body).unwrap()["detail"].take();
        self.drain(queue).await.into_iter().map(read).collect()
    }

    /// A new topic, and a queue that hears all of it.
    pub(crate) async fn topic(&self, name: &str) -> (String, String) {
        let heard = self.queue(&format!("{name}-heard")).await;
        let topic = self.sns.create_topic().name(name).send().await.unwrap().topic_arn.unwrap();
        let call = self.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(self.arn(&heard).await);
        call.send().await.unwrap();
        (topic, heard)
    }
}

pub(crate) fn sqs_at(url: &str) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::from_conf(
        aws_sdk_sqs::config::Builder::from(&scratch::aws()).endpoint_url(url).build(),
    )
}

pub(crate) fn events_at(url: &str) -> aws_sdk_eventbridge::Client {
    let builder = aws_sdk_eventbridge::config::Builder::from(&scratch::aws());
    aws_sdk_eventbridge::Client::from_conf(builder.endpoint_url(url).build())
}
