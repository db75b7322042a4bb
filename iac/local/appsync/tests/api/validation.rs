//! What a client may not send, and how it is told.

use serde_json::{Value, json};

use crate::support::{Setup, TOKEN};

#[tokio::test]
async fn documents_that_do_not_validate_are_refused_in_appsyncs_words() {
    let api = Setup::new().serve().await;
    for (query, kind, detail) in [
        ("{ nope }", "FieldUndefined", "Field 'nope' in type 'Query' is undefined @ 'nope'"),
        (
            "{ getStation(id: 1) { a { b } } }",
            "FieldUndefined",
            "Field 'a' in type 'Station' is undefined @ 'getStation/a'",
        ),
        ("{ getStation { id } }", "MissingFieldArgument", "Missing field argument id @ 'getStation'"),
        ("{ getStation(id: 1, x: 2) { id } }", "UnknownArgument", "Unknown field argument x @ 'getStation'"),
        (
            "{ getStation(id: 1) }",
            "SubSelectionRequired",
            "Sub selection required for field getStation @ 'getStation'",
        ),
        ("{ getStation(id: 1) { id { x } } }", "SubSelectionNotAllowed", ""),
        ("{ getStation(id: $id) { id } }", "UndefinedVariable", "Undefined variable id @ 'getStation'"),
        ("query ($id: ID) { batched { id } }", "UnusedVariable", "Unused variable id"),
        ("{ getStation(id: 1) { ...F } }", "UndefinedFragment", "Undefined fragment F @ 'getStation'"),
        ("{ batched { id } } fragment F on Station { id }", "UnusedFragment", "Unused fragment F"),
        ("{ getStation(id: 1) { ...F } } fragment F on Station { ...F }", "FragmentCycle", ""),
        ("query ($id: ID) { getStation(id: $id) { id } }", "VariableTypeMismatch", ""),
        ("{ getStation(id: 1) { ... on Operator { id } } }", "InvalidFragmentType", ""),
        ("{ getStation(id: {}) { id } }", "WrongType", ""),
        ("{ listStations(status: GONE) { id } }", "WrongType", ""),
        ("{ listStations(near: {latitude: 1}) { id } }", "WrongType", ""),
        ("{ listStations(first: 99999999999) { id } }", "WrongType", ""),
        (
            "{ echo(when: \"yesterday\") }",
            "WrongType",
            "argument 'when' with value '\"yesterday\"' is not a valid 'AWSDateTime' @ 'echo'",
        ),
        ("{ echo(contact: {email: \"nobody\"}) }", "WrongType", ""),
        ("{ a: getStation(id: 1) { id } a: getStation(id: 2) { id } }", "FieldsConflict", ""),
        ("{ getStation(id: 1) @fast { id } }", "UnknownDirective", "Unknown directive fast @ 'getStation'"),
        ("query A { batched { id } } query A { batched { id } }", "DuplicateOperationName", ""),
        ("subscription { onStatus { id } onBus { id } }", "SubscriptionMultipleRootFields", ""),
    ] {
        let answer = api.query(query, Value::Null).await;
        assert_eq!(answer["data"], Value::Null, "{query}");
        let error = &answer["errors"][0];
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("Validation error of type {kind}: {detail}")),
            "{query}\n{answer:#}"
        );
        assert_eq!(error["path"], Value::Null);
        assert!(
            error["locations"][0]["line"].is_u64() && error["locations"][0]["sourceName"].is_null(),
            "{answer:#}"
        );
        assert_eq!(error.as_object().unwrap().len(), 3, "{answer:#}");
    }
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_bad_requests() {
    let api = Setup::new().serve().await;
    let two = "query A { batched { id } } query B { batched { id } }";
    for (body, kind) in [
        ("{".to_owned(), "MalformedHttpRequestException"),
        ("[]".to_owned(), "MalformedHttpRequestException"),
        (String::new(), "MalformedHttpRequestException"),
        (json!({"variables": {}}).to_string(), "MalformedHttpRequestException"),
        (json!({"query": "{", "variables": {}}).to_string(), "MalformedHttpRequestException"),
        (json!({"query": ""}).to_string(), "MalformedHttpRequestException"),
        (
            json!({"query": "{ batched { id } }", "variables": [1]}).to_string(),
            "MalformedHttpRequestException",
        ),
        (json!({"query": two}).to_string(), "BadRequestException"),
        (json!({"query": two, "operationName": "C"}).to_string(), "BadRequestException"),
        (json!({"query": "subscription { onStatus { id } }"}).to_string(), "UnsupportedOperation"),
    ] {
        let response = api.post(&[("authorization", TOKEN)], body.clone()).await;
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(response.headers()["x-amzn-errortype"], kind, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"][0]["errorType"], kind);
        assert_eq!(answer.get("data"), None);
    }
    let named =
        json!({"query": two, "operationName": "B", "extensions": {"clientLibrary": {}}, "unknown": 1});
    assert_eq!(api.post(&[("authorization", TOKEN)], named.to_string()).await.status(), 200);
}

#[tokio::test]
async fn variables_are_coerced_or_refused() {
    let api = Setup::new().direct("Query.echo", |event| Ok(event["arguments"].clone())).serve().await;
    let query = "query ($contact: Contact, $id: ID, $when: AWSDateTime) { echo(contact: $contact, id: $id, when: $when) }";
    let good = json!({
        "contact": {
            "email": "a@example.com", "phone": "+49 89 123456", "site": "https://example.com", "address": "10.0.0.1",
            "day": "2026-01-02", "time": "12:30:00Z", "at": "2026-01-02T03:04:05Z", "stamp": 1_700_000_000,
            "extra": "{\"a\":1}",
        },
        "id": 7, "when": null, "unused": true,
    });
    let answer = api.query(query, good).await;
    let echoed: Value = serde_json::from_str(answer["data"]["echo"].as_str().unwrap()).unwrap();
    assert_eq!(echoed["contact"]["extra"], json!({"a": 1}), "AWSJSON reaches the resolver parsed");
    assert_eq!(echoed["id"], "7");
    assert_eq!(echoed["when"], Value::Null);
    assert_eq!(
        api.functions.calls("Query-echo")[0]["info"]["variables"]["id"],
        7,
        "variables are told as sent"
    );

    for (variables, message) in [
        (json!({"contact": {"email": "nobody"}}), "Variable 'contact' has an invalid value."),
        (json!({"contact": {"stamp": "now"}}), "Variable 'contact' has an invalid value."),
        (json!({"contact": {"extra": "{"}}), "Variable 'contact' has an invalid value."),
        (
            json!({"contact": {"fax": "1"}}),
            "The variables input contains a field name 'fax' that is not defined for input object type 'Contact' ",
        ),
        (json!({"contact": 5}), "Variable 'contact' has an invalid value."),
        (json!({"when": "soon"}), "Variable 'when' has an invalid value."),
        (json!({"id": {"x": 1}}), "Variable 'id' has an invalid value."),
    ] {
        let answer = api.query(query, variables.clone()).await;
        assert_eq!(
            answer,
            json!({"data": null, "errors": [{"path": null, "locations": answer["errors"][0]["locations"], "message": message}]}),
            "{variables}"
        );
    }

    let list = "query ($first: Int!, $near: Place, $status: Status) { listStations(first: $first, near: $near, status: $status) { id } }";
    for (variables, message) in [
        (json!({}), "Variable 'first' has coerced Null value for NonNull type 'Int!'"),
        (json!({"first": null}), "Variable 'first' has coerced Null value for NonNull type 'Int!'"),
        (json!({"first": "5"}), "Variable 'first' has an invalid value."),
        (json!({"first": 5_000_000_000_i64}), "Variable 'first' has an invalid value."),
        (
            json!({"first": 5, "near": {"latitude": 1}}),
            "Variable 'near' has coerced Null value for NonNull type 'Float!'",
        ),
        (json!({"first": 5, "status": "GONE"}), "Variable 'status' has an invalid value."),
    ] {
        assert_eq!(api.query(list, variables.clone()).await["errors"][0]["message"], message, "{variables}");
    }
}

#[tokio::test]
async fn defaults_fill_what_was_left_out_and_null_is_not_left_out() {
    let api = Setup::new().direct("Query.listStations", |_| Ok(json!([]))).serve().await;
    let query = "query ($first: Int, $near: Place) { listStations(first: $first, near: $near) { id } }";
    api.query(query, json!({"near": {"latitude": 1, "longitude": 2}})).await;
    api.query(query, json!({"first": null, "near": null})).await;
    api.query("{ listStations(near: {latitude: 1, longitude: 2.5, radiusKm: 3}) { id } }", Value::Null).await;
    let arguments: Vec<Value> = api
        .functions
        .calls("Query-listStations")
        .into_iter()
        .map(|mut event| event["arguments"].take())
        .collect();
    assert_eq!(
        arguments,
        [
            json!({"first": 20, "near": {"latitude": 1, "longitude": 2, "radiusKm": 10}}),
            json!({"first": null, "near": null}),
            json!({"first": 20, "near": {"latitude": 1, "longitude": 2.5, "radiusKm": 3}}),
        ]
    );
}
