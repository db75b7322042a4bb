//! Aliases, fragments, abstract types, nulls, scalars, introspection.

use serde_json::{Value, json};

use crate::support::Setup;

fn station(id: &str) -> Value {
    json!({
        "__typename": "Station", "id": id, "name": format!("Station {id}"), "status": "OPERATIONAL",
        "latitude": 48, "points": 4.0, "open": true, "updatedAt": "2026-01-02T03:04:05.678Z",
        "extra": {"a": [1, 2]}, "tags": ["x", "y"],
        "connectors": [{"id": 1, "powerKW": 22.5}, {"id": 2, "powerKW": 50}],
        "operator": {"id": "o", "name": "Grid", "stations": []}
    })
}

fn stations() -> Setup {
    Setup::new().direct("Query.getStation", |event| Ok(station(event["arguments"]["id"].as_str().unwrap())))
}

#[tokio::test]
async fn values_take_their_schema_types_and_fields_keep_the_order_asked_for() {
    let api = stations().serve().await;
    let body = json!({"query": "{ getStation(id: 7) { status name id latitude points open updatedAt extra tags connectors { powerKW id } } }"});
    let response = api.post(&[("authorization", "token-1")], body.to_string()).await;
    assert_eq!(response.headers()["content-type"], "application/json;charset=UTF-8");
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"data":{"getStation":{"status":"OPERATIONAL","name":"Station 7","id":"7","latitude":48.0,"points":4,"open":true,"updatedAt":"2026-01-02T03:04:05.678Z","extra":"{\"a\":[1,2]}","tags":["x","y"],"connectors":[{"powerKW":22.5,"id":"1"},{"powerKW":50.0,"id":"2"}]}}}"#
    );
}

#[tokio::test]
async fn aliases_fragments_and_conditions_select_what_they_say() {
    let api = stations().serve().await;
    let query = "query Both($id: ID!, $with: Boolean!) {
        one: getStation(id: $id) { ...Name kind: __typename tags @skip(if: $with) }
        two: getStation(id: \"b\") { ... on Node { id } ... on Station @include(if: $with) { points } ...Name operator { id } }
      }
      fragment Name on Station { label: name operator { name } }";
    let answer = api.query(query, json!({"id": "a", "with": true})).await;
    assert_eq!(
        answer,
        json!({"data": {
            "one": {"label": "Station a", "operator": {"name": "Grid"}, "kind": "Station"},
            "two": {"id": "b", "points": 4, "label": "Station b", "operator": {"id": "o", "name": "Grid"}},
        }})
    );
}

#[tokio::test]
async fn abstract_types_are_told_by_typename() {
    let api = Setup::new()
        .direct("Query.search", |_| {
            Ok(json!([station("s"), {"__typename": "Operator", "id": "o", "name": "Grid"}]))
        })
        .direct("Query.node", |event| {
            Ok(match event["arguments"]["id"].as_str() {
                Some("unknown") => json!({"id": "x"}),
                Some("foreign") => json!({"__typename": "Query", "id": "x"}),
                _ => json!({"__typename": "Operator", "id": "o", "name": "Grid"}),
            })
        })
        .serve()
        .await;
    let query = "{ search(text: \"s\") { __typename ... on Node { id } ... on Operator { name } } node(id: \"o\") { id ... on Operator { name } } }";
    assert_eq!(
        api.query(query, json!({})).await,
        json!({"data": {
            "search": [{"__typename": "Station", "id": "s"}, {"__typename": "Operator", "id": "o", "name": "Grid"}],
            "node": {"id": "o", "name": "Grid"},
        }})
    );
    for id in ["unknown", "foreign"] {
        let answer = api.query("query ($id: ID!) { node(id: $id) { id } }", json!({"id": id})).await;
        assert_eq!(answer["data"], json!({"node": null}));
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("Could not determine the exact type of 'Node'"), "{message}");
    }
}

#[tokio::test]
async fn null_moves_up_to_the_nearest_field_that_may_be_null() {
    let api = Setup::new()
        .direct("Query.listStations", |_| {
            Ok(json!([
                {"id": "a", "name": "A", "operator": {"id": "o"}},
                {"id": "b", "name": "B", "connectors": [{"id": "1", "powerKW": 1.0}, null]},
                {"id": "c", "name": "C", "tags": "not a list"},
            ]))
        })
        .direct("Query.getStation", |_| Ok(json!({"id": "a"})))
        .direct("Query.needStation", |_| Ok(Value::Null))
        .serve()
        .await;
    let answer =
        api.query("{ listStations { id operator { id name } connectors { id } tags } }", json!({})).await;
    assert_eq!(
        answer["data"]["listStations"],
        json!([
            {"id": "a", "operator": null, "connectors": null, "tags": null},
            {"id": "b", "operator": null, "connectors": null, "tags": null},
            {"id": "c", "operator": null, "connectors": null, "tags": null},
        ])
    );
    assert_eq!(
        answer["errors"],
        json!([
            {"path": ["listStations", 0, "operator", "name"], "locations": null, "message": "Cannot return null for non-nullable type: 'String' within parent 'Operator' (/listStations[0]/operator/name)"},
            {"path": ["listStations", 1, "connectors", 1], "locations": null, "message": "Cannot return null for non-nullable type: 'Connector' within parent 'Station' (/listStations[1]/connectors[1])"},
            {"path": ["listStations", 2, "tags"], "locations": null, "message": "Can't resolve value (/listStations[2]/tags) : type mismatch error, expected type LIST"},
        ])
    );

    let answer = api.query("{ getStation(id: 1) { id name } }", json!({})).await;
    assert_eq!(answer["data"], json!({"getStation": null}));
    let answer = api.query("{ getStation(id: 1) { id } needStation(id: 1) { id } }", json!({})).await;
    assert_eq!(answer["data"], Value::Null, "null reached the root");
    assert_eq!(answer["errors"][0]["path"], json!(["needStation"]));
}

