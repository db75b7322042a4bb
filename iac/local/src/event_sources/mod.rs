//! What runs functions and mutations without a caller: queues, schedules, and rules whose target is AppSync or
//! a function. Rules that feed queues and topics are the bus's own work.

mod input_transformer;
mod json_path;
mod queue;
mod queue_consumer;
mod rule_delivery;
mod rule_target;
mod schedule;
mod scheduler;
mod sqs_event;

use std::sync::Arc;

use async_trait::async_trait;
use lambda_host::{Event, FunctionProperties, Invoke};
use local_template::{Resource, Stack, TemplateError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use queue_consumer::QueueConsumer;
use rule_target::RuleTarget;
use scheduler::Scheduler;

/// Runs a GraphQL operation as the bus's IAM identity.
#[async_trait]
pub trait Mutate: Send + Sync + 'static {
    /// Executes `operation` on the API with that id (`ApiId`). The error is what the API answered, and makes
    /// the bus try again.
    async fn mutate(&self, api_id: &str, operation: &str, variables: Value) -> Result<(), String>;
}

/// Whom the sources read from and hand over to.
#[derive(Clone)]
pub struct Wiring {
    /// Where the queues are.
    pub sqs: aws_sdk_sqs::Client,
    /// Where the rules are.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// Runs the functions.
    pub invoke: Arc<dyn Invoke>,
    /// Runs the mutations.
    pub mutate: Arc<dyn Mutate>,
}

/// Why the sources cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EventSourceError {
    /// The template asks for what nobody here can honour.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A queue or rule of the template is not there, or refuses what it is told.
    #[error("{subject}: {problem}")]
    Service {
        /// The queue's ARN or the rule's name.
        subject: String,
        /// What the service said.
        problem: String,
    },
}

impl EventSourceError {
    fn service(subject: &str, error: impl std::error::Error) -> Self {
        let problem = aws_sdk_sqs::error::DisplayErrorContext(&error).to_string();
        Self::Service { subject: subject.to_owned(), problem }
    }
}

/// Every event source of a stack, running.
pub struct EventSources {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl EventSources {
    /// Reads the sources from the stack and starts them. The stack's queues, buses and rules must be there.
    pub async fn start(stack: &Stack, wiring: Wiring) -> Result<Self, EventSourceError> {
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        for (resource, function) in stack.of_kind::<FunctionProperties>("AWS::Serverless::Function")? {
            for (name, event) in &function.events {
                let place = Place { resource, event_name: name };
                match event.kind.as_str() {
                    "SQS" => {
                        let consumer = QueueConsumer::open(&place, event, &function, &wiring).await?;
                        if let Some(consumer) = consumer {
                            tasks.spawn(
                                stopping.clone().run_until_cancelled_owned(consumer.run(tasks.clone())),
                            );
                        }
                    }
                    "Schedule" | "ScheduleV2" => {
                        if let Some(scheduler) = Scheduler::new(&place, event, &wiring)? {
                            tasks.spawn(stopping.clone().run_until_cancelled_owned(scheduler.run()));
                        }
                    }
                    // The HTTP door reads these itself.
                    "HttpApi" => {}
                    other => {
                        return Err(place
                            .error(&format!("event sources of type {other} are unknown"))
                            .into());
                    }
                }
            }
        }
        for target in RuleTarget::all(stack)? {
            let delivery = target.install(&wiring).await?;
            tasks.spawn(stopping.clone().run_until_cancelled_owned(delivery.run()));
        }
        Ok(Self { stopping, tasks })
    }

    /// Takes nothing more and waits for the batches in hand.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Where in the template an event source stands, for errors and names.
struct Place<'a> {
    resource: &'a Resource,
    event_name: &'a str,
}

impl Place<'_> {
    fn error(&self, problem: &str) -> TemplateError {
        self.resource.refuse(&format!("Events.{}", self.event_name), problem)
    }

    fn read<P: DeserializeOwned>(&self, event: &Event) -> Result<P, TemplateError> {
        P::deserialize(&event.properties).map_err(|error| self.error(&error.to_string()))
    }

    fn function_arn(&self) -> Result<&str, TemplateError> {
        self.resource.attributes.get("Arn").map(String::as_str).ok_or_else(|| self.error("no function ARN"))
    }
}

/// A field of an ARN: 3 is the region, 4 the account.
fn arn_field(arn: &str, field: usize) -> &str {
    arn.split(':').nth(field).unwrap_or_default()
}
