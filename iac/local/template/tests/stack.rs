//! Templates as a deployment would read them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use local_template::{Endpoints, LoadOptions, Resource, Stack};
use serde_json::{Value, json};

fn options() -> LoadOptions {
    LoadOptions {
        stack_name: "ev".into(),
        region: "eu-central-1".into(),
        account: "000000000000".into(),
        parameters: BTreeMap::new(),
        endpoints: Endpoints {
            aws: "http://127.0.0.1:4566".into(),
            graphql: "http://127.0.0.1:4000".into(),
            http_api: "http://127.0.0.1:4001".into(),
            websocket_api: "http://127.0.0.1:4002".into(),
        },
    }
}

fn stack(template: &str) -> Stack {
    Stack::parse(template, &options()).unwrap()
}

fn problem(template: &str) -> String {
    Stack::parse(template, &options()).expect_err("the template should be refused").to_string()
}

/// Evaluates one expression by putting it into a resource's property.
fn evaluate(expression: &str) -> Value {
    evaluate_with("", expression)
}

fn evaluate_with(sections: &str, expression: &str) -> Value {
    let template = format!(
        "{sections}\nResources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q}}}}\n  Fn:\n    \
         Type: AWS::Serverless::Function\n    Properties:\n      X: {expression}\n"
    );
    stack(&template).resources["Fn"].properties["X"].clone()
}

fn evaluation_problem(expression: &str) -> String {
    problem(&format!("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      X: {expression}\n"))
}

fn attribute<'r>(resource: &'r Resource, name: &str) -> &'r str {
    &resource.attributes[name]
}

#[test]
fn every_function_is_evaluated_in_both_spellings() {
    let cases = [
        ("!Ref AWS::Region", json!("eu-central-1")),
        ("{Ref: AWS::AccountId}", json!("000000000000")),
        (
            "!Sub 'arn:${AWS::Partition}:x:${AWS::StackName}.${AWS::URLSuffix}'",
            json!("arn:aws:x:ev.amazonaws.com"),
        ),
        ("!Sub ['${a}-${Q.QueueName}-${!keep}', {a: !Ref AWS::Region}]", json!("eu-central-1-q-${keep}")),
        ("{'Fn::Sub': 'x'}", json!("x")),
        ("!GetAtt Q.Arn", json!("arn:aws:sqs:eu-central-1:000000000000:q")),
        ("{'Fn::GetAtt': [Q, QueueName]}", json!("q")),
        ("!Join ['/', [a, !Ref AWS::Region, 3]]", json!("a/eu-central-1/3")),
        ("!Split [',', 'a,b']", json!(["a", "b"])),
        ("!Select [1, !Split [',', 'a,b']]", json!("b")),
        ("!Select ['0', [x, y]]", json!("x")),
        ("!Base64 hello", json!("aGVsbG8=")),
        ("[1, !Ref AWS::NoValue, 2]", json!([1, 2])),
        ("{a: 1, b: !Ref AWS::NoValue}", json!({"a": 1})),
        ("{Condition: {StringEquals: {k: v}}}", json!({"Condition": {"StringEquals": {"k": "v"}}})),
    ];
    for (expression, expected) in cases {
        assert_eq!(evaluate(expression), expected, "{expression}");
    }
}

#[test]
fn mistakes_in_functions_are_named_with_their_place() {
    let cases = [
        ("!Ref Nope", "Nope"),
        ("!Sub '${Nope.Arn}'", "Nope"),
        ("!Sub '${Q'", "closing brace"),
        ("!GetAtt Q.Size", "Q has no attribute Size (it has: Arn, QueueName, QueueUrl)"),
        ("!Cidr ['10.0.0.0/16', 2, 8]", "Fn::Cidr"),
        ("!Transform {Name: AWS::Include}", "Fn::Transform"),
        ("!ImportValue network-Vpc", "network-Vpc"),
        ("!If [Nope, 1, 2]", "no condition Nope"),
        ("!FindInMap [A, b, c]", "Mappings.A.b.c"),
        ("!Select [5, [a]]", "under 1"),
        ("!Join [a]", "Fn::Join needs"),
        ("!Join ['', [[a]]]", "list of strings"),
        ("'{{resolve:ssm:/x:1}}'", "{{resolve:ssm:/x:1}}"),
        ("{Ref: Q, Other: 1}", "beside other keys"),
    ];
    for (expression, expected) in cases {
        let problem = evaluation_problem(expression);
        assert!(problem.contains(expected) && problem.contains("Resources.Q.Properties.X"), "{problem}");
    }
}

