#![allow(clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;
use shared::StationId;

use super::*;
use crate::{Number, parsed};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arguments {
    #[serde(alias = "number", deserialize_with = "parsed")]
    id: StationId,
    radius_km: Option<Number<f64>>,
    name: Option<String>,
}

const ID: &str = "48f8fb15-814d-4e9d-97e1-d2caea2a162f";

fn event(query: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0", "routeKey": "POST /x/{id}", "rawPath": format!("/x/{ID}"), "rawQueryString": query,
        "headers": { "content-type": "application/json; charset=utf-8" }, "pathParameters": { "id": ID },
        "requestContext": {
            "http": { "method": "POST", "path": format!("/x/{ID}"), "sourceIp": "203.0.113.9" },
            "routeKey": "POST /x/{id}", "timeEpoch": 0,
        },
        "body": body, "isBase64Encoded": false,
    })
}

fn request(event: Value) -> Request {
    serde_json::from_value(event).unwrap()
}

/// What is read, or the error's status and field.
fn read(query: &str, body: Option<&str>) -> Result<Arguments, (u16, String)> {
    told(request(event(query, body)).fields())
}

fn told<T>(result: Result<T, Refusal>) -> Result<T, (u16, String)> {
    result.map_err(|refusal| {
        (refusal.status().as_u16(), refusal.field().map_or_else(|| refusal.code().to_owned(), str::to_owned))
    })
}

fn bad<T>(field: &str) -> Result<T, (u16, String)> {
    Err((400, field.to_owned()))
}

#[test]
fn path_query_and_body_are_one_object() {
    let all = read("radiusKm=2.5", Some(r#"{"name":"A \u00e9"}"#)).unwrap();
    let id = ID.parse().unwrap();
    assert_eq!(all, Arguments { id, radius_km: Some(Number(2.5)), name: Some("A é".into()) });
    let alone = Arguments { id, radius_km: None, name: None };
    assert_eq!(read("", None).unwrap(), alone);
    assert_eq!(read("", Some("")).unwrap(), alone);
    assert_eq!(read("name=A+%C3%A9", None).unwrap().name.as_deref(), Some("A é"));
}

#[test]
fn a_field_is_given_once() {
    assert_eq!(read("name=a&name=b", None), bad("name"));
    assert_eq!(read("id=42", None), bad("id"));
    assert_eq!(read("number=42", None), bad("id"));
    assert_eq!(read("name=a", Some(r#"{"name":"b"}"#)), bad("name"));
    assert_eq!(read("", Some(r#"{"id":"b"}"#)), bad("id"));
    assert_eq!(read("", Some(r#"{"name":"a","name":"b"}"#)), bad("body"));
}

#[test]
fn what_does_not_fit_is_named() {
    assert_eq!(read("radiusKm=ten", None), bad("radiusKm"));
    assert_eq!(read("", Some(r#"{"name":5}"#)), bad("name"));
    assert_eq!(read("colour=red", None), bad("colour"));
    assert_eq!(read("", Some("[]")), bad("body"));
    assert_eq!(read("", Some("{")), bad("body"));
    assert_eq!(read("", Some(&"[".repeat(60_000))), bad("body"));
    assert_eq!(read("", Some(r#"{"name":"\u0000"}"#)), bad("name"));
    assert_eq!(read("name=%00", None), bad("name"));
    assert_eq!(read("name=4242+4242+4242+4242", None), bad("name"));
    assert_eq!(read(&format!("name={}", "a".repeat(4100)), None), bad("query"));
    let mut without = event("", None);
    without["pathParameters"].take();
    assert_eq!(told(request(without).fields::<Arguments>()), bad("id"));
    let mut other = event("", None);
    other["pathParameters"]["id"] = json!("42");
    let Err(Refusal::Failure(failure)) = request(other).fields::<Arguments>() else { panic!("taken") };
    assert_eq!(failure.to_string(), "id: must be a UUID");
}

#[test]
fn a_body_is_json_and_says_so() {
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON;charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
    ] {
        let mut sent = event("", Some("{}"));
        sent["headers"]["content-type"] = json!(kind);
        let told = told(request(sent).fields::<Arguments>());
        assert_eq!(told.map_or_else(|(status, _)| status, |_| 200), status, "{kind}");
    }
    let mut unread = event("", Some("not JSON"));
    unread["requestContext"]["http"]["method"] = json!("DELETE");
    unread["body"] = json!("a".repeat(MAX_BODY_BYTES + 1));
    let unread = request(unread);
    assert!(unread.fields::<Arguments>().is_ok() && !unread.is_too_large());
}

#[test]
fn a_body_is_there_byte_for_byte() {
    let mut sent = event("", Some(&STANDARD.encode([0xff, 0x00, b'{'])));
    sent["isBase64Encoded"] = json!(true);
    let sent = request(sent);
    assert_eq!(sent.body(), [0xff, 0x00, b'{']);
    assert_eq!(told(sent.fields::<Arguments>()), bad("body"));
    assert_eq!(request(event("", Some(" {} "))).body(), b" {} ");
}

#[test]
fn a_correlation_id_is_kept_or_made() {
    let mut sent = event("", None);
    sent["headers"]["x-correlation-id"] = json!(ID);
    assert_eq!(request(sent.clone()).correlation_id(), ID.parse().unwrap());
    sent["headers"]["x-correlation-id"] = json!("<script>");
    let made = request(sent.clone());
    assert_ne!(made.correlation_id(), made.correlation_id());
}

#[test]
fn a_token_stands_behind_its_scheme() {
    for (header, token) in [
        ("Bearer a.b.c", Some("a.b.c")),
        ("bearer a.b.c", Some("a.b.c")),
        ("Bearer  a.b.c", None),
        ("Bearer a.b.c ", None),
        ("Bearer \ta.b.c", None),
        ("Bearer a.b.c\t", None),
        ("Bearer a. b.c", None),
        (" Bearer a.b.c", None),
        ("Basic a.b.c", None),
        ("a.b.c", None),
        ("Bearer", None),
    ] {
        let mut sent = event("", None);
        sent["headers"]["authorization"] = json!(header);
        assert_eq!(request(sent).token(), token, "{header}");
    }
}

proptest! {
    /// Whatever stands in a URL or a body is refused or read, and never worse.
    #[test]
    fn nothing_that_is_sent_panics(query in ".{0,80}", body in proptest::option::of(".{0,80}"), host in ".{0,20}") {
        let mut sent = event(&query, body.as_deref());
        sent["rawPath"] = json!(query.clone());
        sent["headers"]["x-forwarded-proto"] = json!("https");
        if host.parse::<lambda_http::http::HeaderValue>().is_ok() {
            sent["headers"]["host"] = json!(host);
        }
        let status = told(request(sent).fields::<Arguments>()).map_or_else(|(status, _)| status, |_| 200);
        prop_assert!(status == 200 || status == 400, "{status}");
    }
}
