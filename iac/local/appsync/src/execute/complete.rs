//! From what a resolver returned to what the client gets: types checked, nulls moved up, fields in order.
//! <https://spec.graphql.org/October2021/#sec-Value-Completion>
//!
//! There are two ways through. A value under which no field can have a resolver is completed at once; the other way
//! is asynchronous and runs siblings side by side, which is what fills a batch.

use apollo_compiler::Name;
use apollo_compiler::executable::Field;
use apollo_compiler::schema::{ExtendedType, Type};
use futures::future::{BoxFuture, FutureExt, join_all};
use serde_json::Value;

use super::collect::Collected;
use super::path::Path;
use super::{CompletedField, Execution, Nulled, Object, Output, Subscribed};
use crate::coercion;
use crate::error::{Failure, GraphqlError};
use crate::scalars::AwsScalar;
use crate::schema::{FieldRule, list_item};

/// The field a value is completed for.
#[derive(Clone, Copy)]
struct Target<'s> {
    parent: &'s str,
    fields: &'s [&'s Field],
}

impl Execution<'_> {
    /// Completes an object whose fields may have resolvers.
    pub(super) async fn object(
        &self,
        object: &Name,
        source: &Value,
        fields: &Collected<'_>,
        path: Path<'_>,
    ) -> Result<Object, Nulled> {
        let path = &path;
        let completing = fields.iter().map(|(key, fields)| self.field(object, source, key, fields, *path));
        let completed = join_all(completing).await;
        Ok(Object { type_name: object.clone(), fields: completed.into_iter().collect::<Result<_, _>>()? })
    }

    /// Completes one field, by its resolver if it has one.
    pub(super) async fn field(
        &self,
        object: &Name,
        source: &Value,
        key: &Name,
        fields: &[&Field],
        path: Path<'_>,
    ) -> Result<CompletedField, Nulled> {
        let field = fields[0];
        let here = path.key(key);
        let value = match self.rule(object, field) {
            None => Output::Leaf(Value::from(object.as_str())),
            Some(rule) => {
                let target = Target { parent: object, fields };
                let completed = match rule.resolver {
                    _ if self.refused(rule, object, field, here) => Err(Nulled),
                    Some(resolver) => match self.resolved(resolver, rule, source, target, here).await {
                        Ok(value) => self.value(&rule.definition.ty, &value, target, here).await,
                        Err(failure) => {
                            self.record_failure(*failure, field, here);
                            Err(Nulled)
                        }
                    },
                    None => self.value(&rule.definition.ty, property(source, field), target, here).await,
                };
                nullable(&rule.definition.ty, completed)?
            }
        };
        Ok(CompletedField { key: key.clone(), name: field.name.clone(), value })
    }

    pub(super) async fn subscribe(&self) -> Result<Subscribed, Nulled> {
        let operation = self.inputs.operation;
        let object = operation.object_type();
        let fields = self.collector().root_fields(object, &operation.selection_set.selections);
        let Some((key, fields)) = fields.first() else { return Err(Nulled) };
        let field = fields[0];
        let path = Path::ROOT;
        let here = path.key(key);
        let Some(rule) = self.rule(object, field) else { return Err(Nulled) };
        if self.refused(rule, object, field, here) {
            return Err(Nulled);
        }
        let schema = &self.executor.definition.schema.valid;
        let arguments = match coercion::arguments(schema, &rule.definition, field, &self.inputs.variables) {
            Ok(arguments) => arguments,
            Err(message) => {
                self.record_failure(Failure::new("ValidationError", message), field, here);
                return Err(Nulled);
            }
        };
        if let Some(resolver) = rule.resolver
            && let Err(failure) = self.resolve(resolver, &arguments, &Value::Null, object, fields, here).await
        {
            self.record_failure(*failure, field, here);
            return Err(Nulled);
        }
        Ok(Subscribed { field: field.name.clone(), arguments })
    }

    async fn resolved(
        &self,
        resolver: usize,
        rule: &FieldRule,
        source: &Value,
        target: Target<'_>,
        path: Path<'_>,
    ) -> Result<Value, Box<Failure>> {
        let field = target.fields[0];
        let schema = &self.executor.definition.schema.valid;
        let arguments = coercion::arguments(schema, &rule.definition, field, &self.inputs.variables)
            .map_err(|message| Box::new(Failure::new("ValidationError", message)))?;
        self.resolve(resolver, &arguments, source, target.parent, target.fields, path).await
    }

    fn value<'b>(
        &'b self,
        ty: &'b Type,
        value: &'b Value,
        target: Target<'b>,
        path: Path<'b>,
    ) -> BoxFuture<'b, Result<Output, Nulled>> {
        if !self.executor.definition.schema.needs_resolvers(ty.inner_named_type()) {
            return std::future::ready(self.value_now(ty, value, target, path)).boxed();
        }
        async move {
            if value.is_null() {
                return self.null(ty, target, path);
            }
            if let Some(item) = list_item(ty) {
                let Value::Array(items) = value else { return self.not_a_list(path) };
                let path = &path;
                let completing = items.iter().enumerate().map(|(index, value)| async move {
                    nullable(item, self.value(item, value, target, path.index(index)).await)
                });
                let completed: Result<_, _> = join_all(completing).await.into_iter().collect();
                return Ok(Output::List(completed?));
            }
            let object = self.concrete(ty, value, target, path)?;
            let fields = self.collector().sub_fields(&object, target.fields);
            Ok(Output::Object(self.object(&object, value, &fields, path).await?))
        }
        .boxed()
    }

    /// Completes an object from its source alone.
    pub(super) fn object_now(
        &self,
        object: &Name,
        source: &Value,
        fields: &Collected<'_>,
        path: Path<'_>,
    ) -> Result<Object, Nulled> {
        let completed = fields.iter().map(|(key, fields)| {
            let field = fields[0];
            let here = path.key(key);
            let value = match self.rule(object, field) {
                None => Output::Leaf(Value::from(object.as_str())),
                Some(rule) => {
                    let completed = if self.refused(rule, object, field, here) {
                        Err(Nulled)
                    } else {
                        let target = Target { parent: object, fields };
                        self.value_now(&rule.definition.ty, property(source, field), target, here)
                    };
                    nullable(&rule.definition.ty, completed)?
                }
            };
            Ok(CompletedField { key: (*key).clone(), name: field.name.clone(), value })
        });
        Ok(Object { type_name: object.clone(), fields: completed.collect::<Result<_, _>>()? })
    }

    fn value_now(
        &self,
        ty: &Type,
        value: &Value,
        target: Target<'_>,
        path: Path<'_>,
    ) -> Result<Output, Nulled> {
        if value.is_null() {
            return self.null(ty, target, path);
        }
        if let Some(item) = list_item(ty) {
            let Value::Array(items) = value else { return self.not_a_list(path) };
            let completed = items
                .iter()
                .enumerate()
                .map(|(index, value)| nullable(item, self.value_now(item, value, target, path.index(index))));
            return Ok(Output::List(completed.collect::<Result<_, _>>()?));
        }
        if target.fields[0].selection_set.selections.is_empty() {
            return self.leaf(ty.inner_named_type(), value, path);
        }
        let object = self.concrete(ty, value, target, path)?;
        let fields = self.collector().sub_fields(&object, target.fields);
        Ok(Output::Object(self.object_now(&object, value, &fields, path)?))
    }

    /// `None` for `__typename`, the one field that is in no type.
    fn rule(&self, object: &Name, field: &Field) -> Option<&FieldRule> {
        self.executor.definition.schema.field(object, &field.name)
    }

    fn refused(&self, rule: &FieldRule, object: &str, field: &Field, path: Path<'_>) -> bool {
        let refused = !self.inputs.caller.may_read(rule.modes, object, &field.name);
        if refused {
            self.record_failure(Failure::unauthorized(&field.name, object), field, path);
        }
        refused
    }

    fn null(&self, ty: &Type, target: Target<'_>, path: Path<'_>) -> Result<Output, Nulled> {
        if !ty.is_non_null() {
            return Ok(Output::Null);
        }
        let name = ty.inner_named_type();
        let message = format!(
            "Cannot return null for non-nullable type: '{name}' within parent '{}' ({path})",
            target.parent
        );
        self.incomplete(path, message)
    }

    fn not_a_list(&self, path: Path<'_>) -> Result<Output, Nulled> {
        self.incomplete(
            path,
            format!("Can't resolve value ({path}) : type mismatch error, expected type LIST"),
        )
    }

    /// The object type of `value`: the field's own, or what the value's `__typename` says of an abstract one.
    fn concrete(&self, ty: &Type, value: &Value, target: Target<'_>, path: Path<'_>) -> Result<Name, Nulled> {
        let schema = &self.executor.definition.schema;
        let name = ty.inner_named_type();
        if schema.has_object(name) {
            return Ok(name.clone());
        }
        let claimed = value.get("__typename").and_then(Value::as_str).unwrap_or_default();
        match schema.valid.get_object(claimed) {
            Some(object) if schema.is_a(claimed, name) => Ok(object.name.clone()),
            _ => {
                let field = &target.fields[0].name;
                let message = format!(
                    "Abstract type '{name}' must resolve to an Object type at runtime for field '{}.{field}'. \
                     Could not determine the exact type of '{name}'",
                    target.parent
                );
                self.incomplete(path, message)
            }
        }
    }

    fn leaf(&self, name: &Name, value: &Value, path: Path<'_>) -> Result<Output, Nulled> {
        let completed = match self.executor.definition.schema.valid.types.get(name) {
            Some(ExtendedType::Enum(definition)) => match value.as_str() {
                Some(member) if definition.values.contains_key(member) => Ok(value.clone()),
                _ => Err(format!(
                    "Invalid input for Enum '{name}'. No value found for name '{}'",
                    shown(value)
                )),
            },
            _ => scalar(name, value),
        };
        match completed {
            Ok(value) => Ok(Output::Leaf(value)),
            Err(fault) => self.incomplete(path, format!("Can't serialize value ({path}) : {fault}")),
        }
    }

    fn incomplete<T>(&self, path: Path<'_>, message: String) -> Result<T, Nulled> {
        self.record(GraphqlError::Completion { path: path.to_vec(), message });
        Err(Nulled)
    }
}

