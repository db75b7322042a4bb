//! Input coercion: variables and arguments become what resolvers receive, or an error in AppSync's words.
//! <https://spec.graphql.org/October2021/#sec-Coercing-Variable-Values>

use std::collections::HashSet;

use apollo_compiler::ast::{FieldDefinition, Value as Literal};
use apollo_compiler::executable::{Field, Operation};
use apollo_compiler::parser::SourceMap;
use apollo_compiler::schema::{ExtendedType, InputObjectType, Type};
use apollo_compiler::{Name, Node, Schema};
use serde_json::{Map, Number, Value};

use crate::error::{GraphqlError, Location};
use crate::scalars::AwsScalar;
use crate::schema::list_item;

/// Why a value is not of its type.
#[derive(Debug, PartialEq)]
enum Mismatch {
    /// Null for this non-null type.
    Null(String),
    /// A key that the input type lacks.
    UnknownField { field: String, input: String },
    /// A value of another kind, or one the scalar refuses.
    Invalid,
}

/// The operation's variables by the values the client sent.
pub(crate) fn variables(
    schema: &Schema,
    operation: &Operation,
    sources: &SourceMap,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, GraphqlError> {
    let mut coerced = Map::new();
    for definition in &operation.variables {
        let name = definition.name.as_str();
        let value = match (given.get(name), &definition.default_value) {
            (Some(value), _) => self::value(schema, &definition.ty, value),
            (None, Some(default)) => match literal(schema, &definition.ty, default, Some(&Map::new())) {
                Ok(Some(value)) => Ok(value),
                Ok(None) => continue,
                Err(mismatch) => Err(mismatch),
            },
            (None, None) if definition.ty.is_non_null() => Err(Mismatch::Null(definition.ty.to_string())),
            (None, None) => continue,
        };
        let value = value.map_err(|mismatch| GraphqlError::Validation {
            locations: Location::of(definition.location(), sources),
            message: match mismatch {
                Mismatch::Null(ty) => format!("Variable '{name}' has coerced Null value for NonNull type '{ty}'"),
                Mismatch::UnknownField { field, input } => format!(
                    "The variables input contains a field name '{field}' that is not defined for input object type '{input}' "
                ),
                Mismatch::Invalid => format!("Variable '{name}' has an invalid value."),
            },
        })?;
        coerced.insert(name.to_owned(), value);
    }
    Ok(coerced)
}

/// A field's arguments. The message of an error is for the client.
pub(crate) fn arguments(
    schema: &Schema,
    definition: &FieldDefinition,
    field: &Field,
    variables: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut coerced = Map::new();
    for argument in &definition.arguments {
        let given = field.arguments.iter().find(|given| given.name == argument.name);
        let value = match given {
            Some(given) => literal(schema, &argument.ty, &given.value, Some(variables)),
            None => Ok(None),
        };
        let value = match (value, &argument.default_value) {
            (Ok(None), Some(default)) => literal(schema, &argument.ty, default, Some(variables)),
            (value, _) => value,
        };
        match value {
            Ok(Some(value)) => {
                coerced.insert(argument.name.to_string(), value);
            }
            Ok(None) if argument.ty.is_non_null() => {
                return Err(null_argument(&argument.name, &argument.ty.to_string()));
            }
            Ok(None) => {}
            Err(Mismatch::Null(ty)) => return Err(null_argument(&argument.name, &ty)),
            Err(_) => return Err(format!("Argument '{}' has an invalid value.", argument.name)),
        }
    }
    Ok(coerced)
}

fn null_argument(name: &str, ty: &str) -> String {
    format!("Argument '{name}' has coerced Null value for NonNull type '{ty}'")
}

/// The first argument whose literal value its scalar refuses: `(argument, literal, type)`. Validation proper knows
/// only GraphQL's own scalars.
pub(crate) fn refused_literal<'a>(
    schema: &Schema,
    field: &'a Field,
) -> Option<(&'a str, &'a Node<Literal>, String)> {
    field.arguments.iter().find_map(|given| {
        let definition = field.definition.argument_by_name(&given.name)?;
        literal(schema, &definition.ty, &given.value, None)
            .is_err()
            .then(|| (given.name.as_str(), &given.value, definition.ty.inner_named_type().to_string()))
    })
}

/// The first key that an object among a field's literal arguments has twice, and the argument. The compiler lets it
/// pass.
pub(crate) fn repeated_key(field: &Field) -> Option<(&Name, &Node<Literal>)> {
    field.arguments.iter().find_map(|given| Some((repeated(&given.value)?, &given.value)))
}

fn repeated(literal: &Literal) -> Option<&Name> {
    match literal {
        Literal::List(items) => items.iter().find_map(|item| repeated(item)),
        Literal::Object(fields) => {
            let mut seen = HashSet::new();
            let twice = fields.iter().map(|(key, _)| key).find(|key| !seen.insert(*key));
            twice.or_else(|| fields.iter().find_map(|(_, value)| repeated(value)))
        }
        _ => None,
    }
}

