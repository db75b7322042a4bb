//! Result columns: which PostgreSQL types the service returns, and as what field. Any other is refused before
//! the statement runs, as `UnsupportedResultException`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Column, Row};

use crate::failure::Failure;
use crate::text;
use crate::wire::{
    Array, ColumnMetadata, DecimalReturnType, DoubleMember, Field, LongReturnType, ResultSetOptions,
};

#[derive(Debug, Clone, Copy)]
enum Scalar {
    Boolean,
    Long,
    Double,
    Numeric,
    Text,
    Jsonb,
    Bytes,
    Date,
    Time,
    Timestamp,
    Uuid,
    Address,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    One(Scalar),
    Many(Scalar),
}

/// How each column of a result is read.
#[derive(Debug)]
pub(crate) struct Decoder {
    shapes: Vec<Shape>,
    options: ResultSetOptions,
}

struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Decoder {
    pub(crate) fn new(columns: &[Column], options: ResultSetOptions) -> Result<Self, Failure> {
        let shapes = columns.iter().map(|column| shape(column.type_())).collect::<Result<_, _>>()?;
        Ok(Self { shapes, options })
    }

    /// The fields of a row and how many bytes its values have.
    pub(crate) fn record(&self, row: &Row) -> Result<(Vec<Field>, usize), Failure> {
        let mut size = 0;
        let mut fields = Vec::with_capacity(self.shapes.len());
        for (index, shape) in self.shapes.iter().enumerate() {
            let raw: Option<Raw<'_>> = row.try_get(index)?;
            fields.push(match raw {
                None => Field::IsNull(true),
                Some(Raw(raw)) => {
                    size += raw.len();
                    self.field(*shape, raw).ok_or_else(Failure::internal)??
                }
            });
        }
        Ok((fields, size))
    }

    fn field(&self, shape: Shape, raw: &[u8]) -> Option<Result<Field, Failure>> {
        let scalar = match shape {
            Shape::One(scalar) => scalar,
            Shape::Many(scalar) => return array(scalar, raw).map(|array| array.map(Field::ArrayValue)),
        };
        Some(Ok(match scalar {
            Scalar::Boolean => Field::BooleanValue(raw == [1]),
            Scalar::Long => match self.options.long_return_type {
                Some(LongReturnType::String) => Field::StringValue(text::long(raw)?.to_string()),
                _ => Field::LongValue(text::long(raw)?),
            },
            Scalar::Double => Field::DoubleValue(text::double(raw)?),
            Scalar::Numeric => self.numeric(text::numeric(raw)?),
            Scalar::Bytes => Field::BlobValue(STANDARD.encode(raw)),
            other => Field::StringValue(string(other, raw)?),
        }))
    }

    fn numeric(&self, text: String) -> Field {
        if self.options.decimal_return_type != Some(DecimalReturnType::DoubleOrLong) {
            return Field::StringValue(text);
        }
        match text.parse() {
            Ok(long) => Field::LongValue(long),
            Err(_) => text.parse().map_or(Field::StringValue(text), Field::DoubleValue),
        }
    }
}

fn scalar(type_: &Type) -> Option<Scalar> {
    Some(match *type_ {
        Type::BOOL => Scalar::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 => Scalar::Long,
        Type::FLOAT4 | Type::FLOAT8 => Scalar::Double,
        Type::NUMERIC => Scalar::Numeric,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => Scalar::Text,
        Type::JSONB => Scalar::Jsonb,
        Type::BYTEA => Scalar::Bytes,
        Type::DATE => Scalar::Date,
        Type::TIME => Scalar::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Scalar::Timestamp,
        Type::UUID => Scalar::Uuid,
        Type::INET | Type::CIDR => Scalar::Address,
        _ => return matches!(type_.kind(), Kind::Enum(_)).then_some(Scalar::Text),
    })
}

fn shape(type_: &Type) -> Result<Shape, Failure> {
    let shape = match type_.kind() {
        Kind::Array(member) => match *member {
            Type::BYTEA | Type::JSONB | Type::TIMESTAMPTZ | Type::INET | Type::CIDR => None,
            _ if matches!(member.kind(), Kind::Enum(_)) => None,
            _ => scalar(member).map(Shape::Many),
        },
        _ => scalar(type_).map(Shape::One),
    };
    shape.ok_or_else(|| Failure::unsupported_result(type_.name()))
}

