//! Schema, resolvers, binaries, samples, event schemas and template tell of one system; these fail when one of
//! them is changed alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use local_template::{Endpoints, LoadOptions, Stack};
use serde_json::Value;

fn root() -> PathBuf {
    tests::stack::Stack::root()
}

fn files(directory: &str, extension: &str) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let matching = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    matching.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Function name → its source text.
fn binaries() -> BTreeMap<String, String> {
    let contexts = fs::read_dir(root().join("functions")).unwrap().map(|entry| entry.unwrap().file_name());
    let found =
        contexts.flat_map(|context| files(&format!("functions/{}/src/bin", context.to_str().unwrap()), "rs"));
    found.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

fn template() -> Stack {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let declared = template["Parameters"].as_mapping().unwrap().iter();
    let required = declared.filter(|(_, parameter)| parameter.get("Default").is_none());
    let value = |parameter: &serde_yaml_ng::Value| match parameter["Type"].as_str() {
        Some("Number") => "1".to_owned(),
        _ => "arn:aws:any:eu-central-1:000000000000:thing".to_owned(),
    };
    let parameters =
        required.map(|(name, parameter)| (name.as_str().unwrap().to_owned(), value(parameter))).collect();
    let url = || "http://127.0.0.1:1".to_owned();
    let endpoints = Endpoints { aws: url(), graphql: url(), http_api: url(), websocket_api: url() };
    let options = LoadOptions {
        stack_name: "ev".into(),
        region: "eu-central-1".into(),
        account: "000000000000".into(),
        parameters,
        endpoints,
    };
    Stack::parse(&text, &options).unwrap()
}

/// Logical id of a function → the binary that its `CodeUri` names.
fn functions(template: &Stack) -> BTreeMap<String, String> {
    let functions =
        template.resources.values().filter(|resource| resource.kind == "AWS::Serverless::Function");
    functions
        .map(|function| {
            let uri = function.properties["CodeUri"].as_str().unwrap();
            let binary = uri.strip_prefix("target/lambda/").and_then(|rest| rest.strip_suffix('/'));
            (
                function.logical_id.clone(),
                binary.unwrap_or_else(|| panic!("{}: {uri}", function.logical_id)).to_owned(),
            )
        })
        .collect()
}

/// `Type.field` → the function that resolves it; none for the NONE data source.
fn resolvers(template: &Stack) -> BTreeMap<String, Option<String>> {
    let functions = functions(template);
    let source = |name: &str| {
        let mut sources =
            template.resources.values().filter(|resource| resource.kind == "AWS::AppSync::DataSource");
        sources
            .find(|source| source.properties["Name"] == *name)
            .unwrap_or_else(|| panic!("no data source {name}"))
    };
    let resolvers = template.resources.values().filter(|resource| resource.kind == "AWS::AppSync::Resolver");
    resolvers
        .map(|resolver| {
            let text = |property: &str| resolver.properties[property].as_str().unwrap().to_owned();
            let arn =
                source(&text("DataSourceName")).properties["LambdaConfig"]["LambdaFunctionArn"].as_str();
            let function = arn.map(|arn| {
                let mut candidates = functions.iter();
                let found = candidates.find(|(id, _)| template.resources[*id].attributes["Arn"] == arn);
                found.unwrap_or_else(|| panic!("no function {arn}")).1.clone()
            });
            (format!("{}.{}", text("TypeName"), text("FieldName")), function)
        })
        .collect()
}

fn schema() -> Schema {
    let mut text = String::from(
        "directive @aws_lambda on OBJECT | FIELD_DEFINITION
         directive @aws_api_key on OBJECT | FIELD_DEFINITION
         directive @aws_iam on OBJECT | FIELD_DEFINITION
         directive @aws_subscribe(mutations: [String!]!) on FIELD_DEFINITION
         scalar AWSDate scalar AWSDateTime scalar AWSEmail\n",
    );
    for path in files("graphql", "graphql").values() {
        text.push_str(&fs::read_to_string(path).unwrap());
    }
    Schema::parse(text, "graphql/").unwrap()
}

fn root_fields(schema: &Schema) -> BTreeMap<String, BTreeSet<String>> {
    let types = ["Query", "Mutation", "Subscription"];
    let fields = types.into_iter().flat_map(|type_name| {
        let Some(ExtendedType::Object(object)) = schema.types.get(type_name) else {
            panic!("no {type_name}")
        };
        object.fields.values().map(move |field| {
            let arguments = field.arguments.iter().map(|argument| argument.name.to_string()).collect();
            (format!("{type_name}.{}", field.name), arguments)
        })
    });
    fields.collect()
}

fn event_types(text: &str, before: &str) -> BTreeSet<String> {
    let names = text.split(before).skip(1).map(|rest| rest.trim_start());
    let names = names.filter_map(|rest| rest.strip_prefix('\'').or_else(|| rest.strip_prefix('"')));
    let names = names
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect::<String>());
    names.filter(|name| name.len() > 3).collect()
}

/// Every `emit('TYPE'` in migrations and sources.
fn emitted() -> BTreeSet<String> {
    let mut sources: Vec<PathBuf> = files("functions/migrate/migrations", "sql").into_values().collect();
    let mut directories = vec![root().join("functions")];
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    // The functions that write a subscription's period and tell of a booking are told which event that is.
    let emitting = ["emit(", "begin_subscription_period(", "emit_booking("];
    let texts = sources.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| emitting.map(|call| event_types(&text, call))).flatten().collect()
}

