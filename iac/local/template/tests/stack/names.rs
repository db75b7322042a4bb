//! Physical names, attributes and addresses: AWS's forms, the same at every start.

use local_template::{LoadOptions, Resource, Stack};
use serde_json::json;

use crate::{options, problem, stack};

fn attribute<'r>(resource: &'r Resource, name: &str) -> &'r str {
    &resource.attributes[name]
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
  Acl: {Type: AWS::WAFv2::WebACL, Properties: {Name: wall, Scope: REGIONAL, DefaultAction: {Allow: {}}}}
  Guard: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !GetAtt Api.Arn, WebACLArn: !GetAtt Acl.Arn}}
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
    let acl = attribute(get("Acl"), "Id");
    assert_eq!(get("Acl").physical_id, format!("wall|{acl}|REGIONAL"));
    let arn = format!("arn:aws:wafv2:eu-central-1:000000000000:regional/webacl/wall/{acl}");
    assert_eq!(get("Guard").properties, json!({"ResourceArn": api.physical_id, "WebACLArn": arn}));
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
