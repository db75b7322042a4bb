//! Who may call, by which mode, and which fields each mode may read.

use std::sync::atomic::{AtomicUsize, Ordering};

use appsync::{Caller, Request};
use chrono::{TimeDelta, Utc};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::{API_KEY, EXPIRED_KEY, Running, Setup, TOKEN, arn};

const QUERY: &str = r#"{"query":"{ getStation(id: 1) { id } }"}"#;

fn stations() -> Setup {
    Setup::new().direct("Query.getStation", |_| Ok(json!({"id": "1", "name": "n", "secret": "s"})))
}

#[tokio::test]
async fn without_a_credential_that_is_known_nothing_is_answered() {
    let api = stations().serve().await;
    let refused: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "wrong")],
        &[("x-api-key", "wrong")],
        &[("x-api-key", EXPIRED_KEY)],
        &[("x-api-key", "wrong"), ("authorization", TOKEN)],
        &[("authorization", "AWS4-HMAC-SHA256 nonsense")],
    ];
    for headers in refused {
        let response = api.post(headers, QUERY.to_owned()).await;
        assert_eq!(response.status(), 401, "{headers:?}");
        assert_eq!(response.headers()["x-amzn-errortype"], "UnauthorizedException");
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({"errors": [{"errorType": "UnauthorizedException", "message": "You are not authorized to make this call."}]})
        );
    }
    assert!(api.functions.calls("Query-getStation").is_empty());
    assert_eq!(api.post(&[("x-api-key", API_KEY)], QUERY.to_owned()).await.status(), 200);
    assert_eq!(api.post(&[("X-API-Key", API_KEY)], QUERY.to_owned()).await.status(), 200);
}

#[tokio::test]
async fn the_authorizer_is_asked_with_the_documented_event() {
    let api = stations().serve().await;
    let body = json!({"query": "query Q($id: ID!) { getStation(id: $id) { id } }", "operationName": "Q", "variables": {"id": 1}});
    api.post(&[("authorization", TOKEN), ("x-trace", "7")], body.to_string()).await;
    let question = api.functions.calls("authorize").remove(0);
    assert_eq!(question["authorizationToken"], TOKEN);
    let context = &question["requestContext"];
    assert_eq!(context["apiId"], "api1");
    assert_eq!(context["accountId"], "000000000000");
    assert_eq!(context["requestId"].as_str().unwrap().len(), 36);
    assert_eq!(context["queryString"], body["query"]);
    assert_eq!(context["operationName"], "Q");
    assert_eq!(context["variables"], json!({"id": 1}));
    assert_eq!(question["requestHeaders"]["x-trace"], "7");
}

async fn asked(ttl: u64, ttl_override: Option<u64>) -> (usize, Vec<u16>) {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    let mut setup = stations().function("decide", move |question| {
        count.fetch_add(1, Ordering::Relaxed);
        let mut decision = json!({"isAuthorized": question["authorizationToken"] == "good"});
        if let Some(seconds) = ttl_override {
            decision["ttlOverride"] = seconds.into();
        }
        Ok(decision)
    });
    setup.api["LambdaAuthorizerConfig"] =
        json!({"AuthorizerUri": arn("decide"), "AuthorizerResultTtlInSeconds": ttl.to_string()});
    let api = setup.serve().await;
    let mut statuses = Vec::new();
    for token in ["good", "good", "bad", "bad"] {
        statuses.push(api.post(&[("authorization", token)], QUERY.to_owned()).await.status().as_u16());
    }
    (asked.load(Ordering::Relaxed), statuses)
}

