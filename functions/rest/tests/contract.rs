//! The OpenAPI document is one, says everything, and says nothing that the door does not do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared::{CorrelationId, Failure};

/// Methods and paths; an HTTP API writes its routes the same way.
const ROUTES: [&str; 12] = [
    "DELETE /v1/bookings/holds/{token}",
    "GET /v1/bookings",
    "GET /v1/openapi.json",
    "GET /v1/stations",
    "GET /v1/stations/{id}",
    "GET /v1/stations/{id}/availability",
    "POST /v1/bookings/confirm",
    "POST /v1/bookings/holds",
    "POST /v1/bookings/{id}/cancel",
    "POST /v1/vendor/webhooks/connector-status",
    "POST /v1/vendor/webhooks/session-end",
    "POST /v1/vendor/webhooks/session-start",
];
const CONTRACT: &str = "GET /v1/openapi.json";

fn document() -> Value {
    serde_json::from_str(rest::OPENAPI).unwrap()
}

fn fields(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

/// What `value` is, or what it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => {
            document.pointer(target.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{target}"))
        }
        None => value,
    }
}

/// By route.
fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let paths = fields(&document["paths"]).iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = fields(item).iter();
        methods
            .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), fields(operation)))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn is_webhook(route: &str) -> bool {
    route.contains("/webhooks/")
}

/// Everything in the document, with the place it is at.
fn visit(value: &Value, place: &str, look: &mut impl FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| visit(value, &format!("{place}/{at}"), look))
        }
        Value::Object(all) => {
            all.iter().for_each(|(name, value)| visit(value, &format!("{place}/{name}"), look))
        }
        _ => {}
    }
}

fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn it_is_what_openapi_says_a_document_is() {
    let schema = include_str!("openapi-3.1.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let errors: Vec<_> = schema.iter_errors(&document()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn it_has_every_route_and_no_other() {
    let document = document();
    let routes: Vec<_> = operations(&document).into_iter().map(|(route, _)| route).collect();
    assert_eq!(routes, ROUTES);
    let samples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events")).unwrap();
    for sample in samples.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let sample: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
        let route = sample["routeKey"].as_str().unwrap_or_default();
        assert!(!route.contains(" /v1/") || ROUTES.contains(&route), "{route}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    visit(&document, "#", &mut |place, value| {
        if let Some(target) = value["$ref"].as_str() {
            assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{place}: {target}");
            used.insert(target.to_owned());
        }
    });
    for (kind, components) in
        fields(&document["components"]).iter().filter(|(kind, _)| *kind != "securitySchemes")
    {
        for name in fields(components).keys() {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "nobody uses {name}");
        }
    }
}

#[test]
fn every_operation_says_who_may_what_goes_in_and_what_comes_out() {
    let document = document();
    assert_eq!(document["security"], json!([{ "bearerAuth": [] }]));
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(Value::to_string).collect();
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{route}");
        assert!(operation["summary"].is_string() && operation["description"].is_string(), "{route}");
        assert!(
            operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag.to_string())),
            "{route}"
        );
        let is_open = is_webhook(&route) || route == CONTRACT;
        assert_eq!(operation.get("security"), is_open.then_some(&json!([])), "{route}");

        let mut expected = BTreeSet::from(["429", "500", "503"]);
        expected.insert(if is_webhook(&route) { "202" } else { "200" });
        if route != CONTRACT {
            expected.extend(["400", "401"]);
        }
        if route.starts_with("POST") {
            expected.insert("413");
        }
        if route.starts_with("POST") && !is_webhook(&route) {
            expected.extend(["409", "415"]);
        }
        if route.contains('{') || route == "POST /v1/bookings/holds" || route == "POST /v1/bookings/confirm" {
            expected.insert("404");
        }
        let told: BTreeSet<_> = fields(&operation["responses"]).keys().map(String::as_str).collect();
        assert_eq!(told, expected, "{route}");
        parameters_are_whole(&document, &route, operation);
    }
}

fn parameters_are_whole(document: &Value, route: &str, operation: &Map<String, Value>) {
    let nothing = Vec::new();
    let parameters = operation.get("parameters").and_then(Value::as_array).unwrap_or(&nothing);
    let parameters: Vec<_> = parameters.iter().map(|parameter| resolved(document, parameter)).collect();
    let in_path: BTreeSet<_> =
        route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let told: BTreeSet<_> = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(told, in_path, "{route}");
    assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{route}");
    if is_webhook(route) {
        for name in ["x-vendor-id", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            let header = parameters.iter().find(|parameter| parameter["name"] == name);
            assert!(
                header.is_some_and(|header| header["in"] == "header" && header["required"] == true),
                "{name}"
            );
        }
    }
    let has_body = route.starts_with("POST") && !route.ends_with("/cancel");
    assert_eq!(operation.contains_key("requestBody"), has_body, "{route}");
    if has_body {
        assert_eq!(operation["requestBody"]["required"], true, "{route}");
    }
}

#[test]
fn objects_are_closed_but_what_others_fill() {
    let document = document();
    let open = ["GatewayError", "ConnectorStatusReport", "SessionStartReport", "SessionEndReport"];
    for (name, schema) in fields(&document["components"]["schemas"]) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], open.contains(&name.as_str()), "{name}");
            let known = fields(&schema["properties"]);
            let required = schema["required"].as_array().unwrap();
            assert!(required.iter().all(|name| known.contains_key(name.as_str().unwrap())), "{name}");
        }
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
}

