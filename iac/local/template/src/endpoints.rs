//! Turns the AWS addresses of what runs on this machine into its local addresses.
//!
//! Attributes such as `GraphQLUrl` keep AWS's form, because policies, ARNs and other resources are built from
//! them. A function, however, dials what its environment says. So in the values of a function's
//! `Environment.Variables`, and in `Outputs`, an address that **begins** with one of these is rewritten:
//!
//! | begins with | becomes |
//! |---|---|
//! | `https://{apiId}.execute-api.{region}.amazonaws.com` of a WebSocket API | `endpoints.websocket_api` |
//! | `wss://{apiId}.execute-api.{region}.amazonaws.com` of a WebSocket API | the same as `ws://` |
//! | `https://{apiId}.execute-api.{region}.amazonaws.com` of an HTTP API | `endpoints.http_api` |
//! | `https://{id}.appsync-api.{region}.amazonaws.com` | `endpoints.graphql` |
//! | `wss://{id}.appsync-realtime-api.{region}.amazonaws.com/graphql` | the same as `ws://…/graphql/realtime` |
//!
//! Queue URLs need none of this: their physical form is local already.

use serde_json::Value;

use crate::intrinsics::Scope;
use crate::parameters::text_of;
use crate::{Endpoints, TemplateError, kinds};

/// AWS prefixes and what stands for them here.
#[derive(Debug, Default)]
pub(crate) struct Rewrites(Vec<(String, String)>);

impl Rewrites {
    pub(crate) fn of(scope: &Scope<'_>) -> Result<Self, TemplateError> {
        let Endpoints { graphql, http_api, websocket_api, .. } = &scope.options.endpoints;
        let region = &scope.options.region;
        let mut rewrites = Vec::new();
        let mut logical_ids: Vec<&str> = scope.resources.keys().map(String::as_str).collect();
        if !scope.resources.contains_key(kinds::IMPLICIT_HTTP_API)
            && kinds::implied(scope, kinds::IMPLICIT_HTTP_API).is_some()
        {
            logical_ids.push(kinds::IMPLICIT_HTTP_API);
        }
        for logical_id in logical_ids {
            let kind = scope.resources.get(logical_id).map(|declared| declared.kind.name);
            match kind.unwrap_or("AWS::Serverless::HttpApi") {
                "AWS::ApiGatewayV2::Api" | "AWS::Serverless::HttpApi" => {
                    let identity = scope.identity(logical_id, logical_id)?;
                    let host = format!("{}.execute-api.{region}.amazonaws.com", identity.physical_id);
                    let is_socket =
                        identity.attributes.get("ApiEndpoint").is_some_and(|url| url.starts_with("wss"));
                    let local = if is_socket { websocket_api } else { http_api };
                    rewrites.push((format!("https://{host}"), local.clone()));
                    rewrites.push((format!("wss://{host}"), as_socket(local)));
                }
                "AWS::AppSync::GraphQLApi" => {
                    let attributes = scope.identity(logical_id, logical_id)?.attributes;
                    if let Some(dns) = attributes.get("GraphQLDns") {
                        rewrites.push((format!("https://{dns}"), graphql.clone()));
                    }
                    if let Some(url) = attributes.get("RealtimeUrl") {
                        rewrites.push((url.clone(), format!("{}/graphql/realtime", as_socket(graphql))));
                    }
                }
                _ => {}
            }
        }
        Ok(Self(rewrites))
    }

    /// `text` as a process on this machine should see it.
    pub(crate) fn apply(&self, text: String) -> String {
        let found =
            self.0.iter().find_map(|(from, to)| text.strip_prefix(from.as_str()).map(|rest| (to, rest)));
        match found {
            Some((to, rest)) => format!("{}{rest}", to.trim_end_matches('/')),
            None => text,
        }
    }

    /// Makes `Environment.Variables` of a function's resolved properties what its process gets: strings, as
    /// CloudFormation does with numbers and booleans, with local addresses.
    pub(crate) fn apply_to_environment(
        &self,
        properties: &mut Value,
        place: &str,
    ) -> Result<(), TemplateError> {
        let variables = properties.pointer_mut("/Environment/Variables").and_then(Value::as_object_mut);
        for (name, value) in variables.into_iter().flatten() {
            let text = text_of(value).ok_or_else(|| {
                TemplateError::new(format!("{place}.Environment.Variables.{name}"), "is not a string")
            })?;
            *value = Value::String(self.apply(text));
        }
        Ok(())
    }
}

fn as_socket(base: &str) -> String {
    let base = base.trim_end_matches('/');
    base.strip_prefix("http").map_or_else(|| base.to_owned(), |rest| format!("ws{rest}"))
}
