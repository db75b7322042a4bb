//! Direct Lambda resolvers, code, pipelines, batches, the NONE data source, and what their failures become.

use serde_json::{Value, json};

use crate::support::{Setup, TOKEN, code};

#[tokio::test]
async fn a_direct_resolver_receives_the_whole_context() {
    let api = Setup::new()
        .direct("Query.getStation", |_| Ok(json!({"id": "s", "operator": {"id": "o"}})))
        .direct("Operator.stations", |_| Ok(json!([])))
        .serve()
        .await;
    let query = "query Q($id: ID!) { s: getStation(id: $id) { ...Part operator { own: stations { id c: connectors { id } } } } } \
                 fragment Part on Station { id near: tags }";
    api.query(query, json!({"id": "s"})).await;
    let event = api.functions.calls("Query-getStation").remove(0);
    assert_eq!(event["arguments"], json!({"id": "s"}));
    assert_eq!(event["identity"], json!({"resolverContext": {"userId": "u1"}}));
    assert_eq!(event["source"], Value::Null);
    assert_eq!(event["prev"], Value::Null);
    assert_eq!(event["stash"], json!({}));
    assert_eq!(event["request"]["domainName"], Value::Null);
    assert_eq!(event["request"]["headers"]["authorization"], "token-1");
    assert_eq!(event["request"]["headers"]["x-forwarded-for"], "127.0.0.1, 127.0.0.1");
    let info = &event["info"];
    assert_eq!(info["fieldName"], "getStation");
    assert_eq!(info["parentTypeName"], "Query");
    assert_eq!(info["variables"], json!({"id": "s"}));
    assert_eq!(
        info["selectionSetList"],
        json!([
            "id",
            "near",
            "operator",
            "operator/own",
            "operator/own/id",
            "operator/own/c",
            "operator/own/c/id"
        ])
    );
    assert_eq!(
        info["selectionSetGraphQL"],
        "{\n  ... on Station {\n    id\n    near: tags\n  }\n  operator {\n    own: stations {\n      id\n      c: connectors {\n        id\n      }\n    }\n  }\n}"
    );
    let nested = api.functions.calls("Operator-stations").remove(0);
    assert_eq!(nested["source"], json!({"id": "o"}));
    assert_eq!(nested["info"]["parentTypeName"], "Operator");
}

#[tokio::test]
async fn a_failed_function_is_a_field_error() {
    let api = Setup::new()
        .direct("Query.getStation", |_| Err(json!({"errorType": "Panic", "errorMessage": "out of cheese"})))
        .scripted("Query.node", |_| Err(json!({"errorType": "Panic", "errorMessage": "out of luck"})))
        .resolver("Query.itself", "authorize", code("export function request() { return {operation: 'Invoke'}; } export function response(ctx) { return {id: 'o', name: ctx.error ? ctx.error.type : 'fine'}; }"))
        .direct("Mutation.failing", |_| Ok(json!("a text where an object should be")))
        .serve()
        .await;
    assert_eq!(
        api.query("{\n  station: getStation(id: 1) { id }\n}", json!({})).await,
        json!({
            "data": {"station": null},
            "errors": [{
                "path": ["station"], "data": null, "errorType": "Lambda:Unhandled", "errorInfo": null,
                "locations": [{"line": 2, "column": 12, "sourceName": null}], "message": "out of cheese",
            }],
        })
    );
    let answer = api.query("{ node(id: 1) { id } itself { name } }", json!({})).await;
    assert_eq!(answer["errors"][0]["errorType"], "Lambda:Unhandled");
    assert_eq!(answer["errors"][0]["message"], "out of luck");
    assert_eq!(answer["data"]["itself"], json!({"name": "fine"}));
    assert_eq!(api.query("mutation { failing { id } }", json!({})).await["data"], json!({"failing": null}));
}

