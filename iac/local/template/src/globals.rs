//! SAM's `Globals`: what every function and HTTP API has unless it says otherwise.

use serde_json::{Map, Value};

use crate::TemplateError;
use crate::kinds::FUNCTION;

/// The global properties of each kind, by the kind's full name.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    function: Map<String, Value>,
    http_api: Map<String, Value>,
}

// What SAM accepts there; the rest of a function's properties cannot be global.
const FUNCTION_PROPERTIES: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PermissionsBoundary",
    "ProvisionedConcurrencyConfig",
    "ReservedConcurrentExecutions",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "Tags",
    "Timeout",
    "Tracing",
    "VpcConfig",
];

const HTTP_API_PROPERTIES: &[&str] = &[
    "AccessLogSettings",
    "Auth",
    "CorsConfiguration",
    "DefaultRouteSettings",
    "Domain",
    "PropagateTags",
    "RouteSettings",
    "StageVariables",
    "Tags",
];

impl Globals {
    pub(crate) fn read(section: Option<&Value>) -> Result<Self, TemplateError> {
        let mut globals = Self::default();
        let Some(section) = section else { return Ok(globals) };
        let section = section.as_object().ok_or_else(|| TemplateError::new("Globals", "must be a map"))?;
        for (kind, properties) in section {
            let place = format!("Globals.{kind}");
            let (slot, known) = match kind.as_str() {
                "Function" => (&mut globals.function, FUNCTION_PROPERTIES),
                "HttpApi" => (&mut globals.http_api, HTTP_API_PROPERTIES),
                _ => return Err(TemplateError::new(place, "only Function and HttpApi are known here")),
            };
            let properties =
                properties.as_object().ok_or_else(|| TemplateError::new(place.as_str(), "must be a map"))?;
            if let Some(stranger) = properties.keys().find(|name| !known.contains(&name.as_str())) {
                return Err(TemplateError::new(format!("{place}.{stranger}"), "cannot be global"));
            }
            *slot = properties.clone();
        }
        Ok(globals)
    }

    /// `properties` of a resource of `kind` with the globals underneath.
    pub(crate) fn apply(&self, kind: &str, properties: Value) -> Value {
        let globals = match kind {
            FUNCTION => &self.function,
            "AWS::Serverless::HttpApi" => &self.http_api,
            _ => return properties,
        };
        if globals.is_empty() { properties } else { merge(Value::Object(globals.clone()), properties) }
    }
}

/// SAM's rule: maps are merged, lists are appended, anything else is replaced.
fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(mut global), Value::Object(own)) if !is_function(&global) && !is_function(&own) => {
            for (key, value) in own {
                let merged = match global.remove(&key) {
                    Some(inherited) => merge(inherited, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}

fn is_function(object: &Map<String, Value>) -> bool {
    object.keys().any(|key| key.starts_with("Fn::") || key == "Ref")
}
