//! Intrinsic functions, parameters, mappings and conditions: what a template computes.

use serde_json::{Value, json};

use crate::{problem, stack};

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