#[test]
fn parameters_mappings_and_conditions_decide_together() {
    let sections = "
Parameters: {Stage: {Type: String, Default: dev}, Size: {Type: Number, Default: 128}}
Mappings: {Sizes: {dev: {memory: 256, 200: ok}}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsSmall: !Not [!Condition IsProd]
  Both: !And [!Condition IsSmall, !Equals [!FindInMap [Sizes, !Ref Stage, memory], 256]]
  Either: !Or [!Condition IsProd, !Condition Both]";
    for (expression, expected) in [
        ("!If [IsProd, 1, 2]", json!(2)),
        ("!If [Both, !Ref Stage, b]", json!("dev")),
        ("!If [Either, {a: !Ref Size}, b]", json!({"a": 128})),
        ("!FindInMap [Sizes, dev, '200']", json!("ok")),
        ("!Sub '${Size}'", json!("128")),
    ] {
        assert_eq!(evaluate_with(sections, expression), expected, "{expression}");
    }
}

#[test]
fn conditions_that_cannot_be_decided_are_refused() {
    let resources = "Resources: {}";
    assert!(
        problem(&format!("Conditions: {{A: !Condition B, B: !Condition A}}\n{resources}")).contains("itself")
    );
    assert!(problem(&format!("Conditions: {{A: !Equals [1]}}\n{resources}")).contains("Fn::Equals"));
    assert!(problem(&format!("Conditions: {{A: !Ref X}}\n{resources}")).contains("Conditions.A"));
    assert!(problem(&format!("Conditions: {{A: yes}}\n{resources}")).contains("not a condition"));
}

#[test]
fn a_resource_whose_condition_fails_is_dropped_and_cannot_be_referred_to() {
    let template = "
Conditions: {Never: !Equals [a, b]}
Resources:
  Gone: {Type: AWS::SQS::Queue, Condition: Never}
  Kept: {Type: AWS::SQS::Queue, DependsOn: Gone}
Outputs:
  Gone: {Condition: Never, Value: !Ref Gone}
  Kept: {Value: !GetAtt Kept.QueueName}";
    let loaded = stack(template);
    assert_eq!(loaded.resources.keys().collect::<Vec<_>>(), ["Kept"]);
    assert_eq!(loaded.outputs.keys().collect::<Vec<_>>(), ["Kept"]);
    let refers = format!("{template}\n  Bad: {{Value: !Ref Gone}}");
    assert!(problem(&refers).contains("Gone does not exist: its condition does not hold"));
}

#[test]
fn what_is_not_understood_is_named() {
    for (template, expected) in [
        (
            "Resources: {A: {Type: AWS::Kinesis::Stream}}",
            "Resources.A: the resource type AWS::Kinesis::Stream",
        ),
        ("Resources: {A: {Type: AWS::SQS::Queue, CreationPolicy: {}}}", "CreationPolicy"),
        ("Resources: {A: {Properties: {}}}", "Type"),
        ("Rules: {}\nResources: {}", "Rules"),
        ("Transform: AWS::LanguageExtensions\nResources: {}", "AWS::LanguageExtensions"),
        ("Globals: {Api: {}}\nResources: {}", "Globals.Api"),
        ("Globals: {Function: {Policies: []}}\nResources: {}", "Globals.Function.Policies"),
        ("Resources: {A: {Type: AWS::SQS::Queue, DependsOn: [B]}}", "no resource B"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Condition: C}}", "no condition C"),
        ("Resources: {a-b: {Type: AWS::SQS::Queue}}", "Resources.a-b"),
        (
            "Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicy: {}}}}",
            "Resources.R.Properties.AssumeRolePolicy",
        ),
        ("Resources: {R: {Type: AWS::CloudWatch::Alarm, Properties: {Treshold: 1}}}", "Treshold"),
        ("Resources: {}\nOutputs: {O: {Value: x, Exprot: y}}", "Exprot"),
    ] {
        let problem = problem(template);
        assert!(problem.contains(expected), "{template}: {problem}");
    }
}