fn string(scalar: Scalar, raw: &[u8]) -> Option<String> {
    match scalar {
        // The first byte of binary jsonb is its version.
        Scalar::Jsonb => string(Scalar::Text, raw.get(1..)?),
        Scalar::Numeric => text::numeric(raw),
        Scalar::Date => text::date(raw),
        Scalar::Time => text::time(raw),
        Scalar::Timestamp => text::timestamp(raw),
        Scalar::Uuid => uuid::Uuid::from_slice(raw).ok().map(|uuid| uuid.to_string()),
        Scalar::Address => text::address(raw),
        _ => String::from_utf8(raw.to_vec()).ok(),
    }
}

fn array(scalar: Scalar, raw: &[u8]) -> Option<Result<Array, Failure>> {
    let word = |at: usize| raw.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes);
    let (dimensions, mut at) = (word(0)?, 20);
    let count = match dimensions {
        0 => 0,
        1 => word(12)?,
        _ => return Some(Err(Failure::unsupported_result("multidimensional array"))),
    };
    let mut members = Vec::new();
    for _ in 0..count {
        let length = word(at)?;
        at += 4;
        members.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                at += length;
                Some(raw.get(at - length..at)?)
            }
        });
    }
    fn each<T>(members: &[Option<&[u8]>], read: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<Option<T>>> {
        members.iter().map(|member| member.map_or(Some(None), |raw| read(raw).map(Some))).collect()
    }
    Some(Ok(match scalar {
        Scalar::Boolean => Array::Booleans(each(&members, |raw| Some(raw == [1]))?),
        Scalar::Long => Array::Longs(each(&members, text::long)?),
        Scalar::Double => Array::Doubles(each(&members, |raw| text::double(raw).map(DoubleMember))?),
        other => Array::Strings(each(&members, |raw| string(other, raw))?),
    }))
}

/// What PostgreSQL tells of a column with a statement; the table's name and whether a column counts up are not
/// among it and stay empty.
pub(crate) fn metadata(column: &Column) -> ColumnMetadata {
    let type_ = column.type_();
    let typmod = column.type_modifier() - 4;
    let (precision, scale) = match *type_ {
        Type::NUMERIC if typmod >= 0 => (typmod >> 16, typmod & 0x7ff),
        Type::VARCHAR | Type::BPCHAR if typmod >= 0 => (typmod, 0),
        Type::TEXT | Type::VARCHAR => (i32::MAX, 0),
        Type::INT2 => (5, 0),
        Type::INT4 => (10, 0),
        Type::INT8 => (19, 0),
        Type::FLOAT4 => (8, 8),
        Type::FLOAT8 => (17, 17),
        _ => (0, 0),
    };
    ColumnMetadata {
        array_base_column_type: match type_.kind() {
            Kind::Array(member) => jdbc_type(member),
            _ => 0,
        },
        is_auto_increment: false,
        is_case_sensitive: matches!(*type_, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME),
        is_currency: false,
        is_signed: matches!(
            *type_,
            Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC
        ),
        label: column.name().to_owned(),
        name: column.name().to_owned(),
        nullable: 2,
        precision,
        scale,
        schema_name: String::new(),
        table_name: String::new(),
        type_code: jdbc_type(type_),
        type_name: type_.name().to_owned(),
    }
}

fn jdbc_type(type_: &Type) -> i32 {
    match *type_ {
        Type::BOOL => -7,
        Type::BYTEA => -2,
        Type::INT2 => 5,
        Type::INT4 => 4,
        Type::INT8 => -5,
        Type::FLOAT4 => 7,
        Type::FLOAT8 => 8,
        Type::NUMERIC => 2,
        Type::BPCHAR => 1,
        Type::TEXT | Type::VARCHAR | Type::NAME => 12,
        Type::DATE => 91,
        Type::TIME => 92,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => 93,
        _ => match type_.kind() {
            Kind::Array(_) => 2003,
            Kind::Enum(_) => 12,
            _ => 1111,
        },
    }
}
