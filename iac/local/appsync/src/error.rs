//! The errors a client reads, in AppSync's shapes. A field error, a validation error and a request error differ
//! in which keys they have, not only in their values; clients match on that.

use std::sync::Arc;

use apollo_compiler::parser::{SourceMap, SourceSpan};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// One step of the way to the field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// A response key.
    Key(String),
    /// A place in a list, from 0.
    Index(usize),
}

/// A place in the request's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Always null, as AppSync's is.
    pub source_name: Option<()>,
}

impl Location {
    pub(crate) fn of(span: Option<SourceSpan>, sources: &SourceMap) -> Vec<Self> {
        span.and_then(|span| span.line_column(sources))
            .map(|place| Self { line: place.line, column: place.column, source_name: None })
            .into_iter()
            .collect()
    }
}

/// One entry of a response's `errors`.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphqlError {
    /// The request never ran: `{errorType, message}` under an HTTP status of its own.
    Request {
        /// `UnauthorizedException`, `MalformedHttpRequestException`, …
        error_type: &'static str,
        /// For people.
        message: String,
    },
    /// The document or a variable is invalid: `{path: null, locations, message}`.
    Validation {
        /// Where in the document.
        locations: Vec<Location>,
        /// `Validation error of type FieldUndefined: …`
        message: String,
    },
    /// A value could not be given its schema type: `{path, locations: null, message}`.
    Completion {
        /// The field.
        path: Vec<PathSegment>,
        /// `Cannot return null for non-nullable type: …`
        message: String,
    },
    /// A resolver failed or was refused: all of `{path, data, errorType, errorInfo, locations, message}`.
    Field(Box<FieldError>),
}

/// A field error's whole content.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The field.
    pub path: Vec<PathSegment>,
    /// Where in the document.
    pub locations: Vec<Location>,
    /// What the resolver said of it.
    pub failure: Failure,
}

/// What a resolver says when it fails, before the field it failed for is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// `Lambda:Unhandled`, `Unauthorized`, or what `util.error` was given.
    pub error_type: Option<String>,
    /// For people.
    pub message: String,
    /// `util.error`'s third argument.
    pub data: Value,
    /// `util.error`'s fourth argument.
    pub info: Value,
}

impl Failure {
    pub(crate) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self {
            error_type: Some(error_type.to_owned()),
            message: message.into(),
            data: Value::Null,
            info: Value::Null,
        }
    }

    pub(crate) fn unauthorized(field: &str, parent: &str) -> Self {
        Self::new("Unauthorized", format!("Not Authorized to access {field} on type {parent}"))
    }
}

impl GraphqlError {
    /// `errorType`, where the shape has one.
    pub fn error_type(&self) -> Option<&str> {
        match self {
            Self::Request { error_type, .. } => Some(error_type),
            Self::Field(error) => error.failure.error_type.as_deref(),
            Self::Validation { .. } | Self::Completion { .. } => None,
        }
    }

    /// `message`.
    pub fn message(&self) -> &str {
        match self {
            Self::Request { message, .. }
            | Self::Validation { message, .. }
            | Self::Completion { message, .. } => message,
            Self::Field(error) => &error.failure.message,
        }
    }
}

impl Serialize for GraphqlError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Request { error_type, .. } => map.serialize_entry("errorType", error_type)?,
            Self::Validation { locations, .. } => {
                map.serialize_entry("path", &())?;
                map.serialize_entry("locations", locations)?;
            }
            Self::Completion { path, .. } => {
                map.serialize_entry("path", path)?;
                map.serialize_entry("locations", &())?;
            }
            Self::Field(error) => {
                map.serialize_entry("path", &error.path)?;
                map.serialize_entry("data", &error.failure.data)?;
                map.serialize_entry("errorType", &error.failure.error_type)?;
                map.serialize_entry("errorInfo", &error.failure.info)?;
                map.serialize_entry("locations", &error.locations)?;
            }
        }
        map.serialize_entry("message", self.message())?;
        map.end()
    }
}

/// Why a request was refused before any field ran: its HTTP status and its errors.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// 200 for a document that does not validate, as AppSync has it.
    pub status: u16,
    /// At least one.
    pub errors: Arc<[GraphqlError]>,
}

impl Refusal {
    pub(crate) fn request(status: u16, error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status, errors: Arc::new([GraphqlError::Request { error_type, message: message.into() }]) }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::request(401, "UnauthorizedException", "You are not authorized to make this call.")
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::request(400, "MalformedHttpRequestException", message)
    }

    pub(crate) fn validation(errors: Vec<GraphqlError>) -> Self {
        Self { status: 200, errors: errors.into() }
    }
}
