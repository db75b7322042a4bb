//! A call's parameters as PostgreSQL gets them: each with the type that its kind of value, or its hint, declares.
//! A string without a hint is `text`, so `uuid_column = :id` fails here as it does on Aurora.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::failure::Failure;
use crate::wire::{Given, SqlParameter, TypeHint};

/// A parameter ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// `UNKNOWN` leaves it to PostgreSQL to infer.
    pub(crate) declared: Type,
    value: Datum,
}

#[derive(Debug, Clone)]
enum Datum {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Bound {
    /// Reads one parameter, giving its name with it.
    pub(crate) fn read(parameter: SqlParameter) -> Result<(String, Self), Failure> {
        let SqlParameter { name, value, type_hint } = parameter;
        let name = name.ok_or_else(|| Failure::validation("Parameter name isn't specified"))?;
        let (declared, value) = match value {
            Some(Given::IsNull(true)) => (type_hint.map_or(Type::UNKNOWN, declared), Datum::Null),
            Some(Given::BooleanValue(value)) => (Type::BOOL, Datum::Boolean(value)),
            Some(Given::LongValue(value)) => (Type::INT8, Datum::Long(value)),
            Some(Given::DoubleValue(value)) => (Type::FLOAT8, Datum::Double(value.into())),
            Some(Given::StringValue(text)) => {
                if let Some(hint) = type_hint {
                    check(&name, hint, &text)?;
                }
                (type_hint.map_or(Type::TEXT, declared), Datum::Text(text))
            }
            Some(Given::BlobValue(base64)) => {
                let bytes = STANDARD.decode(base64).map_err(|error| {
                    Failure::validation(format!(
                        "Parameter \"{name}\" has a blobValue that is no base64: {error}"
                    ))
                })?;
                (Type::BYTEA, Datum::Blob(bytes))
            }
            Some(Given::ArrayValue(_)) => {
                return Err(Failure::validation("Array parameters are not supported."));
            }
            Some(Given::IsNull(false)) | None => {
                return Err(Failure::bad_request(format!(
                    "Parameter \"{name}\" has value with no field set"
                )));
            }
        };
        Ok((name, Self { declared, value }))
    }
}

fn declared(hint: TypeHint) -> Type {
    match hint {
        TypeHint::Json => Type::JSON,
        TypeHint::Uuid => Type::UUID,
        TypeHint::Timestamp => Type::TIMESTAMP,
        TypeHint::Date => Type::DATE,
        TypeHint::Time => Type::TIME,
        TypeHint::Decimal => Type::NUMERIC,
    }
}

/// The service takes dates and times in one documented form only, though PostgreSQL would take many.
fn check(name: &str, hint: TypeHint, text: &str) -> Result<(), Failure> {
    let (accepted, is_accepted) = match hint {
        TypeHint::Date => ("YYYY-MM-DD", NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()),
        TypeHint::Time => ("HH:MM:SS[.FFF]", NaiveTime::parse_from_str(text, "%H:%M:%S%.f").is_ok()),
        TypeHint::Timestamp => {
            ("YYYY-MM-DD HH:MM:SS[.FFF]", NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").is_ok())
        }
        TypeHint::Json | TypeHint::Uuid | TypeHint::Decimal => return Ok(()),
    };
    if is_accepted {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "Parameter \"{name}\" isn't in the format {accepted} that its type hint accepts"
    )))
}

impl ToSql for Bound {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.value {
            Datum::Null => return Ok(IsNull::Yes),
            Datum::Boolean(value) => out.extend_from_slice(&[u8::from(*value)]),
            Datum::Long(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Double(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
            Datum::Blob(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.value {
            Datum::Text(_) => Format::Text,
            _ => Format::Binary,
        }
    }

    tokio_postgres::types::to_sql_checked!();
}
