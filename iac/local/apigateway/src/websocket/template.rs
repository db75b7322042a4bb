//! Reads WebSocket APIs from the template, refusing by name what this door does not do.

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
    /// Its name in the template.
    pub logical_id: String,
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
    /// The stack's WebSocket APIs. Here they share an address, so each needs a stage of another name; two of one name,
    /// or anything of an API that this door does not do, is an error.
    pub fn from_stack(stack: &Stack) -> Result<Vec<Self>, TemplateError> {
        stack.of_kind::<IntegrationResponseProperties>("AWS::ApiGatewayV2::IntegrationResponse")?;
        stack.of_kind::<DeploymentProperties>("AWS::ApiGatewayV2::Deployment")?;
        let mut parts = Parts::read(stack)?;
        let mut definitions: Vec<Self> = Vec::new();
        for (api, properties) in stack.of_kind::<ApiProperties>("AWS::ApiGatewayV2::Api")? {
            let definition = Self::read(api, properties, &mut parts)?;
            if let Some(other) = definitions.iter().find(|other| other.stage == definition.stage) {
                let problem = format!(
                    "has a stage {:?}, as {} has: WebSocket APIs share an address on this machine, and their stages \
                     tell them apart",
                    definition.stage, other.logical_id
                );
                return Err(api.refuse("", problem));
            }
            definitions.push(definition);
        }
        parts.refuse_strangers()?;
        Ok(definitions)
    }

    fn read(api: &Resource, properties: ApiProperties, parts: &mut Parts<'_>) -> Result<Self, TemplateError> {
        if properties.protocol_type != "WEBSOCKET" {
            return Err(
                api.refuse("ProtocolType", "only WEBSOCKET; write an HTTP API as AWS::Serverless::HttpApi")
            );
        }
        let expression = properties.route_selection_expression.unwrap_or_default();
        let selection = Selection::parse(&expression).ok_or_else(|| {
            api.refuse("RouteSelectionExpression", format!("{expression:?} is not understood"))
        })?;
        let (stage, throttling) = parts.stage(api)?;
        let endpoint = api.attributes.get("ApiEndpoint").map(String::as_str).unwrap_or_default();
        Ok(Self {
            logical_id: api.logical_id.clone(),
            id: api.physical_id.clone(),
            domain: endpoint.trim_start_matches("wss://").to_owned(),
            stage,
            selection,
            routes: parts.routes(api)?,
            throttling,
        })
    }

    /// The stage's name: the path that clients dial.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }
}

/// What the template has of all WebSocket APIs, until the API that each is of has taken it.
struct Parts<'s> {
    stages: Vec<(&'s Resource, StageProperties)>,
    integrations: Vec<(&'s Resource, IntegrationProperties)>,
    responses: Vec<(&'s Resource, RouteResponseProperties)>,
    routes: Vec<(&'s Resource, RouteProperties)>,
}

/// Takes those of one API.
fn of_api<'s, P>(
    parts: &mut Vec<(&'s Resource, P)>,
    api: &Resource,
    api_id: impl Fn(&P) -> &str,
) -> impl Iterator<Item = (&'s Resource, P)> {
    let (its, others) =
        std::mem::take(parts).into_iter().partition::<Vec<_>, _>(|(_, part)| api_id(part) == api.physical_id);
    *parts = others;
    its.into_iter()
}

impl<'s> Parts<'s> {
    fn read(stack: &'s Stack) -> Result<Self, TemplateError> {
        Ok(Self {
            stages: stack.of_kind("AWS::ApiGatewayV2::Stage")?,
            integrations: stack.of_kind("AWS::ApiGatewayV2::Integration")?,
            responses: stack.of_kind("AWS::ApiGatewayV2::RouteResponse")?,
            routes: stack.of_kind("AWS::ApiGatewayV2::Route")?,
        })
    }

    /// Once every API has taken its own.
    fn refuse_strangers(&self) -> Result<(), TemplateError> {
        let stages = self.stages.iter().map(|(resource, stage)| (*resource, &stage.api_id));
        let integrations = self.integrations.iter().map(|(resource, it)| (*resource, &it.api_id));
        let responses = self.responses.iter().map(|(resource, it)| (*resource, &it.api_id));
        let routes = self.routes.iter().map(|(resource, route)| (*resource, &route.api_id));
        match stages.chain(integrations).chain(responses).chain(routes).next() {
            None => Ok(()),
            Some((resource, api)) => {
                Err(resource.refuse("ApiId", format!("{api:?} is no WebSocket API here")))
            }
        }
    }

    fn stage(&mut self, api: &Resource) -> Result<(String, RouteSettings), TemplateError> {
        let mut stages = of_api(&mut self.stages, api, |stage| &stage.api_id);
        let Some((_, stage)) = stages.next() else {
            return Err(api.refuse("", "the WebSocket API has no AWS::ApiGatewayV2::Stage"));
        };
        if let Some((second, _)) = stages.next() {
            return Err(second.refuse("", "a second stage, where one is served"));
        }
        Ok((stage.stage_name, stage.default_route_settings))
    }

    fn integrations(&mut self, api: &Resource) -> Result<BTreeMap<String, Integration>, TemplateError> {
        let mut integrations = BTreeMap::new();
        for (resource, properties) in of_api(&mut self.integrations, api, |it| &it.api_id) {
            if properties.integration_type != "AWS_PROXY" {
                return Err(resource.refuse("IntegrationType", "only AWS_PROXY"));
            }
            let uri = &properties.integration_uri;
            let function = function_arn(uri).ok_or_else(|| {
                resource.refuse("IntegrationUri", format!("{uri:?} names no Lambda function"))
            })?;
            let millis = properties.timeout_in_millis.unwrap_or(29_000);
            if !(50..=29_000).contains(&millis) {
                return Err(resource.refuse("TimeoutInMillis", "must be from 50 to 29000"));
            }
            let integration =
                Integration { function: function.to_owned(), timeout: Duration::from_millis(millis) };
            integrations.insert(resource.physical_id.clone(), integration);
        }
        Ok(integrations)
    }

    fn routes(&mut self, api: &Resource) -> Result<BTreeMap<String, Route>, TemplateError> {
        let integrations = self.integrations(api)?;
        let mut answered = BTreeMap::new();
        for (resource, response) in of_api(&mut self.responses, api, |it| &it.api_id) {
            if response.route_response_key != "$default" {
                return Err(resource.refuse("RouteResponseKey", "only $default"));
            }
            answered.insert(response.route_id, resource);
        }
        let mut routes = BTreeMap::new();
        for (resource, properties) in of_api(&mut self.routes, api, |route| &route.api_id) {
            if properties.authorization_type.is_some_and(|kind| kind != "NONE") {
                return Err(resource.refuse("AuthorizationType", "only NONE: $connect's function decides"));
            }
            let target = &properties.target;
            let integration = target.strip_prefix("integrations/").and_then(|id| integrations.get(id));
            let integration = integration.ok_or_else(|| {
                resource.refuse("Target", format!("{target:?} is no integration of this API"))
            })?;
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
}
