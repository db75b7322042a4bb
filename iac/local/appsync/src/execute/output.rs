//! A completed result, its fields in the order the client asked for them.

use apollo_compiler::Name;
use apollo_compiler::response::JsonValue;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// A completed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    Null,
    /// A scalar or an enum's member.
    Leaf(Value),
    List(Vec<Output>),
    Object(Object),
}

/// A completed object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    pub(crate) type_name: Name,
    pub(crate) fields: Vec<CompletedField>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompletedField {
    /// The response key: the alias if there is one.
    pub(crate) key: Name,
    pub(crate) name: Name,
    pub(crate) value: Output,
}

impl Output {
    /// The value as a resolver would have returned it: by field name, not alias. A subscription reads from this
    /// what the mutation selected.
    pub(crate) fn to_source(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Leaf(value) => value.clone(),
            Self::List(items) => items.iter().map(Self::to_source).collect(),
            Self::Object(object) => {
                let fields =
                    object.fields.iter().map(|field| (field.name.to_string(), field.value.to_source()));
                let type_name = ("__typename".to_owned(), Value::from(object.type_name.as_str()));
                Value::Object(fields.chain([type_name]).collect())
            }
        }
    }

    /// The compiler's own execution of introspection, which never meets a resolver.
    pub(crate) fn introspected(value: JsonValue) -> Self {
        match value {
            JsonValue::Null => Self::Null,
            JsonValue::Array(items) => Self::List(items.into_iter().map(Self::introspected).collect()),
            JsonValue::Object(fields) => Self::Object(Object {
                type_name: apollo_compiler::name!("__Introspection"),
                fields: fields
                    .into_iter()
                    .map(|(key, value)| {
                        let key = Name::new_unchecked(key.as_str());
                        CompletedField { name: key.clone(), key, value: Self::introspected(value) }
                    })
                    .collect(),
            }),
            JsonValue::Bool(truth) => Self::Leaf(Value::Bool(truth)),
            JsonValue::Number(number) => Self::Leaf(Value::Number(number)),
            JsonValue::String(text) => Self::Leaf(Value::from(text.as_str())),
        }
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Leaf(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for field in &self.fields {
            map.serialize_entry(field.key.as_str(), &field.value)?;
        }
        map.end()
    }
}
