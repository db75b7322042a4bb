//! Answers as the contract has them: the tests of every crate with routes hold theirs to it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use jsonschema::Validator;
use rest::Response;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{CorrelationId, Failure};

/// What the contract says of an answer of `route`, such as `GET /v1/stations/{id}`: its response object.
pub(crate) fn response(document: &Value, route: &str, status: u16) -> Value {
    let (method, path) = route.split_once(' ').unwrap();
    let told = &document["paths"][path][method.to_lowercase()]["responses"][status.to_string()];
    let told = match told["$ref"].as_str() {
        Some(shared) => document.pointer(shared.trim_start_matches('#')).unwrap(),
        None => told,
    };
    assert!(told.is_object(), "{route} is not said to answer {status}");
    told.clone()
}

/// For bodies of such an answer.
pub(crate) fn schema(route: &str, status: u16) -> Validator {
    let document = document();
    let mut schema = response(&document, route, status)["content"]["application/json"]["schema"].clone();
    schema["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The status, and the data or the error, of an answer that is as the contract says: status, headers, body, and the code
/// of a conflict.
pub(crate) fn checked(route: &str, answer: &Response) -> (u16, Value) {
    let (document, status) = (document(), answer.status().as_u16());
    let mut body: Value = serde_json::from_str(answer.body()).unwrap();
    let schema = schema(route, status);
    assert!(schema.is_valid(&body), "{route} {status}: {:?}: {body}", schema.validate(&body));
    let told = response(&document, route, status);
    for name in told["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()) {
        assert!(name == "age" || answer.headers().contains_key(&name), "{route} {status} lacks {name}");
    }
    if status == 409 {
        let code = format!("`{}`", body["error"]["code"].as_str().unwrap());
        assert!(told["description"].as_str().unwrap().contains(&code), "{route} does not tell of {code}");
    }
    (status, body[if status < 300 { "data" } else { "error" }].take())
}

/// [`checked`], of what a handler gives, as the door of routes tells it.
pub(crate) fn told<T: Serialize>(route: &str, result: Result<T, Failure>) -> (u16, Value) {
    checked(route, &rest::answer(result, CorrelationId::new()))
}

/// The status and the code of a refusal that is as the contract says.
pub(crate) fn refused<T: Serialize>(route: &str, result: Result<T, Failure>) -> (u16, Value) {
    let (status, mut error) = told(route, result);
    assert!(status >= 400, "{route}: {error}");
    let (code, field) = (error["code"].take(), error["field"].take());
    (status, if field.is_null() { code } else { json!([code, field]) })
}

fn document() -> Value {
    serde_json::from_str(rest::OPENAPI).unwrap()
}
