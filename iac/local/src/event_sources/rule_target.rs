//! A rule whose target is AppSync or a function. The bus here can call neither, so it feeds a queue that only
//! we read. Here is what the template says of it; `rule_delivery.rs` does the work.

use std::sync::Arc;

use aws_sdk_eventbridge::types::Target;
use lambda_host::scalar;
use local_template::{Resource, Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::input_transformer::{self, InputTransformer};
use super::json_path::JsonPath;
use super::queue::Queue;
use super::rule_delivery::Delivery;
use super::{EventSourceError, Wiring, arn_field};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct Properties {
    arn: String,
    id: String,
    #[serde(default)]
    app_sync_parameters: Option<Parameters>,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    input_path: Option<String>,
    #[serde(default)]
    input_transformer: Option<input_transformer::Properties>,
    #[serde(default)]
    retry_policy: Option<RetryPolicy>,
    #[serde(default)]
    dead_letter_config: Option<DeadLetterConfig>,
    #[serde(default)]
    role_arn: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(rename = "GraphQLOperation")]
    operation: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct RetryPolicy {
    #[serde(default, deserialize_with = "scalar::optional")]
    maximum_retry_attempts: Option<u32>,
    #[serde(default)]
    maximum_event_age_in_seconds: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct DeadLetterConfig {
    arn: String,
}

/// How the event becomes the target's input.
#[derive(Debug)]
enum Input {
    Event,
    Constant(Value),
    Path(JsonPath),
    Transformed(InputTransformer),
}

/// Who gets the input.
#[derive(Debug)]
pub(super) enum Destination {
    /// The input is the operation's variables.
    Mutation { api_id: String, operation: String },
    /// The input is the event, handed over asynchronously.
    Function { arn: String },
}

/// A target as the template describes it.
pub(super) struct RuleTarget {
    pub(super) rule: String,
    pub(super) rule_arn: String,
    bus: Option<String>,
    queue_name: String,
    pub(super) destination: Destination,
    input: Input,
    properties: Properties,
}

impl RuleTarget {
    /// Every target of every rule that the bus cannot serve itself.
    pub(super) fn all(stack: &Stack) -> Result<Vec<Self>, TemplateError> {
        let mut all = Vec::new();
        for rule in stack.resources.values().filter(|resource| resource.kind == "AWS::Events::Rule") {
            for target in rule.properties["Targets"].as_array().into_iter().flatten() {
                let service = target["Arn"].as_str().map(|arn| arn_field(arn, 2));
                if matches!(service, Some("appsync" | "lambda")) {
                    let read = Self::new(stack, rule, target);
                    all.push(read.map_err(|problem| rule.refuse("Targets", problem))?);
                }
            }
        }
        Ok(all)
    }

    fn new(stack: &Stack, rule: &Resource, target: &Value) -> Result<Self, String> {
        let properties = Properties::deserialize(target).map_err(|error| error.to_string())?;
        let input = match (&properties.input, &properties.input_path, &properties.input_transformer) {
            (None, None, None) => Input::Event,
            (Some(text), None, None) => {
                Input::Constant(serde_json::from_str(text).map_err(|error| format!("Input: {error}"))?)
            }
            (None, Some(path), None) => Input::Path(path.parse()?),
            (None, None, Some(transformer)) => Input::Transformed(transformer.clone().try_into()?),
            _ => return Err("Input, InputPath and InputTransformer exclude each other".to_owned()),
        };
        let destination = Destination::new(stack, &properties)?;
        let queue_name = format!("{}-{}-{}", stack.name, rule.logical_id, properties.id);
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
        let bus = rule.properties["EventBusName"].as_str();
        Ok(Self {
            // `Ref` of a rule on a bus of its own is `bus|rule`.
            rule: rule.physical_id.rsplit('|').next().unwrap_or(&rule.physical_id).to_owned(),
            rule_arn: rule.attributes.get("Arn").cloned().ok_or("the rule has no Arn")?,
            bus: bus.and_then(|bus| bus.rsplit('/').next()).map(str::to_owned),
            queue_name: queue_name.chars().map(allowed).take(80).collect(),
            destination,
            input,
            properties,
        })
    }

    /// Puts a queue in the target's place. The rule itself must be there.
    pub(super) async fn install(self, wiring: &Wiring) -> Result<Delivery, EventSourceError> {
        let queue = Queue::create(&wiring.sqs, &self.queue_name).await?;
        let wrong = |problem: String| EventSourceError::Service { subject: self.rule.clone(), problem };
        let target = Target::builder().id(&self.properties.id).arn(&queue.arn).build();
        let put = wiring
            .eventbridge
            .put_targets()
            .rule(&self.rule)
            .set_event_bus_name(self.bus.clone())
            .targets(target.map_err(|error| wrong(error.to_string()))?)
            .send()
            .await
            .map_err(|error| EventSourceError::service(&self.rule, error))?;
        if put.failed_entry_count > 0 {
            return Err(wrong(format!("the target was refused: {:?}", put.failed_entries)));
        }
        let dead_letters = match &self.properties.dead_letter_config {
            Some(config) => Some(Queue::open(&wiring.sqs, &config.arn).await?),
            None => None,
        };
        let (invoke, mutate) = (Arc::clone(&wiring.invoke), Arc::clone(&wiring.mutate));
        Ok(Delivery { target: self, queue, dead_letters, invoke, mutate })
    }

    /// How often the template wants an event tried again, if it says.
    pub(super) fn retries(&self) -> Option<u32> {
        self.properties.retry_policy.as_ref()?.maximum_retry_attempts
    }

    pub(super) fn arn(&self) -> &str {
        &self.properties.arn
    }

    /// The target's input for one event.
    pub(super) fn input(&self, event: &Value, ingestion_time: &str) -> Result<Value, String> {
        let input = match &self.input {
            Input::Event => event.clone(),
            Input::Constant(value) => value.clone(),
            Input::Path(path) => path.find(event).ok_or("InputPath leads nowhere in this event")?,
            Input::Transformed(transformer) => {
                let (rule_name, rule_arn) = (self.rule.as_str(), self.rule_arn.as_str());
                transformer
                    .render(event, &input_transformer::Delivery { rule_name, rule_arn, ingestion_time })?
            }
        };
        match &self.destination {
            Destination::Mutation { .. } if !input.is_object() => {
                Err(format!("variables are an object, not {input}"))
            }
            _ => Ok(input),
        }
    }
}

impl Destination {
    fn new(stack: &Stack, properties: &Properties) -> Result<Self, String> {
        let arn = &properties.arn;
        let of_kind = |kind: &'static str| stack.resources.values().filter(move |it| it.kind == kind);
        match (&properties.app_sync_parameters, arn_field(arn, 2)) {
            (Some(parameters), "appsync") => {
                let api_id = of_kind("AWS::AppSync::GraphQLApi")
                    .find(|api| api.attributes.get("GraphQLEndpointArn") == Some(arn))
                    .and_then(|api| api.attributes.get("ApiId"))
                    .ok_or_else(|| format!("{arn} is no API of this stack (use GraphQLEndpointArn)"))?;
                Ok(Self::Mutation { api_id: api_id.clone(), operation: parameters.operation.clone() })
            }
            (None, "appsync") => Err("a target that is AppSync needs AppSyncParameters".to_owned()),
            (Some(_), _) => Err("AppSyncParameters are for a target that is AppSync".to_owned()),
            (None, _) => of_kind("AWS::Serverless::Function")
                .find(|function| function.attributes.get("Arn") == Some(arn))
                .map(|_| Self::Function { arn: arn.clone() })
                .ok_or_else(|| format!("{arn} is no function of this stack")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    const ENDPOINT: &str = "arn:aws:appsync:eu-west-1:000000000000:endpoints/graphql-api/e1";
    const FUNCTION: &str = "arn:aws:lambda:eu-west-1:000000000000:function:bill";
    const RULE: &str = "arn:aws:events:eu-west-1:000000000000:rule/ev/live";

    fn resource(
        id: &str,
        kind: &str,
        physical_id: &str,
        properties: Value,
        attributes: &[(&str, &str)],
    ) -> Resource {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Resource {
            logical_id: id.to_owned(),
            kind: kind.to_owned(),
            physical_id: physical_id.to_owned(),
            properties,
            attributes,
        }
    }

    fn targets_of(more: &Value) -> Result<Vec<RuleTarget>, TemplateError> {
        let mut target = json!({
            "Id": "AppSync", "Arn": ENDPOINT, "RoleArn": "arn:role",
            "AppSyncParameters": {"GraphQLOperation": "mutation M($id: ID!) { m(id: $id) { id } }"},
        });
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let queue = json!({"Id": "Queue", "Arn": "arn:aws:sqs:eu-west-1:000000000000:bills"});
        let properties =
            json!({"EventBusName": "arn:aws:events:eu-west-1:0:event-bus/ev", "Targets": [queue, target]});
        let resources = [
            resource("LiveRule", "AWS::Events::Rule", "ev|live", properties, &[("Arn", RULE)]),
            resource("Bill", "AWS::Serverless::Function", "bill", json!({}), &[("Arn", FUNCTION)]),
            resource(
                "Api",
                "AWS::AppSync::GraphQLApi",
                "arn",
                json!({}),
                &[("GraphQLEndpointArn", ENDPOINT), ("ApiId", "a1")],
            ),
        ];
        let resources: BTreeMap<_, _> = resources.into_iter().map(|it| (it.logical_id.clone(), it)).collect();
        RuleTarget::all(&Stack { name: "ev".to_owned(), resources, outputs: BTreeMap::new() })
    }

    #[test]
    fn only_targets_the_bus_cannot_serve_are_ours() {
        let targets = targets_of(&json!({})).unwrap();
        let [target] = &targets[..] else { panic!("one target") };
        assert_eq!(target.rule, "live");
        assert_eq!(target.bus.as_deref(), Some("ev"));
        assert!(matches!(&target.destination, Destination::Mutation { api_id, .. } if api_id == "a1"));
        assert_eq!(target.queue_name, "ev-LiveRule-AppSync");

        let function = json!({"Arn": FUNCTION, "AppSyncParameters": null, "InputPath": "$.id"});
        let target = targets_of(&function).unwrap().remove(0);
        assert!(matches!(&target.destination, Destination::Function { arn } if arn == FUNCTION));
        assert_eq!(target.input(&json!({"id": "e-1"}), ""), Ok(json!("e-1")));
    }

    #[test]
    fn input_is_what_the_target_names() {
        let event = json!({"detail": {"sessionId": "s-1"}, "id": "e-1"});
        for (more, expected) in [
            (json!({}), Ok(event.clone())),
            (json!({"Input": "{\"id\": 1}"}), Ok(json!({"id": 1}))),
            (json!({"InputPath": "$.detail"}), Ok(json!({"sessionId": "s-1"}))),
            (
                json!({"InputTransformer": {"InputPathsMap": {"id": "$.detail.sessionId"},
                    "InputTemplate": "{\"id\": <id>, \"at\": <aws.events.event.ingestion-time>}"}}),
                Ok(json!({"id": "s-1", "at": "2026-01-01T00:00:00Z"})),
            ),
            (json!({"InputPath": "$.id"}), Err("variables are an object, not \"e-1\"".to_owned())),
            (json!({"InputPath": "$.none"}), Err("InputPath leads nowhere in this event".to_owned())),
        ] {
            let target = targets_of(&more).unwrap().remove(0);
            assert_eq!(target.input(&event, "2026-01-01T00:00:00Z"), expected, "{more}");
        }
    }

    #[test]
    fn target_that_cannot_work_is_refused_with_its_place() {
        for (more, problem) in [
            (json!({"Arn": "arn:aws:appsync:eu-west-1:000000000000:apis/a1"}), "use GraphQLEndpointArn"),
            (json!({"AppSyncParameters": null}), "needs AppSyncParameters"),
            (json!({"Arn": FUNCTION}), "AppSyncParameters are for"),
            (json!({"Arn": format!("{FUNCTION}s"), "AppSyncParameters": null}), "no function of this stack"),
            (json!({"Input": "{}", "InputPath": "$"}), "exclude each other"),
            (json!({"Input": "no"}), "Input: "),
            (json!({"HttpParameters": {}}), "unknown field `HttpParameters`"),
            (
                json!({"InputTransformer": {"InputTemplate": "{\"id\": <id>}"}}),
                "<id> is not in InputPathsMap",
            ),
        ] {
            let error = targets_of(&more).err().unwrap().to_string();
            assert!(error.contains("Resources.LiveRule") && error.contains(problem), "{error}");
        }
    }
}
