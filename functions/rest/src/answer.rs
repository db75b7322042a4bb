//! The envelope: what every answer of `/v1` looks like, good or bad.

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use shared::{CorrelationId, Failure};
use tracing::{error, info};

use crate::refusal::Refusal;

/// An HTTP answer with its whole body.
pub type Response = lambda_http::Response<String>;

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Told when even an error cannot be written.
const BROKEN: &str = r#"{"success":false,"error":{"code":"INTERNAL","message":"internal error","field":null,"requestId":null}}"#;

/// A good answer: its data, and the status and headers that go with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    data: T,
    status: StatusCode,
    headers: HeaderMap,
}

impl<T> Reply<T> {
    /// 200.
    pub fn of(data: T) -> Self {
        Self { data, status: StatusCode::OK, headers: HeaderMap::new() }
    }

    /// 202: taken, and done later.
    pub fn accepted(data: T) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::of(data) }
    }

    /// With one header more, in place of any of that name.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    data: &'a T,
}

#[derive(Serialize)]
struct Error<'a> {
    success: bool,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    field: Option<&'a str>,
    request_id: CorrelationId,
}

/// The answer of a request: 200 with the data, or the failure's status with its error. Failures are logged here, once.
pub fn answer<T: Serialize>(result: Result<T, Failure>, correlation_id: CorrelationId) -> Response {
    respond(result.map(Reply::of).map_err(Refusal::from), correlation_id)
}

pub(crate) fn respond<T: Serialize>(
    result: Result<Reply<T>, Refusal>,
    correlation_id: CorrelationId,
) -> Response {
    let written = result.and_then(|reply| {
        let body = serde_json::to_string(&Success { success: true, data: &reply.data });
        Ok((reply.status, reply.headers, body.map_err(Failure::fault)?))
    });
    let (status, mut headers, body) = written.unwrap_or_else(|refusal| {
        log(&refusal);
        let message = refusal.to_string();
        let error = ErrorBody {
            code: refusal.code(),
            message: &message,
            field: refusal.field(),
            request_id: correlation_id,
        };
        let body = serde_json::to_string(&Error { success: false, error });
        (refusal.status(), refusal.headers(), body.unwrap_or_else(|_| BROKEN.to_owned()))
    });
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(correlation_id.to_string()) {
        headers.insert(CORRELATION_ID, id);
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn log(refusal: &Refusal) {
    match refusal {
        Refusal::Failure(failure @ Failure::Fault(_)) => error!(cause = failure.causes(), "fault"),
        refusal => info!(code = refusal.code(), status = refusal.status().as_u16(), "refused"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn told(failure: Failure) -> (u16, HeaderMap, Value) {
        let id = CorrelationId::new();
        let response = answer::<()>(Err(failure), id);
        let mut body: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["error"]["requestId"].take(), json!(id));
        assert_eq!(response.headers()["x-correlation-id"], id.to_string());
        (response.status().as_u16(), response.headers().clone(), body)
    }

    #[test]
    fn data_come_in_the_envelope() {
        let response = answer(Ok(json!({ "id": 1 })), CorrelationId::new());
        assert_eq!(
            (response.status().as_u16(), &**response.body()),
            (200, r#"{"success":true,"data":{"id":1}}"#)
        );
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let reply = Reply::accepted(true).with(HeaderName::from_static("age"), 7);
        let response = respond(Ok(reply), CorrelationId::new());
        assert_eq!((response.status().as_u16(), &response.headers()["age"]), (202, &HeaderValue::from(7)));
    }

    #[test]
    fn every_failure_has_its_status_and_code() {
        for (failure, status, code) in [
            (Failure::invalid("startTs", "must be in the future"), 400, "INVALID"),
            (Failure::Unauthenticated("log in first"), 401, "UNAUTHENTICATED"),
            (Failure::Forbidden("your role does not allow this"), 403, "FORBIDDEN"),
            (Failure::NotFound("station"), 404, "NOT_FOUND"),
            (Failure::conflict("SLOT_TAKEN", "somebody was faster"), 409, "SLOT_TAKEN"),
            (Failure::Limited { retry_after_seconds: 9 }, 429, "LIMITED"),
            (Failure::fault("password=hunter2"), 500, "INTERNAL"),
            (Failure::Unavailable("the database"), 503, "UNAVAILABLE"),
        ] {
            let (told_status, _, body) = told(failure);
            assert_eq!((told_status, &body["error"]["code"]), (status, &json!(code)));
            assert_eq!(body["success"], false);
            assert!(!body.to_string().contains("hunter2"), "{body}");
        }
    }

    #[test]
    fn an_error_is_told_to_its_last_key() {
        let (_, _, body) = told(Failure::invalid("startTs", "must be in the future"));
        assert_eq!(
            body,
            json!({ "success": false, "error": {
                "code": "INVALID", "message": "startTs: must be in the future", "field": "startTs", "requestId": null,
            } })
        );
        assert_eq!(told(Failure::NotFound("hold")).2["error"]["field"], Value::Null);
    }

    #[test]
    fn who_may_come_again_is_told_when() {
        assert_eq!(told(Failure::Limited { retry_after_seconds: 9 }).1["retry-after"], "9");
        assert!(told(Failure::Unavailable("the database")).1.contains_key("retry-after"));
        assert_eq!(told(Failure::Unauthenticated("log in first")).1["www-authenticate"], "Bearer");
    }

    #[test]
    fn data_that_cannot_be_written_are_a_fault() {
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(answer(Ok(unwritable), CorrelationId::new()).status(), 500);
    }
}