#[test]
fn every_function_is_in_the_template_and_none_else() {
    let wired: BTreeSet<_> = functions(&template()).into_values().collect();
    let built: BTreeSet<_> = binaries().into_keys().collect();
    assert_eq!(wired, built);
}

#[test]
fn every_function_has_an_alarm_on_its_faults() {
    let template = template();
    let alarms = template.resources.values().filter(|resource| resource.kind == "AWS::CloudWatch::Alarm");
    let metrics =
        alarms.flat_map(|alarm| alarm.properties["Metrics"].as_array().cloned().unwrap_or_default());
    let metrics = metrics.map(|metric| metric["MetricStat"]["Metric"].clone());
    let watched: BTreeSet<_> = metrics
        .filter(|metric| metric["Namespace"] == "AWS/Lambda" && metric["MetricName"] == "Errors")
        .map(|metric| metric["Dimensions"][0]["Value"].as_str().unwrap().to_owned())
        .collect();
    let functions: BTreeSet<_> =
        functions(&template).into_keys().map(|id| template.resources[&id].physical_id.clone()).collect();
    assert_eq!(watched, functions);
}

#[test]
fn every_main_is_short_and_says_what_it_serves() {
    for (name, source) in binaries() {
        assert!(source.lines().count() <= 40, "{name} has {} lines", source.lines().count());
        assert!(source.starts_with("//! "), "{name} does not say what it serves");
    }
}

#[test]
fn every_function_has_a_sample_event_and_none_else() {
    let samples: BTreeSet<_> = files("events", "json").into_keys().collect();
    let built: BTreeSet<_> = binaries().into_keys().collect();
    assert_eq!(samples, built);
}

#[test]
fn every_operation_has_a_resolver_and_none_else() {
    let resolved: BTreeSet<_> = resolvers(&template()).into_keys().collect();
    let declared: BTreeSet<_> = root_fields(&schema()).into_keys().collect();
    assert_eq!(resolved, declared);
}

#[test]
fn a_resolvers_sample_is_of_its_own_operation_with_known_arguments() {
    let fields = root_fields(&schema());
    let samples = files("events", "json");
    for (field, function) in resolvers(&template()) {
        let Some(function) = function else { continue };
        let sample = json(&samples[&function]);
        let info = &sample["info"];
        let named =
            format!("{}.{}", info["parentTypeName"].as_str().unwrap(), info["fieldName"].as_str().unwrap());
        assert_eq!(named, field, "events/{function}.json");
        for argument in sample["arguments"].as_object().unwrap().keys() {
            assert!(
                fields[&field].contains(argument),
                "events/{function}.json: {field} has no argument {argument}"
            );
        }
    }
}

#[test]
fn every_event_type_has_a_schema_and_a_producer() {
    let schemas: BTreeSet<_> = files("events/schemas", "json").into_keys().collect();
    assert_eq!(schemas, emitted());
}

#[test]
fn every_schema_is_valid_and_demands_the_envelope() {
    for (name, path) in files("events/schemas", "json") {
        let schema = json(&path);
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let required = schema["required"].as_array().unwrap();
        for field in ["eventId", "eventType", "version", "timestamp", "source", "correlationId"] {
            assert!(required.contains(&field.into()), "{name} does not demand {field}");
        }
    }
}

#[test]
fn what_rules_listen_for_has_a_schema() {
    let schemas = files("events/schemas", "json");
    for rule in template().resources.values().filter(|resource| resource.kind == "AWS::Events::Rule") {
        for event_type in rule.properties["EventPattern"]["detail-type"].as_array().unwrap() {
            let event_type = event_type.as_str().unwrap();
            assert!(schemas.contains_key(event_type), "{} listens for {event_type}", rule.logical_id);
        }
    }
}

#[test]
fn what_consumers_are_shown_passes_the_schema() {
    let schemas = files("events/schemas", "json");
    let mut shown = 0;
    for (function, path) in files("events", "json") {
        for record in json(&path)["Records"].as_array().into_iter().flatten() {
            let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            // The payment provider's hints are no events: they come over a queue, not over the bus.
            let Some(event) = body.get("detail") else { continue };
            let schema = json(&schemas[event["eventType"].as_str().unwrap()]);
            jsonschema::validate(&schema, event)
                .unwrap_or_else(|error| panic!("events/{function}.json: {error}"));
            shown += 1;
        }
    }
    assert!(shown >= 3, "only {shown} consumers have samples");
}

#[test]
fn every_route_of_v1_is_in_its_contract_and_none_else() {
    let template = template();
    let functions =
        template.resources.values().filter(|resource| resource.kind == "AWS::Serverless::Function");
    let events = functions.filter_map(|function| function.properties["Events"].as_object());
    let routes = events.flat_map(|events| events.values()).filter(|event| event["Type"] == "HttpApi");
    let text = |event: &Value, property: &str| event["Properties"][property].as_str().unwrap().to_owned();
    let routes: BTreeSet<_> = routes
        .map(|event| format!("{} {}", text(event, "Method"), text(event, "Path")))
        .filter(|route| route.contains(" /v1/"))
        .collect();
    let contract = json(&root().join("functions/rest/openapi/v1.json"));
    let paths = contract["paths"].as_object().unwrap().iter();
    let told: BTreeSet<_> = paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(routes, told);
}
