//! Reads `template.yaml` as CloudFormation and SAM would: parameters, conditions and intrinsic functions
//! resolved, every resource with the physical name and attributes it will have on this machine.
//! Knows no door: each takes its resources from here, typed.

mod endpoints;
mod globals;
mod inert;
mod intrinsics;
mod kinds;
mod load;
mod parameters;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A template whose every intrinsic function is resolved.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The stack's name: the prefix of every generated physical name.
    pub name: String,
    /// By logical id.
    pub resources: BTreeMap<String, Resource>,
    /// `Outputs`, resolved.
    pub outputs: BTreeMap<String, String>,
}

/// One resource, its properties resolved to plain JSON.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The key in `Resources`.
    pub logical_id: String,
    /// `AWS::Serverless::Function`, …
    pub kind: String,
    /// What `Ref` gives: a name, a URL, an ARN, as CloudFormation defines for the kind.
    pub physical_id: String,
    /// The resolved `Properties`.
    pub properties: Value,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<String, String>,
}

impl Resource {
    /// The error of what is wrong with `property`, `Events.Queue.BatchSize`; of the resource itself if that is empty.
    pub fn refuse(&self, property: &str, problem: impl Into<String>) -> TemplateError {
        let resource = format!("Resources.{}", self.logical_id);
        let place = if property.is_empty() { resource } else { format!("{resource}.Properties.{property}") };
        TemplateError::new(place, problem)
    }
}

/// Why a template cannot be stood up. Each names the resource and property at fault.
#[derive(Debug, thiserror::Error)]
#[error("template: {place}: {problem}")]
pub struct TemplateError {
    /// `Resources.BillSession.Properties.Timeout`, …
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl TemplateError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// What a deployment adds to a template.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The prefix of generated names, `AWS::StackName`.
    pub stack_name: String,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`: twelve digits.
    pub account: String,
    /// Values for `Parameters`; one that the template does not declare is an error.
    pub parameters: BTreeMap<String, String>,
    /// Where the doors of this machine listen.
    pub endpoints: Endpoints,
}

/// Base URLs, without a path, of what stands for AWS on this machine.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Queues, topics, tables, bus and secrets: the start of every queue URL.
    pub aws: String,
    /// The AppSync door, which serves `/graphql` and `/graphql/realtime`.
    pub graphql: String,
    /// The HTTP API door.
    pub http_api: String,
    /// The WebSocket API door, which also serves `/{stage}/@connections`.
    pub websocket_api: String,
}

impl Stack {
    /// Reads and resolves the template at `path`. Fails on the first section, resource type, property of a
    /// resource without local effect, function, reference or parameter that is not understood, naming it.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| TemplateError::new(path.display().to_string(), error.to_string()))?;
        Self::parse(&text, options)
    }

    /// As [`Stack::load`], from the template's text.
    pub fn parse(text: &str, options: &LoadOptions) -> Result<Self, TemplateError> {
        load::stack(text, options)
    }

    /// The resources of one kind with their properties read as `P`, whose `deny_unknown_fields` makes a
    /// property nobody handles an error that names it.
    pub fn of_kind<P: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(&Resource, P)>, TemplateError> {
        self.resources
            .values()
            .filter(|resource| resource.kind == kind)
            .map(|resource| {
                P::deserialize(&resource.properties).map(|properties| (resource, properties)).map_err(
                    |error| TemplateError {
                        place: format!("Resources.{}.Properties ({kind})", resource.logical_id),
                        problem: error.to_string(),
                    },
                )
            })
            .collect()
    }
}
