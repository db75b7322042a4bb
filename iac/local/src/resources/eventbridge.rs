//! `AWS::Events::EventBus` and `AWS::Events::Rule` with the queues and topics they feed. Targets that are
//! GraphQL operations or functions belong to the event sources; their rules exist from here all the same.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{InputTransformer, RuleState, SqsParameters, Target};
use futures::future::try_join_all;
use local_template::{Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ResourceError;

/// A rule to create.
pub(super) struct Rule {
    logical_id: String,
    /// Without its bus.
    name: String,
    properties: RuleProperties,
    /// Those that ministack delivers to.
    targets: Vec<TargetProperties>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct BusProperties {
    name: String,
    description: Option<IgnoredAny>,
    dead_letter_config: Option<IgnoredAny>,
    kms_key_identifier: Option<IgnoredAny>,
    log_config: Option<IgnoredAny>,
    policy: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct RuleProperties {
    event_bus_name: Option<String>,
    event_pattern: Option<Value>,
    schedule_expression: Option<String>,
    state: Option<String>,
    #[serde(default)]
    targets: Vec<TargetProperties>,
    name: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    role_arn: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct TargetProperties {
    id: String,
    arn: String,
    input: Option<String>,
    input_path: Option<String>,
    input_transformer: Option<Transformer>,
    sqs_parameters: Option<Group>,
    /// Read by the event sources.
    app_sync_parameters: Option<IgnoredAny>,
    role_arn: Option<IgnoredAny>,
    // ministack does not retry or park: queues do, behind their rules.
    dead_letter_config: Option<IgnoredAny>,
    retry_policy: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Transformer {
    #[serde(default)]
    input_paths_map: std::collections::HashMap<String, String>,
    input_template: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Group {
    message_group_id: String,
}

pub(super) fn read_buses(stack: &Stack) -> Result<Vec<String>, TemplateError> {
    let buses = stack.of_kind::<BusProperties>("AWS::Events::EventBus")?;
    Ok(buses.into_iter().map(|(_, properties)| properties.name).collect())
}

pub(super) fn read_rules(stack: &Stack) -> Result<Vec<Rule>, TemplateError> {
    let mut rules = Vec::new();
    for (resource, properties) in stack.of_kind::<RuleProperties>("AWS::Events::Rule")? {
        let mut targets = Vec::new();
        for (index, target) in properties.targets.iter().enumerate() {
            match target.arn.split(':').nth(2) {
                Some("sqs" | "sns") => targets.push(target.clone()),
                Some("appsync" | "lambda") => {}
                _ => {
                    return Err(resource.refuse(
                        &format!("Targets[{index}].Arn"),
                        format!("a rule cannot target {} on this machine", target.arn),
                    ));
                }
            }
        }
        let name = resource.physical_id.rsplit('|').next().unwrap_or(&resource.physical_id).to_owned();
        rules.push(Rule { logical_id: resource.logical_id.clone(), name, properties, targets });
    }
    Ok(rules)
}

pub(super) async fn create_buses(config: &SdkConfig, buses: &[String]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    let creations = buses.iter().map(|name| {
        let call = client.create_event_bus().name(name).send();
        async move { call.await.map_err(|error| ResourceError::refused(name, error)) }
    });
    try_join_all(creations).await.map(drop)
}

pub(super) async fn create_rules(config: &SdkConfig, rules: &[Rule]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    try_join_all(rules.iter().map(|rule| create_rule(&client, rule))).await.map(drop)
}

async fn create_rule(client: &Client, rule: &Rule) -> Result<(), ResourceError> {
    let Rule { logical_id, name, properties, targets } = rule;
    let state = properties.state.as_deref().map_or(RuleState::Enabled, RuleState::from);
    let call = client
        .put_rule()
        .name(name)
        .set_event_bus_name(properties.event_bus_name.clone())
        .set_event_pattern(properties.event_pattern.as_ref().map(Value::to_string))
        .set_schedule_expression(properties.schedule_expression.clone())
        .state(state);
    call.send().await.map_err(|error| ResourceError::refused(logical_id, error))?;
    if targets.is_empty() {
        return Ok(());
    }
    let mut call = client.put_targets().rule(name).set_event_bus_name(properties.event_bus_name.clone());
    for target in targets {
        let built = built(target).map_err(|error| ResourceError::refused(logical_id, error))?;
        call = call.targets(built);
    }
    let put = call.send().await.map_err(|error| ResourceError::refused(logical_id, error))?;
    match put.failed_entries().first() {
        None => Ok(()),
        Some(entry) => {
            Err(ResourceError::Refused { resource: logical_id.clone(), problem: format!("{entry:?}") })
        }
    }
}

fn built(target: &TargetProperties) -> Result<Target, aws_sdk_eventbridge::error::BuildError> {
    let transformer = target.input_transformer.as_ref().map(|transformer| {
        InputTransformer::builder()
            .set_input_paths_map(Some(transformer.input_paths_map.clone()))
            .input_template(&transformer.input_template)
            .build()
    });
    let group = target.sqs_parameters.as_ref();
    Target::builder()
        .id(&target.id)
        .arn(&target.arn)
        .set_input(target.input.clone())
        .set_input_path(target.input_path.clone())
        .set_input_transformer(transformer.transpose()?)
        .set_sqs_parameters(
            group.map(|group| SqsParameters::builder().message_group_id(&group.message_group_id).build()),
        )
        .build()
}