#[tokio::test]
async fn a_value_that_is_not_of_its_type_is_an_error_and_null() {
    let api = Setup::new()
        .direct("Query.getStation", |_| {
            Ok(json!({
                "id": "a", "name": 5, "status": "GONE", "latitude": "north", "points": 4.5, "open": "yes",
                "updatedAt": "yesterday", "tags": ["x", {"y": 1}],
            }))
        })
        .serve()
        .await;
    let answer = api
        .query("{ getStation(id: 1) { name status latitude points open updatedAt tags } }", json!({}))
        .await;
    assert_eq!(
        answer["data"]["getStation"],
        json!({"name": "5", "status": null, "latitude": null, "points": null, "open": null, "updatedAt": null, "tags": null})
    );
    let messages: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "Can't serialize value (/getStation/status) : Invalid input for Enum 'Status'. No value found for name 'GONE'",
            "Can't serialize value (/getStation/latitude) : Expected type 'Float' but was 'String'.",
            "Can't serialize value (/getStation/points) : Expected value to be in the Integer range.",
            "Can't serialize value (/getStation/open) : Expected type 'Boolean' but was 'String'.",
            "Can't serialize value (/getStation/updatedAt) : Unable to serialize `yesterday` as a valid DateTime Object.",
            "Can't serialize value (/getStation/tags[1]) : Expected type 'String' but was 'Map'.",
        ]
    );
}

#[tokio::test]
async fn a_field_without_a_resolver_is_null() {
    let api = Setup::new().serve().await;
    assert_eq!(
        api.query("{ getStation(id: 1) { id } __typename }", json!({})).await,
        json!({"data": {"getStation": null, "__typename": "Query"}})
    );
}

#[tokio::test]
async fn introspection_answers_in_the_specifications_form() {
    let api = stations().serve().await;
    let query = "query Introspection($name: String!) {
        __schema { queryType { name } mutationType { name } subscriptionType { name } types { name } directives { name args { name } } }
        __type(name: $name) { kind name fields { name args { name defaultValue } type { kind name ofType { kind name } } } interfaces { name } possibleTypes { name } }
        getStation(id: 1) { id }
        __typename
      }";
    let answer = api.query(query, json!({"name": "Station"})).await;
    let data = &answer["data"];
    assert_eq!(answer.get("errors"), None);
    assert_eq!(data["__schema"]["queryType"], json!({"name": "Query"}));
    assert_eq!(data["__schema"]["subscriptionType"], json!({"name": "Subscription"}));
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&data["__schema"]["types"]).contains(&"AWSDateTime".to_owned()));
    assert!(names(&data["__schema"]["directives"]).contains(&"aws_subscribe".to_owned()));
    assert_eq!(data["__type"]["interfaces"], json!([{"name": "Node"}]));
    assert_eq!(
        data["__type"]["fields"][0],
        json!({"name": "id", "args": [], "type": {"kind": "NON_NULL", "name": null, "ofType": {"kind": "SCALAR", "name": "ID"}}})
    );
    assert_eq!(data["getStation"], json!({"id": "1"}));
    assert_eq!(data["__typename"], "Query");
}

#[tokio::test]
async fn mutations_run_one_after_another() {
    let api = Setup::new()
        .direct("Mutation.setStatus", |event| Ok(json!({"id": event["arguments"]["id"], "name": "n"})))
        .direct("Mutation.failing", |_| Ok(Value::Null))
        .serve()
        .await;
    let query = "mutation { a: setStatus(id: 1) { id } failing { id } b: setStatus(id: 2) { id } }";
    let answer = api.query(query, json!({})).await;
    assert_eq!(answer, json!({"data": {"a": {"id": "1"}, "failing": null, "b": {"id": "2"}}}));
    let order: Vec<Value> = api
        .functions
        .calls("Mutation-setStatus")
        .iter()
        .map(|event| event["arguments"]["id"].clone())
        .collect();
    assert_eq!(order, ["1", "2"]);
}
