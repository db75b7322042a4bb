//! The ways an operation fails, one variant for each thing a caller does about it. Every door turns them into
//! its own words last: a GraphQL `errorType` here, an HTTP status or an OCPP error code in their contexts.

use std::borrow::Cow;
use std::error::Error;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::CorrelationId;

/// What does not answer is asked again after so many seconds, having been asked for some already.
const UNAVAILABLE_SECONDS: u32 = 2;

/// Why an operation was refused or could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request itself is wrong: correct `field` and send it again.
    #[error("{field}: {message}")]
    Invalid {
        /// Path of the offending field, as the client wrote it (`input.email`).
        field: Cow<'static, str>,
        /// What is wrong with it.
        message: Cow<'static, str>,
    },
    /// No valid credentials: log in and try again.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Known caller, not allowed: do not try again.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing, or it is somebody else's, which a caller must not be able to tell apart.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The state of things forbids it; `code` tells the app which explanation to show.
    #[error("{message}")]
    Conflict {
        /// Stable code, upper snake case (`CONNECTOR_BUSY`).
        code: &'static str,
        /// For people.
        message: Cow<'static, str>,
    },
    /// Too many attempts: the same request may be sent again after a while.
    #[error("too many attempts, try again in {retry_after_seconds} s")]
    Limited {
        /// How long to wait, at least 1.
        retry_after_seconds: u32,
    },
    /// Something we depend on does not answer: try again later.
    #[error("{0} is unavailable, try again")]
    Unavailable(&'static str),
    /// A defect, ours or a dependency's. The caller learns nothing of it but a correlation id.
    #[error("internal error")]
    Fault(#[source] Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// A field that cannot be accepted.
    pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A state that forbids the request.
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// A defect, with the error that shows it.
    pub fn fault(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fault(error.into())
    }

    /// Whether the same request may succeed later, unchanged.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable(_) | Self::Fault(_))
    }

    /// In how many seconds the same request may be sent again, where that is worth it.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Limited { retry_after_seconds } => Some(*retry_after_seconds),
            Self::Unavailable(_) => Some(UNAVAILABLE_SECONDS),
            _ => None,
        }
    }

    /// The GraphQL `errorType`: the variant's name.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "Invalid",
            Self::Unauthenticated(_) => "Unauthenticated",
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound(_) => "NotFound",
            Self::Conflict { .. } => "Conflict",
            Self::Limited { .. } => "Limited",
            Self::Unavailable(_) => "Unavailable",
            Self::Fault(_) => "Fault",
        }
    }

    /// The document a resolver returns, for the AppSync response handler to raise with `util.error`.
    pub fn to_resolver_error(&self, correlation_id: CorrelationId) -> ResolverError {
        let mut error_info = Map::from_iter([("correlationId".to_owned(), json!(correlation_id))]);
        match self {
            Self::Invalid { field, .. } => error_info.insert("field".to_owned(), json!(field)),
            Self::Conflict { code, .. } => error_info.insert("code".to_owned(), json!(code)),
            _ => None,
        };
        if let Some(seconds) = self.retry_after_seconds() {
            error_info.insert("retryAfter".to_owned(), json!(seconds));
        }
        ResolverError { error_type: self.error_type(), error_message: self.to_string(), error_info }
    }

    /// The chain of causes on one line, for the log that handles the failure.
    pub fn causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// A failure as `graphql/resolvers/lambda.js` reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolverError {
    error_type: &'static str,
    error_message: String,
    error_info: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation_id() -> CorrelationId {
        uuid::Uuid::from_u128(7).into()
    }

    #[test]
    fn every_failure_that_is_told_names_its_request() {
        for failure in [
            Failure::Unauthenticated("log in first"),
            Failure::NotFound("session"),
            Failure::conflict("CONNECTOR_BUSY", "somebody charges there"),
            Failure::Limited { retry_after_seconds: 3 },
            Failure::Unavailable("the database"),
        ] {
            let error_info = failure.to_resolver_error(correlation_id()).error_info;
            assert_eq!(error_info["correlationId"], json!(correlation_id()), "{failure}");
        }
    }

    #[test]
    fn an_invalid_field_is_named_in_the_error_info() {
        let failure = Failure::invalid("input.email", "is no address");
        let error = serde_json::to_value(failure.to_resolver_error(correlation_id()));
        assert_eq!(
            error.ok(),
            Some(json!({
                "errorType": "Invalid",
                "errorMessage": "input.email: is no address",
                "errorInfo": { "field": "input.email", "correlationId": correlation_id() },
            }))
        );
    }

    #[test]
    fn a_fault_tells_its_cause_to_the_log_and_not_to_the_caller() {
        let fault = Failure::fault("password=hunter2");
        assert_eq!(fault.to_resolver_error(correlation_id()).error_message, "internal error");
        assert_eq!(fault.causes(), "internal error: password=hunter2");
    }
}