#[test]
fn an_inert_resource_is_checked_even_when_its_condition_fails() {
    let template = "
Conditions: {Never: !Equals [a, b]}
Resources: {A: {Type: AWS::Logs::LogGroup, Condition: Never, Properties: {Retention: 3}}}";
    assert!(problem(template).contains("Resources.A.Properties.Retention"));
}

#[test]
fn a_function_inherits_globals_and_overrides_them() {
    let loaded = stack(
        "
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Timeout: 5
    MemorySize: 256
    Architectures: [arm64]
    Environment: {Variables: {LOG: info, STAGE: !Ref AWS::StackName}}
    Tags: {team: ev}
    VpcConfig: {SubnetIds: [a]}
  HttpApi: {CorsConfiguration: {AllowOrigins: ['*']}}
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 30
      Environment: {Variables: {LOG: debug, COUNT: 3, ON: true}}
      Tags: {cost: a}
      VpcConfig: {SubnetIds: [b]}
  Api: {Type: AWS::Serverless::HttpApi}",
    );
    assert_eq!(
        loaded.resources["Fn"].properties,
        json!({
            "Timeout": 30, "MemorySize": 256, "Architectures": ["arm64"],
            "Environment": {"Variables": {"LOG": "debug", "STAGE": "ev", "COUNT": "3", "ON": "true"}},
            "Tags": {"team": "ev", "cost": "a"},
            "VpcConfig": {"SubnetIds": ["a", "b"]},
        })
    );
    assert_eq!(loaded.resources["Api"].properties, json!({"CorsConfiguration": {"AllowOrigins": ["*"]}}));
}

#[test]
fn a_function_expression_replaces_a_global_map() {
    let loaded = stack(
        "
Globals: {Function: {VpcConfig: {SubnetIds: [a]}}}
Conditions: {Never: !Equals [a, b]}
Resources:
  Fn: {Type: AWS::Serverless::Function, Properties: {VpcConfig: !If [Never, {SubnetIds: [b]}, !Ref AWS::NoValue]}}",
    );
    assert_eq!(loaded.resources["Fn"].properties, json!({}));
}

#[test]
fn names_and_attributes_have_the_forms_of_aws() {
    let loaded = stack(
        "
Resources:
  Api: {Type: AWS::AppSync::GraphQLApi, Properties: {Name: ev, AuthenticationType: API_KEY}}
  Schema: {Type: AWS::AppSync::GraphQLSchema, Properties: {ApiId: !GetAtt Api.ApiId}}
  Key: {Type: AWS::AppSync::ApiKey, Properties: {ApiId: !GetAtt Api.ApiId}}
  Source: {Type: AWS::AppSync::DataSource, Properties: {ApiId: !GetAtt Api.ApiId, Name: me, Type: NONE}}
  Me: {Type: AWS::AppSync::Resolver, Properties: {ApiId: !GetAtt Api.ApiId, TypeName: Query, FieldName: me}}
  Sockets: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET, Name: o}}
  Live: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Sockets, StageName: live}}
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${AWS::StackName}-bill'}}
  Orders: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  Topic: {Type: AWS::SNS::Topic}
  Table: {Type: AWS::DynamoDB::Table, Properties: {StreamSpecification: {StreamViewType: NEW_IMAGE}}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub '${AWS::StackName}-bus'}}
  Rule: {Type: AWS::Events::Rule, Properties: {EventBusName: !Ref Bus, Name: ended}}
  Tick: {Type: AWS::Events::Rule, Properties: {Name: tick, ScheduleExpression: rate(1 minute)}}
  Fn: {Type: AWS::Serverless::Function, Properties: {}}
  Log: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub '/aws/lambda/${Fn}'}}
  Role: {Type: AWS::IAM::Role, Properties: {Path: /ev/}}
  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {AlarmName: deep}}
