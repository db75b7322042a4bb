//! Reads an HTTP API and its functions' `HttpApi` events from the template, refusing by name what this door does
//! not do.

use std::collections::BTreeMap;
use std::time::Duration;

use lambda_host::scalar;
use local_template::{Resource, Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::cors::{Cors, CorsConfiguration};
use super::routes::Routes;
use crate::integration::Integration;
use crate::throttle::RouteSettings;

/// The API that SAM makes for events which name none.
const IMPLICIT: &str = "ServerlessHttpApi";

/// An HTTP API, as the template has it.
#[derive(Debug, Clone)]
pub struct ApiDefinition {
    pub(super) id: String,
    pub(super) domain: String,
    pub(super) account: String,
    pub(super) stage: String,
    pub(super) routes: Routes,
    pub(super) cors: Option<Cors>,
    pub(super) throttling: RouteSettings,
    /// Of the routes that have limits of their own, by their keys.
    pub(super) route_throttling: BTreeMap<String, RouteSettings>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct ApiProperties {
    stage_name: Option<String>,
    cors_configuration: Option<CorsConfiguration>,
    default_route_settings: RouteSettings,
    /// By route key, `POST /v1/bookings/holds`.
    route_settings: BTreeMap<String, RouteSettings>,
    name: IgnoredAny,
    description: IgnoredAny,
    access_log_settings: IgnoredAny,
    disable_execute_api_endpoint: IgnoredAny,
    fail_on_warnings: IgnoredAny,
    propagate_tags: IgnoredAny,
    tags: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct EventProperties {
    api_id: Option<String>,
    method: Option<String>,
    path: Option<String>,
    payload_format_version: Option<String>,
    #[serde(deserialize_with = "scalar::optional")]
    timeout_in_millis: Option<u64>,
}

impl ApiDefinition {
    /// The stack's HTTP API with every function's `HttpApi` events, or none. More than one API, or anything of
    /// it that this door does not do, is an error.
    pub fn from_stack(stack: &Stack) -> Result<Option<Self>, TemplateError> {
        let mut apis = stack.of_kind::<ApiProperties>("AWS::Serverless::HttpApi")?.into_iter();
        let Some((api, properties)) = apis.next() else { return Ok(None) };
        if let Some((second, _)) = apis.next() {
            return Err(second.refuse("", "a second HTTP API, where one is served"));
        }
        let cors = properties.cors_configuration.map(Cors::new).transpose();
        let routes = routes(stack, api)?;
        if let Some(stranger) = properties.route_settings.keys().find(|key| !routes.has(key)) {
            return Err(api.refuse("RouteSettings", format!("there is no route {stranger:?}")));
        }
        let endpoint = api.attributes.get("ApiEndpoint").map(String::as_str).unwrap_or_default();
        Ok(Some(Self {
            id: api.physical_id.clone(),
            domain: endpoint.trim_start_matches("https://").to_owned(),
            account: account(stack),
            stage: properties.stage_name.unwrap_or_else(|| "$default".to_owned()),
            routes,
            cors: cors.map_err(|problem| api.refuse("CorsConfiguration", problem))?,
            throttling: properties.default_route_settings,
            route_throttling: properties.route_settings,
        }))
    }

    /// The path without the stage that a stage other than `$default` puts before it.
    pub(super) fn stage_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.stage == "$default" {
            return Some(path);
        }
        let rest = path.strip_prefix('/')?.strip_prefix(&self.stage)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// Of the functions, whose ARNs bear it.
fn account(stack: &Stack) -> String {
    let arns = stack.resources.values().filter_map(|resource| resource.attributes.get("Arn"));
    arns.filter_map(|arn| arn.split(':').nth(4))
        .find(|id| !id.is_empty())
        .unwrap_or("000000000000")
        .to_owned()
}

fn routes(stack: &Stack, api: &Resource) -> Result<Routes, TemplateError> {
    let mut routes = Routes::default();
    for function in stack.resources.values().filter(|resource| resource.kind == "AWS::Serverless::Function") {
        let events = function.properties.get("Events").and_then(Value::as_object);
        for (name, event) in events.into_iter().flatten().filter(|(_, event)| event["Type"] == "HttpApi") {
            let place = format!("Events.{name}.Properties");
            let properties =
                event.get("Properties").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let event: EventProperties = serde_json::from_value(properties)
                .map_err(|error| function.refuse(&place, error.to_string()))?;
            let names_this_api = match &event.api_id {
                Some(id) => *id == api.physical_id,
                None => api.logical_id == IMPLICIT,
            };
            if !names_this_api {
                return Err(
                    function.refuse(&format!("{place}.ApiId"), "names no AWS::Serverless::HttpApi here")
                );
            }
            if event.payload_format_version.is_some_and(|version| version != "2.0") {
                return Err(function.refuse(&format!("{place}.PayloadFormatVersion"), "only 2.0"));
            }
            let millis = event.timeout_in_millis.unwrap_or(30_000);
            if !(50..=30_000).contains(&millis) {
                return Err(function.refuse(&format!("{place}.TimeoutInMillis"), "must be from 50 to 30000"));
            }
            let integration = Integration {
                function: function.physical_id.clone(),
                timeout: Duration::from_millis(millis),
            };
            routes
                .add(event.method.as_deref(), event.path.as_deref(), integration)
                .map_err(|problem| function.refuse(&place, problem))?;
        }
    }
    Ok(routes)
}
