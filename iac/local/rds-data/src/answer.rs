//! What `ExecuteStatement` answers: records of fields, or rows of plain JSON.

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use tokio_postgres::Statement;

use crate::decode::metadata;
use crate::failure::Failure;
use crate::wire::{Array, DoubleMember, ExecuteStatementResponse, Field, RecordsFormat};

const MAX_FORMATTED: usize = 10 * 1024 * 1024;

/// What a statement gave.
pub(crate) struct Output {
    /// `None` for several statements at once, which give nothing back.
    pub(crate) statement: Option<Statement>,
    pub(crate) records: Vec<Vec<Field>>,
    pub(crate) updated: u64,
}

/// A statement with columns has updated nothing, in the service's eyes: `INSERT … RETURNING` gives records and
/// a count of 0.
pub(crate) fn answer(
    output: Output,
    with_metadata: bool,
    format: Option<RecordsFormat>,
) -> Result<ExecuteStatementResponse, Failure> {
    let columns = output.statement.as_ref().map(Statement::columns).unwrap_or_default();
    if columns.is_empty() {
        return Ok(ExecuteStatementResponse {
            number_of_records_updated: output.updated,
            generated_fields: Some([]),
            ..ExecuteStatementResponse::default()
        });
    }
    if format != Some(RecordsFormat::Json) {
        return Ok(ExecuteStatementResponse {
            column_metadata: with_metadata.then(|| columns.iter().map(metadata).collect()),
            records: Some(output.records),
            ..ExecuteStatementResponse::default()
        });
    }
    let names: Vec<&str> = columns.iter().map(tokio_postgres::Column::name).collect();
    if let Some(twice) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        return Err(Failure::bad_request(format!(
            "Duplicate column name \"{}\" in JSON formatted records",
            twice.1
        )));
    }
    let formatted = serde_json::to_string(&Formatted { names: &names, records: &output.records });
    let formatted = formatted.map_err(|_| Failure::internal())?;
    if formatted.len() > MAX_FORMATTED {
        return Err(Failure::bad_request("Database response exceeded size limit"));
    }
    Ok(ExecuteStatementResponse { formatted_records: Some(formatted), ..ExecuteStatementResponse::default() })
}

/// `[{"column": value, …}, …]`, the columns in the order of the result.
struct Formatted<'a> {
    names: &'a [&'a str],
    records: &'a [Vec<Field>],
}

impl Serialize for Formatted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.records.len()))?;
        for record in self.records {
            rows.serialize_element(&FormattedRow { names: self.names, record })?;
        }
        rows.end()
    }
}

struct FormattedRow<'a> {
    names: &'a [&'a str],
    record: &'a [Field],
}

impl Serialize for FormattedRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(self.names.len()))?;
        for (name, field) in self.names.iter().zip(self.record) {
            match field {
                Field::IsNull(_) => row.serialize_entry(name, &())?,
                Field::BooleanValue(value) => row.serialize_entry(name, value)?,
                Field::LongValue(value) => row.serialize_entry(name, value)?,
                Field::DoubleValue(value) => row.serialize_entry(name, &DoubleMember(*value))?,
                Field::StringValue(value) | Field::BlobValue(value) => row.serialize_entry(name, value)?,
                Field::ArrayValue(Array::Booleans(values)) => row.serialize_entry(name, values)?,
                Field::ArrayValue(Array::Longs(values)) => row.serialize_entry(name, values)?,
                Field::ArrayValue(Array::Doubles(values)) => row.serialize_entry(name, values)?,
                Field::ArrayValue(Array::Strings(values)) => row.serialize_entry(name, values)?,
            }
        }
        row.end()
    }
}
