//! What is not understood, or cannot be: an error that names it.

use local_template::Stack;

use crate::{options, problem, stack};

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
        (
            "Resources: {W: {Type: AWS::WAFv2::WebACL, Properties: {Scope: REGIONAL, Rule: []}}}",
            "W.Properties.Rule",
        ),
        ("Resources: {W: {Type: AWS::WAFv2::WebACL, Properties: {Scope: EDGE}}}", "W.Properties.Scope"),
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
