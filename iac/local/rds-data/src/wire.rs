//! The JSON of requests and responses, as the service's model names it.

use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecuteStatement {
    pub(crate) resource_arn: String,
    pub(crate) secret_arn: String,
    pub(crate) sql: String,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) parameters: Option<Vec<SqlParameter>>,
    pub(crate) include_result_metadata: Option<bool>,
    pub(crate) continue_after_timeout: Option<bool>,
    pub(crate) format_records_as: Option<RecordsFormat>,
    pub(crate) result_set_options: Option<ResultSetOptions>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchExecuteStatement {
    pub(crate) resource_arn: String,
    pub(crate) secret_arn: String,
    pub(crate) sql: String,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) parameter_sets: Option<Vec<Vec<SqlParameter>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BeginTransaction {
    pub(crate) resource_arn: String,
    pub(crate) secret_arn: String,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndTransaction {
    pub(crate) resource_arn: String,
    pub(crate) secret_arn: String,
    pub(crate) transaction_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SqlParameter {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<Given>,
    pub(crate) type_hint: Option<TypeHint>,
}

/// A parameter's value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Given {
    IsNull(bool),
    BooleanValue(bool),
    LongValue(i64),
    DoubleValue(Double),
    StringValue(String),
    BlobValue(String),
    ArrayValue(serde::de::IgnoredAny),
}

/// A JSON number, or one of the names that stand for what JSON has no number for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Double {
    Finite(f64),
    Named(NamedDouble),
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum NamedDouble {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    MinusInfinity,
}

impl From<Double> for f64 {
    fn from(double: Double) -> Self {
        match double {
            Double::Finite(value) => value,
            Double::Named(NamedDouble::NaN) => f64::NAN,
            Double::Named(NamedDouble::Infinity) => f64::INFINITY,
            Double::Named(NamedDouble::MinusInfinity) => f64::NEG_INFINITY,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TypeHint {
    Json,
    Uuid,
    Timestamp,
    Date,
    Time,
    Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RecordsFormat {
    None,
    Json,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultSetOptions {
    pub(crate) decimal_return_type: Option<DecimalReturnType>,
    pub(crate) long_return_type: Option<LongReturnType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DecimalReturnType {
    String,
    DoubleOrLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum LongReturnType {
    String,
    Long,
}

/// A value of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Field {
    IsNull(bool),
    BooleanValue(bool),
    LongValue(i64),
    #[serde(serialize_with = "double")]
    DoubleValue(f64),
    StringValue(String),
    BlobValue(String),
    ArrayValue(Array),
}

/// An array of one dimension; its members may be null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) enum Array {
    #[serde(rename = "booleanValues")]
    Booleans(Vec<Option<bool>>),
    #[serde(rename = "longValues")]
    Longs(Vec<Option<i64>>),
    #[serde(rename = "doubleValues")]
    Doubles(Vec<Option<DoubleMember>>),
    #[serde(rename = "stringValues")]
    Strings(Vec<Option<String>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct DoubleMember(#[serde(serialize_with = "double")] pub(crate) f64);

fn double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else if value.is_nan() {
        serializer.serialize_str("NaN")
    } else {
        serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ColumnMetadata {
    pub(crate) array_base_column_type: i32,
    pub(crate) is_auto_increment: bool,
    pub(crate) is_case_sensitive: bool,
    pub(crate) is_currency: bool,
    pub(crate) is_signed: bool,
    pub(crate) label: String,
    pub(crate) name: String,
    pub(crate) nullable: i32,
    pub(crate) precision: i32,
    pub(crate) scale: i32,
    pub(crate) schema_name: String,
    pub(crate) table_name: String,
    /// A `java.sql.Types` code.
    #[serde(rename = "type")]
    pub(crate) type_code: i32,
    pub(crate) type_name: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecuteStatementResponse {
    pub(crate) number_of_records_updated: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generated_fields: Option<[Field; 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<Vec<Vec<Field>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column_metadata: Option<Vec<ColumnMetadata>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) formatted_records: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchExecuteStatementResponse {
    pub(crate) update_results: Vec<UpdateResult>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateResult {
    pub(crate) generated_fields: [Field; 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BeginTransactionResponse {
    pub(crate) transaction_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndTransactionResponse {
    pub(crate) transaction_status: &'static str,
}
