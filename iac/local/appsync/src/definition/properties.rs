//! The `AWS::AppSync::*` properties this door acts on. One that is not here is an error; one that has no effect on
//! a laptop is listed with an underscore, so that ignoring it is a decision someone made.

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GraphqlApi {
    pub(super) name: String,
    pub(super) authentication_type: String,
    pub(super) lambda_authorizer_config: Option<LambdaAuthorizerConfig>,
    #[serde(default)]
    pub(super) additional_authentication_providers: Vec<AuthenticationProvider>,
    pub(super) introspection_config: Option<Switch>,
    #[serde(default, deserialize_with = "number")]
    pub(super) query_depth_limit: Option<u32>,
    #[serde(default, deserialize_with = "number")]
    pub(super) resolver_count_limit: Option<u32>,
    #[serde(default)]
    pub(super) environment_variables: Map<String, Value>,
    #[serde(rename = "ApiType")]
    _api_type: Option<GraphqlKind>,
    #[serde(rename = "EnhancedMetricsConfig")]
    _enhanced_metrics_config: Option<IgnoredAny>,
    #[serde(rename = "LogConfig")]
    _log_config: Option<IgnoredAny>,
    #[serde(rename = "OwnerContact")]
    _owner_contact: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
    #[serde(rename = "Visibility")]
    _visibility: Option<IgnoredAny>,
    #[serde(rename = "XrayEnabled")]
    _xray_enabled: Option<IgnoredAny>,
}

/// `MERGED` is another product; its refusal is this enum's.
#[derive(Debug, Deserialize)]
pub(super) enum GraphqlKind {
    #[serde(rename = "GRAPHQL")]
    Graphql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Switch {
    Enabled,
    Disabled,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct AuthenticationProvider {
    pub(super) authentication_type: String,
    pub(super) lambda_authorizer_config: Option<LambdaAuthorizerConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct LambdaAuthorizerConfig {
    pub(super) authorizer_uri: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) authorizer_result_ttl_in_seconds: Option<u32>,
    pub(super) identity_validation_expression: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GraphqlSchema {
    pub(super) api_id: String,
    pub(super) definition: Option<String>,
    #[serde(rename = "DefinitionS3Location")]
    pub(super) definition_s3_location: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ApiKey {
    pub(super) api_id: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) expires: Option<u64>,
    #[serde(rename = "ApiKeyId")]
    _api_key_id: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct DataSource {
    pub(super) api_id: String,
    pub(super) name: String,
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) lambda_config: Option<LambdaConfig>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "MetricsConfig")]
    _metrics_config: Option<IgnoredAny>,
    #[serde(rename = "ServiceRoleArn")]
    _service_role_arn: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct LambdaConfig {
    pub(super) lambda_function_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Resolver {
    pub(super) api_id: String,
    pub(super) type_name: String,
    pub(super) field_name: String,
    pub(super) data_source_name: Option<String>,
    pub(super) kind: Option<ResolverKind>,
    pub(super) pipeline_config: Option<PipelineConfig>,
    pub(super) runtime: Option<Runtime>,
    pub(super) code: Option<String>,
    #[serde(rename = "CodeS3Location")]
    pub(super) code_s3_location: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) max_batch_size: Option<u32>,
    #[serde(rename = "MetricsConfig")]
    _metrics_config: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ResolverKind {
    Unit,
    Pipeline,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct PipelineConfig {
    pub(super) functions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Runtime {
    pub(super) name: String,
    #[serde(rename = "RuntimeVersion")]
    _runtime_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct FunctionConfiguration {
    pub(super) api_id: String,
    pub(super) data_source_name: String,
    pub(super) runtime: Option<Runtime>,
    pub(super) code: Option<String>,
    #[serde(rename = "CodeS3Location")]
    pub(super) code_s3_location: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) max_batch_size: Option<u32>,
    #[serde(rename = "Name")]
    _name: String,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

/// A whole number, which a template may also hold as text: a parameter's value is always text.
fn number<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<Option<N>, D::Error> {
    let whole = match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    whole
        .and_then(|whole| N::try_from(whole).ok())
        .map(Some)
        .ok_or_else(|| D::Error::custom("expected a whole number"))
}