#[tokio::test]
async fn the_projects_resolvers_name_the_request_in_every_error() {
    const OURS: &str = include_str!("../../../../../graphql/resolvers/lambda.js");
    let id = "018f0000-0000-7000-8000-000000000002";
    let api = Setup::new()
        .function("refuses", move |_| {
            let info = json!({"field": "input.email", "correlationId": id});
            Ok(json!({"errorType": "Invalid", "errorMessage": "input.email: is no address", "errorInfo": info}))
        })
        .function("fails", move |_| {
            let message = format!("internal error, correlation id {id}");
            Err(json!({"errorType": "Fault", "errorMessage": message}))
        })
        .function("dies", |_| Err(json!({"errorType": "Runtime.ExitError", "errorMessage": "exited"})))
        .resolver("Query.getStation", "refuses", code(OURS))
        .resolver("Query.node", "fails", code(OURS))
        .resolver("Query.itself", "dies", code(OURS))
        .serve()
        .await;
    let body = json!({"query": "{ getStation(id: 1) { id } node(id: 1) { id } itself { id } }"}).to_string();
    let headers = [("authorization", TOKEN), ("x-correlation-id", "the app's own")];
    let answer: Value = api.post(&headers, body.clone()).await.json().await.unwrap();
    let told = |answer: &Value, field: &str| {
        let mut errors = answer["errors"].as_array().unwrap().iter();
        let error = errors.find(|error| error["path"][0] == field).unwrap();
        error["errorInfo"].clone()
    };
    assert_eq!(told(&answer, "getStation"), json!({"field": "input.email", "correlationId": id}));
    assert_eq!(told(&answer, "node"), json!({"correlationId": id}));
    assert_eq!(told(&answer, "itself"), json!({"correlationId": "the app's own"}));

    let answer: Value = api.post(&headers[..1], body).await.json().await.unwrap();
    assert_eq!(told(&answer, "itself"), json!({}));
}

#[tokio::test]
async fn code_raises_a_functions_own_errors() {
    let api = Setup::new()
        .scripted("Query.getStation", |_| {
            Ok(json!({
                "errorType": "NotFound", "errorMessage": "no such station",
                "errorInfo": {"id": "s"}, "data": {"id": "s", "hidden": true},
            }))
        })
        .resolver(
            "Query.node",
            "Nothing",
            code(
                "import { util } from '@aws-appsync/utils';
                 export function request(ctx) { return { payload: { __typename: 'Operator', id: ctx.args.id, name: util.autoId() } }; }
                 export function response(ctx) { util.appendError('careful', 'Soft'); return ctx.result; }",
            ),
        )
        .resolver(
            "Query.itself",
            "Nothing",
            code(
                "import { util } from '@aws-appsync/utils';
                 export function request() { util.unauthorized(); }
                 export function response() {}",
            ),
        )
        .resolver("Query.batched", "Nothing", code("export function request(ctx) { return ctx.no.such; } export function response() {}"))
        .serve()
        .await;
    let error = &api.query("{ getStation(id: 1) { id } }", json!({})).await["errors"][0];
    assert_eq!(
        (&error["errorType"], &error["message"], &error["errorInfo"], &error["data"]),
        (&json!("NotFound"), &json!("no such station"), &json!({"id": "s"}), &json!({"id": "s"}))
    );
    let answer = api.query("{ node(id: 1) { id } itself { id } batched { id } }", json!({})).await;
    assert_eq!(answer["data"], json!({"node": {"id": "1"}, "itself": null, "batched": null}));
    let errors: Vec<(&str, &str)> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["errorType"].as_str().unwrap(), error["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            ("Soft", "careful"),
            ("Unauthorized", "Not Authorized to access itself on type Query"),
            ("Code", "Runtime Error")
        ]
    );
}

#[tokio::test]
async fn a_pipeline_passes_results_and_stash_on() {
    let mut setup = Setup::new().function("double", |event| Ok(json!(event["n"].as_i64().unwrap() * 2)));
    for (logical, source, text) in [
        (
            "First",
            "double",
            "export function request(ctx) { ctx.stash.first = ctx.prev.result.start; return { operation: 'Invoke', payload: { n: 2 } }; }
             export function response(ctx) { return { doubled: ctx.result }; }",
        ),
        (
            "Second",
            "Nothing",
            "import { runtime } from '@aws-appsync/utils';
             export function request(ctx) {
               if (ctx.args.id === 'skip') runtime.earlyReturn({ skipped: true });
               if (ctx.args.id === 'end') runtime.earlyReturn({ ended: true }, { skipTo: 'END' });
               return { payload: { ...ctx.prev.result, second: ctx.stash.first } };
             }
             export function response(ctx) { return ctx.result; }",
        ),
        (
            "Third",
            "Nothing",
            "export function request(ctx) { return { payload: { ...ctx.prev.result, third: true } }; }
             export function response(ctx) { return ctx.result; }",
        ),
    ] {
        let mut function = json!({"Name": logical, "DataSourceName": source});
        function.as_object_mut().unwrap().extend(code(text).as_object().unwrap().clone());
        setup.add(logical, "FunctionConfiguration", function, json!({"FunctionId": logical}));
    }
    let mut resolver = json!({
        "TypeName": "Query", "FieldName": "piped", "Kind": "PIPELINE",
        "PipelineConfig": {"Functions": ["First", "Second", "Third"]},
    });
    let text = "export function request(ctx) { return { start: ctx.args.id }; }
                export function response(ctx) { return { all: ctx.prev.result, stash: ctx.stash }; }";
    resolver.as_object_mut().unwrap().extend(code(text).as_object().unwrap().clone());
    setup.add("Piped", "Resolver", resolver, json!({}));
    let api = setup.serve().await;
    for (id, all) in [
        ("go", json!({"doubled": 4, "second": "go", "third": true})),
        ("skip", json!({"skipped": true, "third": true})),
        ("end", json!({"ended": true})),
    ] {
        let answer = api.query("query ($id: ID!) { piped(id: $id) }", json!({"id": id})).await;
        let piped: Value = serde_json::from_str(answer["data"]["piped"].as_str().unwrap()).unwrap();
        assert_eq!(piped, json!({"all": all, "stash": {"first": id}}));
    }
}

