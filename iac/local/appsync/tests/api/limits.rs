//! What bounds a request: size, depth, resolvers, introspection; and what browsers ask first.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TOKEN};

fn nested() -> Setup {
    Setup::new()
        .direct("Query.itself", |_| {
            Ok(json!({"id": "o", "name": "n", "stations": [{"id": "s"}, {"id": "t"}]}))
        })
        .direct("Station.operator", |_| Ok(json!({"id": "o", "stations": []})))
}

#[tokio::test]
async fn a_query_deeper_than_the_limit_is_refused() {
    let mut setup = nested();
    setup.api["QueryDepthLimit"] = 3.into();
    let api = setup.serve().await;
    let three = "{ itself { stations { id } } }";
    assert_eq!(api.query(three, json!({})).await.get("errors"), None);
    for four in [
        "{ itself { stations { operator { id } } } }",
        "{ itself { ...A } } fragment A on Operator { stations { ... on Station { ...B } } } fragment B on Station { operator { id } }",
    ] {
        let answer = api.query(four, json!({})).await;
        assert_eq!(answer["data"], Value::Null);
        assert_eq!(answer["errors"][0]["errorType"], "QueryDepthLimitReached");
    }
    let introspection = "{ __type(name: \"Query\") { fields { type { ofType { ofType { name } } } } } }";
    assert_eq!(api.query(introspection, json!({})).await.get("errors"), None);
}

#[tokio::test]
async fn the_deepest_query_that_is_allowed_runs() {
    let api = nested().direct("Operator.stations", |_| Ok(json!([{"id": "s"}]))).serve().await;
    let query = |pairs: usize| {
        let (open, close) = ("stations { operator { ".repeat(pairs), "} } ".repeat(pairs));
        format!("{{ itself {{ {open} id {close} }} }}")
    };
    let answer = api.query(&query(36), json!({})).await;
    assert_eq!(answer.get("errors"), None);
    let mut value = &answer["data"]["itself"];
    for _ in 0..36 {
        value = &value["stations"][0]["operator"];
    }
    assert_eq!(value["id"], "o");
    assert_eq!(api.query(&query(37), json!({})).await["errors"][0]["errorType"], "QueryDepthLimitReached");
}

#[tokio::test]
async fn a_request_that_needs_more_resolvers_than_the_limit_gets_the_first() {
    let mut setup = nested();
    setup.api["ResolverCountLimit"] = 2.into();
    let api = setup.serve().await;
    let answer = api.query("{ itself { stations { id operator { id } } } }", json!({})).await;
    let stations = &answer["data"]["itself"]["stations"];
    assert_eq!(*stations, json!([{"id": "s", "operator": {"id": "o"}}, {"id": "t", "operator": null}]));
    assert_eq!(answer["errors"][0]["errorType"], "ResolverExecutionLimitReached");
}

#[tokio::test]
async fn introspection_can_be_turned_off() {
    let mut setup = nested();
    setup.api["IntrospectionConfig"] = "DISABLED".into();
    let api = setup.serve().await;
    for query in ["{ __schema { types { name } } }", "{ __type(name: \"Query\") { name } }"] {
        let answer = api.query(query, json!({})).await;
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("Validation error of type FieldUndefined: Field '__"), "{message}");
        assert_eq!(answer["data"], Value::Null);
    }
    assert_eq!(api.query("{ __typename }", json!({})).await, json!({"data": {"__typename": "Query"}}));
}

#[tokio::test]
async fn documents_are_bounded_in_bytes_tokens_and_nesting() {
    let api = nested().serve().await;
    let large = json!({"query": "{ __typename }", "variables": {"x": "x".repeat(1 << 20)}}).to_string();
    let response = api.post(&[("authorization", TOKEN)], large).await;
    assert_eq!(response.status(), 413);
    for query in [
        format!("{{ {} }}", "__typename ".repeat(20_000)),
        format!("{}{}", "{ itself ".repeat(5_000), "}".repeat(5_000)),
        format!("{{ echo(contact: {}1{}) }}", "[".repeat(5_000), "]".repeat(5_000)),
        format!("{{ {} }}", "(".repeat(50_000)),
    ] {
        let response = api.post(&[("authorization", TOKEN)], json!({"query": query}).to_string()).await;
        assert_eq!(response.status(), 400);
    }
    let larger = json!({"query": "x".repeat(4 << 20)}).to_string();
    assert_eq!(api.post(&[("authorization", TOKEN)], larger).await.status(), 413, "and is told so");
    // Each fragment uses the next twice: 2^24 fields if anybody wrote them out.
    for twice in ["...F{} ...F{}", "a: stations { operator { ...F{} } } b: stations { operator { ...F{} } }"]
    {
        let mut bomb = "{ itself { ...F0 } }".to_owned();
        for level in 0..24 {
            let next = twice.replace("{}", &(level + 1).to_string());
            bomb += &format!(" fragment F{level} on Operator {{ {next} }}");
        }
        bomb += " fragment F24 on Operator { id }";
        let body = json!({"query": bomb}).to_string();
        let answered =
            tokio::time::timeout(Duration::from_secs(5), api.post(&[("authorization", TOKEN)], body));
        assert_eq!(answered.await.unwrap().status(), 400);
    }
}

#[tokio::test]
async fn a_thousand_mistakes_are_told_a_hundred_times() {
    let api = nested().serve().await;
    let query = format!("{{ {} }}", (0..1_000).map(|number| format!("f{number} ")).collect::<String>());
    let answer = api.query(&query, json!({})).await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn a_request_is_an_object_and_no_literal_has_a_key_twice() {
    let api = nested().serve().await;
    let values = json!(["{ __typename }", {}, null]).to_string();
    assert_eq!(api.post(&[("authorization", TOKEN)], values).await.status(), 400);
    let query = "{ echo(contact: {email: \"a@example.com\", email: \"b@example.com\"}) }";
    let answer = api.query(query, json!({})).await;
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("Validation error of type UniqueObjectFieldName"), "{message}");
}

#[tokio::test]
async fn browsers_are_allowed_in() {
    let api = nested().serve().await;
    for path in ["", "/realtime"] {
        let preflight = reqwest::Client::new()
            .request(Method::OPTIONS, format!("{}{path}", api.url()))
            .header("origin", "http://localhost:3000")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-amz-user-agent")
            .send()
            .await
            .unwrap();
        assert_eq!(preflight.status(), 200);
        assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
        let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
        for header in ["content-type", "authorization", "x-api-key", "x-amz-user-agent", "x-amz-date"] {
            assert!(allowed.contains(header), "{header}");
        }
    }
    let refused = api.post(&[("origin", "http://localhost:3000")], "{}".to_owned()).await;
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "*",
        "a browser may read why it was refused"
    );
}