Outputs:
  FnRole: {Value: !GetAtt FnRole.Arn}
  Bus: {Value: !GetAtt Bus.Name}",
    );
    let get = |id: &str| &loaded.resources[id];
    let api = get("Api");
    let id = attribute(api, "ApiId");
    assert_eq!(id.len(), 26);
    assert_eq!(api.physical_id, format!("arn:aws:appsync:eu-central-1:000000000000:apis/{id}"));
    assert!(attribute(api, "GraphQLUrl").ends_with(".appsync-api.eu-central-1.amazonaws.com/graphql"));
    assert!(attribute(api, "RealtimeUrl").starts_with("wss://"));
    assert!(attribute(api, "GraphQLEndpointArn").contains(":endpoints/graphql-api/"));
    assert!(attribute(get("Key"), "ApiKey").starts_with("da2-"));
    assert_eq!(attribute(get("Key"), "ApiKey").len(), 30);
    assert_eq!(get("Schema").physical_id, format!("{id}GraphQLSchema"));
    assert_eq!(attribute(get("Source"), "DataSourceArn"), format!("{}/datasources/me", api.physical_id));
    assert!(get("Me").physical_id.ends_with("/types/Query/resolvers/me"));
    assert_eq!(get("Sockets").physical_id.len(), 10);
    assert!(attribute(get("Sockets"), "ApiEndpoint").starts_with("wss://"));
    assert_eq!(get("Live").physical_id, "live");
    assert_eq!(get("Queue").physical_id, "http://127.0.0.1:4566/000000000000/ev-bill");
    assert!(attribute(get("Orders"), "QueueName").ends_with(".fifo"));
    assert!(get("Topic").physical_id.starts_with("arn:aws:sns:eu-central-1:000000000000:ev-Topic-"));
    assert!(attribute(get("Table"), "StreamArn").contains("/stream/"));
    assert_eq!(attribute(get("Rule"), "Arn"), "arn:aws:events:eu-central-1:000000000000:rule/ev-bus/ended");
    assert_eq!(get("Rule").physical_id, "ev-bus|ended");
    assert_eq!(attribute(get("Tick"), "Arn"), "arn:aws:events:eu-central-1:000000000000:rule/tick");
    assert!(get("Fn").physical_id.starts_with("ev-Fn-"));
    assert_eq!(get("Log").physical_id, format!("/aws/lambda/{}", get("Fn").physical_id));
    assert!(attribute(get("Role"), "Arn").starts_with("arn:aws:iam::000000000000:role/ev/ev-Role-"));
    assert!(attribute(get("Alarm"), "Arn").ends_with(":alarm:deep"));
    assert!(loaded.outputs["FnRole"].starts_with("arn:aws:iam::000000000000:role/ev-FnRole-"));
    assert_eq!(loaded.outputs["Bus"], "ev-bus");
}

#[test]
fn names_are_the_same_at_every_start_and_differ_between_stacks() {
    let template = "Resources: {Fn: {Type: AWS::Serverless::Function}}";
    let name = |stack_name: &str| {
        let options = LoadOptions { stack_name: stack_name.into(), ..options() };
        Stack::parse(template, &options).unwrap().resources["Fn"].physical_id.clone()
    };
    assert_eq!(name("ev"), name("ev"));
    assert_ne!(name("ev"), name("other"));
    assert!(name(&"long".repeat(30)).len() <= 64);
}

#[test]
fn a_function_with_a_role_of_its_own_has_no_implied_one() {
    let template = "
Resources:
  Own: {Type: AWS::IAM::Role}
  Fn: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Own.Arn}}
Outputs: {Arn: {Value: !GetAtt FnRole.Arn}}";
    assert!(problem(template).contains("FnRole is neither"));
}

