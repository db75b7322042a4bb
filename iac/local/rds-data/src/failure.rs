//! The Data API's errors: the name, HTTP status and wording that the service gives each.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// An exception of the service: what `x-amzn-ErrorType` and the body's `message` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Failure {
    const fn new(name: &'static str, status: StatusCode, message: String) -> Self {
        Self { name, status, message }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", StatusCode::BAD_REQUEST, message.into())
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new("BadRequestException", StatusCode::BAD_REQUEST, message.into())
    }

    pub(crate) fn database(message: impl Into<String>) -> Self {
        Self::new("DatabaseErrorException", StatusCode::BAD_REQUEST, message.into())
    }

    pub(crate) fn database_unavailable() -> Self {
        Self::new(
            "DatabaseUnavailableException",
            StatusCode::GATEWAY_TIMEOUT,
            "The writer instance in the DB cluster isn't available.".to_owned(),
        )
    }

    pub(crate) fn endpoint_not_enabled(resource_arn: &str) -> Self {
        Self::new(
            "HttpEndpointNotEnabledException",
            StatusCode::BAD_REQUEST,
            format!("HttpEndpoint isn't enabled for cluster {resource_arn}"),
        )
    }

    pub(crate) fn secret(secret_arn: &str) -> Self {
        Self::new(
            "SecretsErrorException",
            StatusCode::BAD_REQUEST,
            format!("Error fetching secret {secret_arn} : Secrets Manager can't find the specified secret."),
        )
    }

    pub(crate) fn timeout() -> Self {
        Self::new("StatementTimeoutException", StatusCode::BAD_REQUEST, "Request timed out".to_owned())
    }

    pub(crate) fn transaction_not_found(id: &str) -> Self {
        Self::new(
            "TransactionNotFoundException",
            StatusCode::NOT_FOUND,
            format!("Transaction {id} is not found. Transaction may be expired."),
        )
    }

    pub(crate) fn unsupported_result(type_name: &str) -> Self {
        Self::new(
            "UnsupportedResultException",
            StatusCode::BAD_REQUEST,
            format!("The result contains the unsupported data type {type_name}."),
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            "InternalServerErrorException",
            StatusCode::INTERNAL_SERVER_ERROR,
            "An internal error occurred.".to_owned(),
        )
    }
}

/// `ERROR: …; Hint: …; Position: 54; SQLState: 42883`. The detail is left out, as the service leaves it out: it
/// quotes column values.
fn database_message(error: &DbError) -> String {
    let mut message = format!("ERROR: {}", error.message());
    if let Some(hint) = error.hint() {
        message.push_str("; Hint: ");
        message.push_str(hint);
    }
    if let Some(ErrorPosition::Original(position)) = error.position() {
        message.push_str(&format!("; Position: {position}"));
    }
    message.push_str("; SQLState: ");
    message.push_str(error.code().code());
    message
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>())
            {
                return Self::database_unavailable();
            }
            return Self::database(error.to_string());
        };
        let code = database.code();
        if *code == SqlState::SYNTAX_ERROR
            && database.message().starts_with("cannot insert multiple commands")
        {
            return Self::validation("Multistatements aren't supported.");
        }
        let stopping = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
        if stopping.contains(code) {
            return Self::database_unavailable();
        }
        Self::database(database_message(database))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Json(json!({ "message": self.message }));
        (self.status, [("x-amzn-errortype", self.name)], body).into_response()
    }
}
