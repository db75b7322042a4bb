//! One GraphQL API as the template describes it: schema, who may call, and what resolves each field. Everything
//! that could be wrong with it is found here, before the first request, and named by resource and property.

mod properties;
mod read;

use std::sync::Arc;

use local_template::TemplateError;
use serde_json::{Map, Value};

use crate::auth::AuthMode;
use crate::javascript::Script;
use crate::schema::ApiSchema;

/// A GraphQL API, checked and ready to serve.
#[derive(Debug, Clone)]
pub struct ApiDefinition {
    /// The template's logical id of the `AWS::AppSync::GraphQLApi`.
    pub logical_id: String,
    /// `Name`.
    pub name: String,
    /// What `Fn::GetAtt ApiId` gives.
    pub api_id: String,
    /// What `Fn::GetAtt Arn` gives.
    pub arn: String,
    /// From the ARN: twelve digits.
    pub account_id: String,
    /// From the ARN.
    pub region: String,
    pub(crate) default_mode: AuthMode,
    pub(crate) additional_modes: Vec<AuthMode>,
    pub(crate) authorizer: Option<Authorizer>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) schema: Arc<ApiSchema>,
    pub(crate) resolvers: Vec<Resolver>,
    pub(crate) introspection: bool,
    pub(crate) depth_limit: usize,
    pub(crate) resolver_limit: usize,
    pub(crate) environment: Map<String, Value>,
}

/// The function that says who may call.
#[derive(Debug, Clone)]
pub(crate) struct Authorizer {
    pub(crate) function: String,
    /// Seconds a decision is kept when the function does not say; 0 keeps none.
    pub(crate) ttl: u32,
    /// A token that does not match is refused without asking the function.
    pub(crate) token_pattern: Option<regex::Regex>,
}

/// A value `x-api-key` may have.
#[derive(Debug, Clone)]
pub(crate) struct ApiKey {
    pub(crate) key: String,
    /// Seconds since 1970.
    pub(crate) expires: i64,
}

/// What fills one field.
#[derive(Debug, Clone)]
pub(crate) enum Resolver {
    Unit(Step),
    Pipeline { code: Option<Arc<Script>>, steps: Vec<Step> },
}

/// One data source called once: a unit resolver, or a function of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) data_source: DataSource,
    /// Without it a Lambda data source is a direct resolver: it receives the whole context.
    pub(crate) code: Option<Arc<Script>>,
    /// The most invocations put in one `BatchInvoke`; 0 for none.
    pub(crate) max_batch: usize,
}

/// Where a step's request goes.
#[derive(Debug, Clone)]
pub(crate) enum DataSource {
    /// Nowhere: the request's payload is the result.
    None,
    /// The function with this ARN.
    Lambda(Arc<str>),
}

pub(crate) fn problem(place: impl Into<String>, problem: impl Into<String>) -> TemplateError {
    TemplateError { place: place.into(), problem: problem.into() }
}
