//! `AWS::DynamoDB::Table`.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    StreamSpecification, TimeToLiveSpecification,
};
use futures::future::try_join_all;
use local_template::{Stack, TemplateError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ResourceError;

/// A table to create. The private fields of the properties are known and have no effect on one machine.
pub(super) struct Table {
    logical_id: String,
    name: String,
    properties: Properties,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct Properties {
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<Key>,
    #[serde(default)]
    global_secondary_indexes: Vec<Index>,
    time_to_live_specification: Option<TimeToLive>,
    stream_specification: Option<Stream>,
    table_name: Option<IgnoredAny>,
    billing_mode: Option<IgnoredAny>,
    provisioned_throughput: Option<IgnoredAny>,
    on_demand_throughput: Option<IgnoredAny>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<IgnoredAny>,
    point_in_time_recovery_specification: Option<IgnoredAny>,
    deletion_protection_enabled: Option<IgnoredAny>,
    contributor_insights_specification: Option<IgnoredAny>,
    table_class: Option<IgnoredAny>,
    tags: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Key {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct Index {
    index_name: String,
    key_schema: Vec<Key>,
    projection: IndexProjection,
    provisioned_throughput: Option<IgnoredAny>,
    on_demand_throughput: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct IndexProjection {
    projection_type: String,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: Option<String>,
    #[serde(deserialize_with = "lambda_host::scalar::required")]
    enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Stream {
    stream_view_type: String,
}

pub(super) fn read(stack: &Stack) -> Result<Vec<Table>, TemplateError> {
    let tables = stack.of_kind::<Properties>("AWS::DynamoDB::Table")?;
    Ok(tables
        .into_iter()
        .map(|(resource, properties)| Table {
            logical_id: resource.logical_id.clone(),
            name: resource.physical_id.clone(),
            properties,
        })
        .collect())
}

pub(super) async fn create(config: &SdkConfig, tables: &[Table]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    try_join_all(tables.iter().map(|table| create_one(&client, table))).await.map(drop)
}

async fn create_one(client: &Client, table: &Table) -> Result<(), ResourceError> {
    let Table { logical_id, name, properties } = table;
    let unfit = |error: BuildError| ResourceError::refused(logical_id, error);
    let stream = properties
        .stream_specification
        .as_ref()
        .map(|stream| {
            let view = stream.stream_view_type.as_str().into();
            StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()
        })
        .transpose()
        .map_err(unfit)?;
    let mut call = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(&properties.key_schema).map_err(unfit)?))
        .set_stream_specification(stream);
    for Attribute { attribute_name, attribute_type } in &properties.attribute_definitions {
        let attribute = AttributeDefinition::builder()
            .attribute_name(attribute_name)
            .attribute_type(attribute_type.as_str().into());
        call = call.attribute_definitions(attribute.build().map_err(unfit)?);
    }
    for index in &properties.global_secondary_indexes {
        let attributes = &index.projection.non_key_attributes;
        let projection = Projection::builder()
            .projection_type(index.projection.projection_type.as_str().into())
            .set_non_key_attributes((!attributes.is_empty()).then(|| attributes.clone()));
        let index = GlobalSecondaryIndex::builder()
            .index_name(&index.index_name)
            .set_key_schema(Some(key_schema(&index.key_schema).map_err(unfit)?))
            .projection(projection.build());
        call = call.global_secondary_indexes(index.build().map_err(unfit)?);
    }
    call.send().await.map_err(|error| ResourceError::refused(logical_id, error))?;

    if let Some(TimeToLive { attribute_name: Some(attribute), enabled: true }) =
        &properties.time_to_live_specification
    {
        let specification =
            TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
        let call = client.update_time_to_live().table_name(name);
        let call = call.time_to_live_specification(specification.map_err(unfit)?);
        call.send().await.map_err(|error| ResourceError::refused(logical_id, error))?;
    }
    Ok(())
}

fn key_schema(keys: &[Key]) -> Result<Vec<KeySchemaElement>, BuildError> {
    keys.iter()
        .map(|Key { attribute_name, key_type }| {
            KeySchemaElement::builder()
                .attribute_name(attribute_name)
                .key_type(key_type.as_str().into())
                .build()
        })
        .collect()
}