#[test]
fn functions_dial_local_addresses_while_attributes_keep_those_of_aws() {
    let loaded = stack(
        "
Resources:
  Sockets: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}
  Rest: {Type: AWS::Serverless::HttpApi}
  Graph: {Type: AWS::AppSync::GraphQLApi, Properties: {Name: g}}
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      Description: !Sub 'https://${Sockets}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live'
      Environment:
        Variables:
          MANAGEMENT: !Sub 'https://${Sockets}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live'
          SOCKET: !Sub '${Sockets.ApiEndpoint}/live'
          REST: !Sub '${Rest.ApiEndpoint}/v1'
          GRAPHQL: !GetAtt Graph.GraphQLUrl
          REALTIME: !GetAtt Graph.RealtimeUrl
          OTHER: https://example.com/live
Outputs:
  Rest: {Value: !GetAtt Rest.ApiEndpoint}",
    );
    let properties = &loaded.resources["Fn"].properties;
    assert_eq!(
        properties["Environment"]["Variables"],
        json!({
            "MANAGEMENT": "http://127.0.0.1:4002/live",
            "SOCKET": "ws://127.0.0.1:4002/live",
            "REST": "http://127.0.0.1:4001/v1",
            "GRAPHQL": "http://127.0.0.1:4000/graphql",
            "REALTIME": "ws://127.0.0.1:4000/graphql/realtime",
            "OTHER": "https://example.com/live",
        })
    );
    assert!(properties["Description"].as_str().unwrap().contains("execute-api"));
    assert_eq!(loaded.outputs["Rest"], "http://127.0.0.1:4001");
}

#[test]
fn the_api_that_sam_adds_can_be_referred_to() {
    let template = "
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties: {Events: {Get: {Type: HttpApi, Properties: {Path: /x, Method: GET}}}}
Outputs: {Url: {Value: !GetAtt ServerlessHttpApi.ApiEndpoint}}";
    assert_eq!(stack(template).outputs["Url"], "http://127.0.0.1:4001");
    assert!(problem(&template.replace("HttpApi,", "SQS,")).contains("ServerlessHttpApi is neither"));
}

#[test]
fn resources_that_wait_for_one_another_are_refused() {
    let queues = "
Resources:
  A: {Type: AWS::SQS::Queue, Properties: {Tags: !GetAtt B.Arn}}
  B: {Type: AWS::SQS::Queue, Properties: {Tags: !GetAtt A.Arn}}";
    assert!(problem(queues).contains("A -> B -> A"));
    let names = "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt A.QueueName}}}";
    assert!(problem(names).contains("refers to itself"));
    let depends =
        "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, B: {Type: AWS::SNS::Topic, DependsOn: A}}";
    assert!(problem(depends).contains("circular"));
    // The API's definition names the function, so the function cannot be told the API's address.
    let api = "
Resources:
  Api: {Type: AWS::Serverless::HttpApi}
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      Environment: {Variables: {URL: !Ref Api}}
      Events: {Get: {Type: HttpApi, Properties: {ApiId: !Ref Api}}}";
    assert!(problem(api).contains("circular"), "{}", problem(api));
}

#[test]
fn a_functions_events_do_not_make_a_cycle_with_its_queue() {
    stack(
        "
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {Tags: !GetAtt Fn.Arn}}
  Fn:
    Type: AWS::Serverless::Function
    Properties: {Events: {Q: {Type: SQS, Properties: {Queue: !GetAtt Q.Arn}}}}",
    );
}

#[test]
fn typed_properties_name_what_nobody_handles() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "PascalCase")]
    struct Queue {
        queue_name: String,
    }
    let loaded = stack("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: a}}}");
    let queues = loaded.of_kind::<Queue>("AWS::SQS::Queue").unwrap();
    assert_eq!(queues[0].1.queue_name, "a");
    let loaded = stack("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: a, Delay: 1}}}");
    let error = loaded.of_kind::<Queue>("AWS::SQS::Queue").unwrap_err().to_string();
    assert!(error.contains("Resources.A.Properties (AWS::SQS::Queue)") && error.contains("Delay"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    assert!(Stack::load(&path, &options()).unwrap_err().to_string().contains("template.yaml"));
    std::fs::write(&path, "Resources: {A: {Type: AWS::SNS::Topic}}").unwrap();
    assert_eq!(Stack::load(&path, &options()).unwrap().resources.len(), 1);
}
