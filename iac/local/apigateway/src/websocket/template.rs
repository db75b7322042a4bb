//! Reads a WebSocket API from the template, refusing by name what this door does not do.

use std::collections::BTreeMap;
use std::time::Duration;

use lambda_host::scalar;
use local_template::{Resource, Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::selection::Selection;
use crate::integration::{Integration, function_arn};
use crate::throttle::RouteSettings;

/// A WebSocket API with its one stage, as the template has it.
#[derive(Debug, Clone)]
pub struct ApiDefinition {
    pub(super) id: String,
    pub(super) domain: String,
    pub(super) stage: String,
    pub(super) selection: Selection,
    pub(super) routes: BTreeMap<String, Route>,
    pub(super) throttling: RouteSettings,
}

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) integration: Integration,
    /// What the function returns goes back over the connection.
    pub(super) is_two_way: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct ApiProperties {
    #[serde(default)]
    name: IgnoredAny,
    protocol_type: String,
    route_selection_expression: Option<String>,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    tags: IgnoredAny,
    #[serde(default)]
    disable_execute_api_endpoint: IgnoredAny,
    #[serde(default)]
    ip_address_type: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct RouteProperties {
    api_id: String,
    route_key: String,
    target: String,
    authorization_type: Option<String>,
    route_response_selection_expression: Option<String>,
    #[serde(default)]
    operation_name: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RouteResponseProperties {
    api_id: String,
    route_id: String,
    route_response_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct IntegrationProperties {
    api_id: String,
    integration_type: String,
    integration_uri: String,
    #[serde(default, deserialize_with = "scalar::optional")]
    timeout_in_millis: Option<u64>,
    #[serde(default)]
    integration_method: IgnoredAny,
    #[serde(default)]
    credentials_arn: IgnoredAny,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    connection_type: IgnoredAny,
    #[serde(default)]
    payload_format_version: IgnoredAny,
    #[serde(default)]
    passthrough_behavior: IgnoredAny,
}

/// Of a proxy integration: it names a response that passes through as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "a proxy integration's response has no local effect")]
struct IntegrationResponseProperties {
    api_id: IgnoredAny,
    integration_id: IgnoredAny,
    integration_response_key: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct StageProperties {
    api_id: String,
    stage_name: String,
    #[serde(default)]
    default_route_settings: RouteSettings,
    #[serde(default)]
    deployment_id: IgnoredAny,
    #[serde(default)]
    auto_deploy: IgnoredAny,
    #[serde(default)]
    access_log_settings: IgnoredAny,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    tags: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "a deployment has no local effect")]
struct DeploymentProperties {
    api_id: IgnoredAny,
    #[serde(default)]
    stage_name: IgnoredAny,
    #[serde(default)]
    description: IgnoredAny,
}

impl ApiDefinition {
    /// The stack's WebSocket API, or none. More than one, or anything of it that this door does not do, is an
    /// error.
    pub fn from_stack(stack: &Stack) -> Result<Option<Self>, TemplateError> {
        let mut apis = stack.of_kind::<ApiProperties>("AWS::ApiGatewayV2::Api")?.into_iter();
        let Some((api, properties)) = apis.next() else { return Ok(None) };
        if let Some((second, _)) = apis.next() {
            return Err(second.refuse("", "a second WebSocket API, where one is served"));
        }
        if properties.protocol_type != "WEBSOCKET" {
            return Err(
                api.refuse("ProtocolType", "only WEBSOCKET; write an HTTP API as AWS::Serverless::HttpApi")
            );
        }
        let expression = properties.route_selection_expression.unwrap_or_default();
        let selection = Selection::parse(&expression).ok_or_else(|| {
            api.refuse("RouteSelectionExpression", format!("{expression:?} is not understood"))
        })?;
        stack.of_kind::<IntegrationResponseProperties>("AWS::ApiGatewayV2::IntegrationResponse")?;
        stack.of_kind::<DeploymentProperties>("AWS::ApiGatewayV2::Deployment")?;
        let (stage, throttling) = stage(stack, &api.physical_id)?;
        let endpoint = api.attributes.get("ApiEndpoint").map(String::as_str).unwrap_or_default();
        Ok(Some(Self {
            id: api.physical_id.clone(),
            domain: endpoint.trim_start_matches("wss://").to_owned(),
            stage,
            selection,
            routes: routes(stack, &api.physical_id)?,
            throttling,
        }))
    }

    /// The stage's name: the path that clients dial.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }
}

fn of_this_api(resource: &Resource, api_id: &str, api: &str) -> Result<(), TemplateError> {
    if api_id == api {
        Ok(())
    } else {
        Err(resource.refuse("ApiId", format!("{api_id:?} is no WebSocket API here")))
    }
}

fn stage(stack: &Stack, api: &str) -> Result<(String, RouteSettings), TemplateError> {
    let mut stages = stack.of_kind::<StageProperties>("AWS::ApiGatewayV2::Stage")?.into_iter();
    let Some((resource, stage)) = stages.next() else {
        let place = "Resources".to_owned();
        return Err(TemplateError {
            place,
            problem: "the WebSocket API has no AWS::ApiGatewayV2::Stage".to_owned(),
        });
    };
    of_this_api(resource, &stage.api_id, api)?;
    if let Some((second, _)) = stages.next() {
        return Err(second.refuse("", "a second stage, where one is served"));
    }
    Ok((stage.stage_name, stage.default_route_settings))
}

fn routes(stack: &Stack, api: &str) -> Result<BTreeMap<String, Route>, TemplateError> {
    let mut integrations = BTreeMap::new();
    for (resource, properties) in stack.of_kind::<IntegrationProperties>("AWS::ApiGatewayV2::Integration")? {
        of_this_api(resource, &properties.api_id, api)?;
        if properties.integration_type != "AWS_PROXY" {
            return Err(resource.refuse("IntegrationType", "only AWS_PROXY"));
        }
        let uri = &properties.integration_uri;
        let function = function_arn(uri)
            .ok_or_else(|| resource.refuse("IntegrationUri", format!("{uri:?} names no Lambda function")))?;
        let millis = properties.timeout_in_millis.unwrap_or(29_000);
        if !(50..=29_000).contains(&millis) {
            return Err(resource.refuse("TimeoutInMillis", "must be from 50 to 29000"));
        }
        let integration =
            Integration { function: function.to_owned(), timeout: Duration::from_millis(millis) };
        integrations.insert(resource.physical_id.clone(), integration);
    }
    let mut answered = BTreeMap::new();
    for (resource, response) in
        stack.of_kind::<RouteResponseProperties>("AWS::ApiGatewayV2::RouteResponse")?
    {
        of_this_api(resource, &response.api_id, api)?;
        if response.route_response_key != "$default" {
            return Err(resource.refuse("RouteResponseKey", "only $default"));
        }
        answered.insert(response.route_id, resource);
    }
    let mut routes = BTreeMap::new();
    for (resource, properties) in stack.of_kind::<RouteProperties>("AWS::ApiGatewayV2::Route")? {
        of_this_api(resource, &properties.api_id, api)?;
        if properties.authorization_type.is_some_and(|kind| kind != "NONE") {
            return Err(resource.refuse("AuthorizationType", "only NONE: $connect's function decides"));
        }
        let integration = properties.target.strip_prefix("integrations/").and_then(|id| integrations.get(id));
        let integration = integration
            .ok_or_else(|| resource.refuse("Target", format!("{:?} is no integration", properties.target)))?;
        let expression = properties.route_response_selection_expression;
        if expression.as_deref().is_some_and(|expression| expression != "$default") {
            return Err(resource.refuse("RouteResponseSelectionExpression", "only $default"));
        }
        // Either without the other sends nothing on AWS, which nobody can have meant.
        let is_two_way = answered.remove(&resource.physical_id).is_some();
        if is_two_way != expression.is_some() {
            return Err(resource.refuse(
                "RouteResponseSelectionExpression",
                "goes together with an AWS::ApiGatewayV2::RouteResponse: one is there without the other",
            ));
        }
        let route = Route { integration: integration.clone(), is_two_way };
        if routes.insert(properties.route_key.clone(), route).is_some() {
            return Err(resource.refuse("RouteKey", format!("a second route {:?}", properties.route_key)));
        }
    }
    match answered.into_values().next() {
        Some(resource) => Err(resource.refuse("RouteId", "names no route")),
        None => Ok(routes),
    }
}
