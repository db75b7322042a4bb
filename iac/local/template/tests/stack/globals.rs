//! What functions inherit from `Globals`.

use serde_json::json;

use crate::stack;

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