fn value(schema: &Schema, ty: &Type, given: &Value) -> Result<Value, Mismatch> {
    if given.is_null() {
        return if ty.is_non_null() { Err(Mismatch::Null(ty.to_string())) } else { Ok(Value::Null) };
    }
    if let Some(item) = list_item(ty) {
        return match given {
            Value::Array(items) => items.iter().map(|given| value(schema, item, given)).collect(),
            single => Ok(Value::Array(vec![value(schema, item, single)?])),
        };
    }
    let name = ty.inner_named_type();
    match schema.types.get(name) {
        Some(ExtendedType::InputObject(input)) => {
            let fields = given.as_object().ok_or(Mismatch::Invalid)?;
            if let Some(field) = fields.keys().find(|key| !input.fields.contains_key(key.as_str())) {
                return Err(Mismatch::UnknownField { field: field.clone(), input: name.to_string() });
            }
            input_object(schema, input, |field, ty| {
                fields.get(field).map(|given| value(schema, ty, given)).transpose()
            })
        }
        Some(ExtendedType::Enum(definition)) => {
            let known = given.as_str().is_some_and(|text| definition.values.contains_key(text));
            if known { Ok(given.clone()) } else { Err(Mismatch::Invalid) }
        }
        Some(ExtendedType::Scalar(_)) => scalar(name, given).ok_or(Mismatch::Invalid),
        _ => Err(Mismatch::Invalid),
    }
}

/// `Ok(None)` for a variable that has no value. Without `variables` every variable counts as that: only what the
/// document itself says is judged.
fn literal(
    schema: &Schema,
    ty: &Type,
    given: &Literal,
    variables: Option<&Map<String, Value>>,
) -> Result<Option<Value>, Mismatch> {
    match given {
        Literal::Variable(name) => {
            let value = variables.and_then(|variables| variables.get(name.as_str()));
            return match value {
                Some(Value::Null) if ty.is_non_null() => Err(Mismatch::Null(ty.to_string())),
                Some(value) => Ok(Some(value.clone())),
                None => Ok(None),
            };
        }
        Literal::Null if ty.is_non_null() => return Err(Mismatch::Null(ty.to_string())),
        Literal::Null => return Ok(Some(Value::Null)),
        _ => {}
    }
    if let Some(item) = list_item(ty) {
        let single = std::slice::from_ref(given);
        let items: Vec<&Literal> = match given {
            Literal::List(items) => items.iter().map(|item| &**item).collect(),
            _ => single.iter().collect(),
        };
        let items = items.into_iter().map(|given| {
            // A variable without a value is null inside a list, where nothing can be left out.
            Ok(literal(schema, item, given, variables)?.unwrap_or(Value::Null))
        });
        return Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)));
    }
    let name = ty.inner_named_type();
    let coerced = match (schema.types.get(name), given) {
        (Some(ExtendedType::InputObject(input)), Literal::Object(fields)) => {
            let judged =
                input_object(schema, input, |field, ty| match fields.iter().find(|(key, _)| key == field) {
                    Some((_, given)) => match literal(schema, ty, given, variables)? {
                        // Judging the document alone, a variable may still bring what the type demands.
                        None if variables.is_none() => Ok(Some(Value::Null)),
                        value => Ok(value),
                    },
                    None => Ok(None),
                })?;
            Some(judged)
        }
        (Some(ExtendedType::Enum(definition)), Literal::Enum(member)) => {
            definition.values.contains_key(member).then(|| Value::from(member.as_str()))
        }
        (Some(ExtendedType::Scalar(_)), given) => plain(given).and_then(|value| scalar(name, &value)),
        _ => None,
    };
    coerced.map(Some).ok_or(Mismatch::Invalid)
}

fn input_object(
    schema: &Schema,
    input: &InputObjectType,
    mut given: impl FnMut(&str, &Type) -> Result<Option<Value>, Mismatch>,
) -> Result<Value, Mismatch> {
    let mut coerced = Map::new();
    for (name, field) in &input.fields {
        let value = match (given(name, &field.ty)?, &field.default_value) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => literal(schema, &field.ty, default, Some(&Map::new()))?,
            (None, None) if field.ty.is_non_null() => return Err(Mismatch::Null(field.ty.to_string())),
            (None, None) => None,
        };
        if let Some(value) = value {
            coerced.insert(name.to_string(), value);
        }
    }
    Ok(Value::Object(coerced))
}

fn scalar(name: &str, given: &Value) -> Option<Value> {
    match name {
        "Int" => given.as_i64().filter(|number| i32::try_from(*number).is_ok()).map(Value::from),
        "Float" => given.is_number().then(|| given.clone()),
        "String" => given.is_string().then(|| given.clone()),
        "Boolean" => given.is_boolean().then(|| given.clone()),
        "ID" => match given {
            Value::String(_) => Some(given.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                Some(Value::String(number.to_string()))
            }
            _ => None,
        },
        name => match AwsScalar::named(name) {
            Some(scalar) => scalar.input(given),
            None => Some(given.clone()),
        },
    }
}

fn plain(literal: &Literal) -> Option<Value> {
    Some(match literal {
        Literal::Null => Value::Null,
        Literal::Variable(_) => return None,
        Literal::Enum(name) => Value::from(name.as_str()),
        Literal::String(text) => Value::from(text.as_str()),
        Literal::Boolean(truth) => Value::Bool(*truth),
        Literal::Int(number) => Value::Number(number.as_str().parse::<Number>().ok()?),
        Literal::Float(number) => Value::Number(number.as_str().parse::<Number>().ok()?),
        Literal::List(items) => items.iter().map(|item| plain(item)).collect::<Option<_>>()?,
        Literal::Object(fields) => fields
            .iter()
            .map(|(name, value)| Some((name.to_string(), plain(value)?)))
            .collect::<Option<Map<_, _>>>()?
            .into(),
    })
}