#[tokio::test]
async fn a_decision_is_kept_by_token_for_its_time() {
    let statuses = vec![200, 200, 401, 401];
    assert_eq!(asked(300, None).await, (2, statuses.clone()));
    assert_eq!(asked(0, None).await, (4, statuses.clone()));
    assert_eq!(asked(300, Some(0)).await, (4, statuses.clone()));
    assert_eq!(asked(0, Some(60)).await, (2, statuses));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_one_token_at_once_ask_once() {
    let mut setup = stations();
    setup.api["LambdaAuthorizerConfig"]["AuthorizerResultTtlInSeconds"] = 60.into();
    let api = std::sync::Arc::new(setup.serve().await);
    let requests = (0..50).map(|_| {
        let api = std::sync::Arc::clone(&api);
        tokio::spawn(async move { api.post(&[("authorization", TOKEN)], QUERY.to_owned()).await.status() })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(api.functions.calls("authorize").len(), 1);
}

#[tokio::test]
async fn an_authorizer_that_fails_or_talks_nonsense_lets_nobody_in() {
    for answer in [Err(json!({"errorMessage": "x"})), Ok(json!({})), Ok(json!({"isAuthorized": "yes"}))] {
        let mut setup = stations().function("decide", move |_| answer.clone());
        setup.api["LambdaAuthorizerConfig"]["AuthorizerUri"] = arn("decide").into();
        let api = setup.serve().await;
        assert_eq!(api.post(&[("authorization", TOKEN)], QUERY.to_owned()).await.status(), 401);
    }
}

#[tokio::test]
async fn a_token_that_does_not_fit_the_pattern_is_refused_unasked() {
    let mut setup = stations();
    setup.api["LambdaAuthorizerConfig"]["IdentityValidationExpression"] = "token-[0-9]+".into();
    let api = setup.serve().await;
    assert_eq!(
        api.post(&[("authorization", "token-1 ")], QUERY.to_owned()).await.status(),
        200,
        "headers are trimmed"
    );
    for token in ["xtoken-1", "token-1x"] {
        assert_eq!(api.post(&[("authorization", token)], QUERY.to_owned()).await.status(), 401);
    }
    assert_eq!(api.functions.calls("authorize").len(), 1);
}

#[tokio::test]
async fn denied_fields_are_null_and_say_so() {
    let mut setup = stations().function("decide", |_| {
        Ok(json!({
            "isAuthorized": true,
            "deniedFields": ["Station.name", "arn:aws:appsync:eu-central-1:0:apis/api1/types/Query/fields/node"],
        }))
    });
    setup.api["LambdaAuthorizerConfig"]["AuthorizerUri"] = arn("decide").into();
    let api = setup.direct("Query.node", |_| Ok(json!({}))).serve().await;
    let answer = api.query("{ getStation(id: 1) { id } node(id: 1) { id } }", json!({})).await;
    assert_eq!(
        answer,
        json!({
            "data": {"getStation": {"id": "1"}, "node": null},
            "errors": [{
                "path": ["node"], "data": null, "errorType": "Unauthorized", "errorInfo": null,
                "locations": [{"line": 1, "column": 28, "sourceName": null}],
                "message": "Not Authorized to access node on type Query",
            }],
        })
    );
    let answer = api.query("{ getStation(id: 1) { id name } }", json!({})).await;
    assert_eq!(answer["data"], json!({"getStation": null}), "a denied non-null field takes its parent");
    assert!(api.functions.calls("Query-node").is_empty());
}

#[tokio::test]
async fn each_mode_reads_the_fields_that_name_it_and_the_default_mode_the_rest() {
    let api = stations()
        .direct("Query.needStation", |_| Ok(json!({"id": "1"})))
        .direct("Mutation.setStatus", |_| Ok(json!({"id": "1", "name": "n", "secret": "s"})))
        .serve()
        .await;
    let asked = |query: &str| json!({"query": query}).to_string();

    let with_key = api
        .post(&[("x-api-key", API_KEY)], asked("{ getStation(id: 1) { id secret } batched { id } }"))
        .await;
    let with_key: Value = with_key.json().await.unwrap();
    assert_eq!(with_key["data"], json!({"getStation": {"id": "1", "secret": null}, "batched": null}));
    let refused: Vec<&Value> =
        with_key["errors"].as_array().unwrap().iter().map(|error| &error["message"]).collect();
    assert!(refused.contains(&&json!("Not Authorized to access secret on type Station")), "{refused:?}");
    assert!(refused.contains(&&json!("Not Authorized to access batched on type Query")), "{refused:?}");

    let as_driver = api.query("{ getStation(id: 1) { id secret } }", json!({})).await;
    assert_eq!(as_driver["data"], json!({"getStation": {"id": "1", "secret": null}}));

    let bus = Caller::iam("000000000000", "arn:aws:iam::000000000000:role/bus", "127.0.0.1");
    let response =
        api.api.execute(&Request::new("mutation { setStatus(id: 1) { id secret } }", Map::new()), &bus).await;
    assert_eq!(response.data(), json!({"setStatus": {"id": "1", "secret": "s"}}));
    assert!(response.errors().is_empty());
    let event = api.functions.calls("Mutation-setStatus").remove(0);
    assert_eq!(event["identity"]["userArn"], "arn:aws:iam::000000000000:role/bus");
    assert_eq!(event["identity"]["accountId"], "000000000000");
    let response = api.api.execute(&Request::new("{ needStation(id: 1) { id } }", Map::new()), &bus).await;
    assert_eq!(response.data(), Value::Null);
    assert_eq!(response.errors()[0].error_type(), Some("Unauthorized"));
}

/// An independent signer, as the SDKs do it.
fn signed(
    api: &Running,
    body: &str,
    service: &str,
    key: (&str, &str),
    age: TimeDelta,
) -> Vec<(String, String)> {
    let stamp = (Utc::now() - age).format("%Y%m%dT%H%M%SZ").to_string();
    let date = &stamp[..8];
    let mac = |key: &[u8], text: &str| -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let canonical = format!(
        "POST\n/graphql\n\nhost:{}\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{}",
        api.address,
        hex(&Sha256::digest(body))
    );
    let scope = format!("{date}/eu-central-1/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut secret = format!("AWS4{}", key.1).into_bytes();
    for part in [date, "eu-central-1", service, "aws4_request"] {
        secret = mac(&secret, part);
    }
    let signature = hex(&mac(&secret, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}",
        key.0
    );
    vec![("authorization".to_owned(), authorization), ("x-amz-date".to_owned(), stamp)]
}

#[tokio::test]
async fn a_signature_is_checked_in_every_part() {
    let api = stations().serve().await;
    let local = ("local", "local");
    let now = TimeDelta::zero();
    let send = async |headers: Vec<(String, String)>, body: &str| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        api.post(&headers, body.to_owned()).await.status()
    };
    assert_eq!(send(signed(&api, QUERY, "appsync", local, now), QUERY).await, 200);
    let event = api.functions.calls("Query-getStation").remove(0);
    assert_eq!(event["identity"]["userArn"], "arn:aws:iam::000000000000:user/local");
    for refused in [
        signed(&api, QUERY, "execute-api", local, now),
        signed(&api, QUERY, "appsync", ("local", "wrong"), now),
        signed(&api, QUERY, "appsync", ("other", "local"), now),
        signed(&api, QUERY, "appsync", local, TimeDelta::minutes(6)),
        signed(&api, "another body", "appsync", local, now),
        signed(&api, QUERY, "appsync", local, now).into_iter().take(1).collect(),
    ] {
        assert_eq!(send(refused, QUERY).await, 401);
    }
}

#[tokio::test]
async fn a_mode_the_api_does_not_have_is_refused() {
    let mut setup = stations();
    setup.api["AdditionalAuthenticationProviders"] = json!([]);
    let api = setup.serve().await;
    assert_eq!(api.post(&[("x-api-key", API_KEY)], QUERY.to_owned()).await.status(), 401);
    let headers = signed(&api, QUERY, "appsync", ("local", "local"), TimeDelta::zero());
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(api.post(&headers, QUERY.to_owned()).await.status(), 401);
}