fn property<'v>(source: &'v Value, field: &Field) -> &'v Value {
    source.get(field.name.as_str()).unwrap_or(&Value::Null)
}

/// Stops a null that its type allows.
fn nullable(ty: &Type, completed: Result<Output, Nulled>) -> Result<Output, Nulled> {
    match completed {
        Err(Nulled) if !ty.is_non_null() => Ok(Output::Null),
        completed => completed,
    }
}

/// As graphql-java serialises: numbers and truth values become text where text is asked for, and nothing else bends.
fn scalar(name: &str, value: &Value) -> Result<Value, String> {
    let expected = |name: &str| format!("Expected type '{name}' but was '{}'.", kind(value));
    match (name, value) {
        ("Int", Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| {
                // 16.0 is a whole number to a JavaScript that wrote it.
                let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 4e9)?;
                format!("{float:.0}").parse().ok()
            });
            whole
                .filter(|whole| i32::try_from(*whole).is_ok())
                .map(Value::from)
                .ok_or_else(|| "Expected value to be in the Integer range.".to_owned())
        }
        ("Float", Value::Number(number)) => number.as_f64().map(Value::from).ok_or_else(|| expected("Float")),
        ("String", Value::String(_)) | ("Boolean", Value::Bool(_)) | ("ID", Value::String(_)) => {
            Ok(value.clone())
        }
        ("String", Value::Number(_) | Value::Bool(_)) => Ok(Value::String(value.to_string())),
        ("ID", Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(Value::String(number.to_string()))
        }
        ("Int" | "Float" | "String" | "Boolean" | "ID", _) => Err(expected(name)),
        _ => match AwsScalar::named(name) {
            Some(scalar) => scalar.output(value).ok_or_else(|| {
                format!("Unable to serialize `{}` as a valid {} Object.", shown(value), scalar.noun())
            }),
            None => Ok(value.clone()),
        },
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "List",
        Value::Object(_) => "Map",
    }
}