fn operators() -> Value {
    (1..=5).map(|id| json!({"id": id, "name": format!("O{id}")})).collect()
}

#[tokio::test]
async fn a_direct_resolver_with_a_batch_size_is_asked_for_many_at_once() {
    let api = Setup::new()
        .direct("Query.batched", |_| Ok(operators()))
        .function("stations", |events| {
            let answer = |event: &Value| match event["source"]["id"].as_i64().unwrap() {
                2 => json!({"data": null, "errorMessage": "no second", "errorType": "Second"}),
                3 => json!({"data": [{"id": "s3"}]}),
                id => json!([{"id": format!("s{id}")}]),
            };
            Ok(events.as_array().unwrap().iter().map(answer).collect())
        })
        .resolver("Operator.stations", "stations", json!({"MaxBatchSize": 3}))
        .serve()
        .await;
    let answer = api.query("{ batched { id stations { id } } }", json!({})).await;
    assert_eq!(
        api.functions
            .calls("stations")
            .iter()
            .map(|batch| batch.as_array().unwrap().len())
            .collect::<Vec<_>>(),
        [3, 2]
    );
    // `stations` is non-null, so its failure takes the operator, and that the list.
    assert_eq!(answer["data"], json!({"batched": null}));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
    assert_eq!(answer["errors"][0]["path"], json!(["batched", 1, "stations"]));
    assert_eq!(answer["errors"][0]["errorType"], "Second");
}

#[tokio::test]
async fn code_may_ask_for_a_batch() {
    let text = "export function request(ctx) { return { operation: 'BatchInvoke', payload: ctx.source.id }; }
                export function response(ctx) { return ctx.result; }";
    let mut extra = code(text);
    extra["MaxBatchSize"] = 10.into();
    let api = Setup::new()
        .direct("Query.batched", |_| Ok(operators()))
        .function("stations", |ids| {
            Ok(ids.as_array().unwrap().iter().map(|id| json!([{"id": id}])).collect())
        })
        .resolver("Operator.stations", "stations", extra)
        .serve()
        .await;
    let answer = api.query("{ batched { stations { id } } }", json!({})).await;
    let ids: Vec<&Value> = answer["data"]["batched"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operator| &operator["stations"][0]["id"])
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
    assert_eq!(api.functions.calls("stations"), [json!([1, 2, 3, 4, 5])]);
}

#[tokio::test]
async fn a_batch_answered_with_the_wrong_number_fails_each_of_its_fields() {
    let api = Setup::new()
        .direct("Query.listStations", |_| Ok(json!([{"id": 1}, {"id": 2}])))
        .function("operator", |_| Ok(json!([null])))
        .resolver("Station.operator", "operator", json!({"MaxBatchSize": 10}))
        .serve()
        .await;
    let answer = api.query("{ listStations { operator { id } } }", json!({})).await;
    assert_eq!(answer["data"], json!({"listStations": [{"operator": null}, {"operator": null}]}));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
    assert_eq!(answer["errors"][0]["errorType"], "Lambda:IllegalArgument");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_at_once_share_the_engines() {
    let api = std::sync::Arc::new(
        Setup::new()
            .scripted("Query.getStation", |event| Ok(json!({"id": event["arguments"]["id"], "name": "n"})))
            .serve()
            .await,
    );
    let requests = (0..200).map(|id| {
        let api = std::sync::Arc::clone(&api);
        tokio::spawn(async move {
            let answer =
                api.query("query ($id: ID!) { getStation(id: $id) { id } }", json!({"id": id})).await;
            assert_eq!(answer, json!({"data": {"getStation": {"id": id.to_string()}}}));
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap();
    }
}