/// A generator of clients names methods after operations; whoever reads the document wants to see one of each thing.
#[test]
fn every_operation_shows_what_is_sent_and_what_comes() {
    let document = document();
    let shows = |value: &Value| value.get("example").is_some() || value.get("examples").is_some();
    for (route, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(char::is_alphanumeric));
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            assert!(parameter["required"] != true || shows(parameter), "{route}: {}", parameter["name"]);
        }
        if let Some(body) = operation.get("requestBody") {
            assert!(shows(&body["content"]["application/json"]), "{route}");
        }
        for (status, response) in fields(&operation["responses"]) {
            let response = resolved(&document, response);
            assert!(shows(&response["content"]["application/json"]), "{route} {status}");
        }
    }
}

/// Whoever is told to come again is told when, and a link leads to an operation by parameters that this one has.
#[test]
fn what_comes_next_is_told() {
    let document = document();
    let operations = operations(&document);
    let mut links = 0;
    for (route, operation) in &operations {
        for (status, response) in fields(&operation["responses"]) {
            let response = resolved(&document, response);
            let is_the_gateways = *route == CONTRACT;
            let has = |name: &str| response["headers"].get(name).is_some();
            assert_eq!(has("Retry-After"), !is_the_gateways && matches!(&**status, "429" | "503"), "{route}");
            assert_eq!(has("WWW-Authenticate"), status == "401" && !is_webhook(route), "{route}");
            for (name, link) in response["links"].as_object().into_iter().flatten() {
                let target =
                    operations.iter().find(|(_, target)| target["operationId"] == link["operationId"]);
                let (target_route, target) = target.unwrap_or_else(|| panic!("{route}: {name}"));
                for parameter in link["parameters"].as_object().into_iter().flatten().map(|(name, _)| name) {
                    assert!(target_route.contains(&format!("{{{parameter}}}")), "{route}: {name}");
                }
                assert!(link.get("requestBody").is_none() || target.contains_key("requestBody"), "{name}");
                links += 1;
            }
        }
    }
    assert!(links > 4, "{links}");
}

#[test]
fn every_example_is_what_its_schema_says() {
    let document = document();
    let mut examples = 0;
    visit(&document, "#", &mut |place, value| {
        if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
            let schema = validator(&document, schema);
            assert!(schema.is_valid(example), "{place}: {:?}", schema.validate(example));
            examples += 1;
        }
        // A medium's have names, a schema's are a list.
        for (name, example) in value.get("examples").and_then(Value::as_object).into_iter().flatten() {
            let schema = validator(&document, &value["schema"]);
            assert!(
                schema.is_valid(&example["value"]),
                "{place}: {name}: {:?}",
                schema.validate(&example["value"])
            );
            examples += 1;
        }
        for example in value.get("examples").and_then(Value::as_array).unwrap_or(&Vec::new()) {
            assert!(validator(&document, value).is_valid(example), "{place}: {example}");
        }
    });
    assert!(examples > 20, "{examples}");
}

/// The door's own answers are those that the contract names.
#[test]
fn every_failure_is_told_as_the_contract_says() {
    let document = document();
    for (failure, response) in [
        (Failure::invalid("limit", "must be between 1 and 100"), "BadRequest"),
        (Failure::Unauthenticated("send an access token"), "Unauthenticated"),
        (Failure::NotFound("station"), "NotFound"),
        (Failure::Limited { retry_after_seconds: 9 }, "Limited"),
        (Failure::fault("password=hunter2"), "Internal"),
        (Failure::Unavailable("the database"), "Unavailable"),
    ] {
        let answer = rest::answer::<()>(Err(failure), CorrelationId::new());
        let told = &document["components"]["responses"][response];
        let media = &told["content"]["application/json"];
        let body: Value = serde_json::from_str(answer.body()).unwrap();
        assert!(validator(&document, &media["schema"]).is_valid(&body), "{body}");
        let example = media.get("example").unwrap_or(&media["examples"]["ours"]["value"]);
        assert_eq!(example["error"]["code"], body["error"]["code"]);
        for name in fields(&told["headers"]).keys() {
            assert!(answer.headers().contains_key(name.to_ascii_lowercase()), "{response} lacks {name}");
        }
    }
    let conflict = rest::answer::<()>(Err(Failure::conflict("SLOT_TAKEN", "taken")), CorrelationId::new());
    let conflict: Value = serde_json::from_str(conflict.body()).unwrap();
    assert!(validator(&document, &json!({ "$ref": "#/components/schemas/Error" })).is_valid(&conflict));
}

#[test]
fn what_only_the_gateway_answers_is_told_apart() {
    let document = document();
    for (response, is_of_both) in [
        ("Limited", true),
        ("Unavailable", true),
        ("Internal", true),
        ("NotFound", true),
        ("BadRequest", false),
    ] {
        let schema = &document["components"]["responses"][response]["content"]["application/json"]["schema"];
        let gateways = json!({ "message": "Service Unavailable" });
        assert_eq!(validator(&document, schema).is_valid(&gateways), is_of_both, "{response}");
    }
    for (response, message) in
        [("NotFound", "Not Found"), ("Limited", "Too Many Requests"), ("Unavailable", "Service Unavailable")]
    {
        let shown = &document["components"]["responses"][response]["content"]["application/json"]["examples"];
        assert_eq!(shown["gateways"]["value"], json!({ "message": message }), "{response}");
    }
}
