//! Why a request is not answered with data, and how HTTP says so.

use lambda_http::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode};
use shared::Failure;

use crate::request::MAX_BODY_BYTES;

/// How long a client waits for what does not answer: caches and databases that failed are left alone as long.
const RETRY_SECONDS: u32 = 2;

/// A failure of the operation, or a request that never became one.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The operation's own.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The access token is none of ours, or no longer good.
    #[error("the access token is not valid, log in again")]
    BadToken,
    /// More than [`MAX_BODY_BYTES`].
    #[error("the body has more than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    /// A body that is not announced as `application/json`.
    #[error("the content type must be application/json")]
    NotJsonType,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => match failure {
                Failure::Invalid { .. } => StatusCode::BAD_REQUEST,
                Failure::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
                Failure::Forbidden(_) => StatusCode::FORBIDDEN,
                Failure::NotFound(_) => StatusCode::NOT_FOUND,
                Failure::Conflict { .. } => StatusCode::CONFLICT,
                Failure::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
                Failure::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::BadToken => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJsonType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The error's `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failure(failure) => match failure {
                Failure::Invalid { .. } => "INVALID",
                Failure::Unauthenticated(_) => "UNAUTHENTICATED",
                Failure::Forbidden(_) => "FORBIDDEN",
                Failure::NotFound(_) => "NOT_FOUND",
                Failure::Conflict { code, .. } => code,
                Failure::Limited { .. } => "LIMITED",
                Failure::Unavailable(_) => "UNAVAILABLE",
                Failure::Fault(_) => "INTERNAL",
            },
            Self::BadToken => "UNAUTHENTICATED",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::NotJsonType => "NOT_JSON",
        }
    }

    /// The parameter or the body's field that is wrong.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Failure(Failure::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::Failure(Failure::Unauthenticated(_)) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::BadToken => {
                let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::Failure(Failure::Limited { retry_after_seconds }) => {
                headers.insert(RETRY_AFTER, (*retry_after_seconds).into());
            }
            Self::Failure(Failure::Unavailable(_)) => {
                headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
            }
            _ => {}
        }
        headers
    }
}
