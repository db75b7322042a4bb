//! A template that cannot be served is refused by name before anything listens.

use serde_json::{Value, json};

use crate::support::{Setup, code};

fn refused(change: impl FnOnce(&mut Setup)) -> (String, String) {
    let mut setup = Setup::new().resolver(
        "Query.getStation",
        "Nothing",
        code("export function request() {} export function response() {}"),
    );
    assert!(setup.definition().is_ok());
    change(&mut setup);
    let error = setup.definition().unwrap_err();
    (error.place, error.problem)
}

fn resolver(change: impl FnOnce(&mut Value)) -> (String, String) {
    refused(|setup| {
        let mut properties = code("export function request() {} export function response() {}");
        properties["TypeName"] = "Query".into();
        properties["FieldName"] = "node".into();
        properties["DataSourceName"] = "Nothing".into();
        change(&mut properties);
        setup.add("Bad", "Resolver", properties, json!({}));
    })
}

#[test]
fn a_property_nobody_knows_is_named() {
    let (place, problem) = refused(|setup| setup.api["Colour"] = "red".into());
    assert!(place.starts_with("Resources.Api.Properties") && problem.contains("Colour"), "{place} {problem}");
    let (place, problem) = resolver(|properties| properties["CachingConfig"] = json!({}));
    assert!(
        place.starts_with("Resources.Bad.Properties") && problem.contains("CachingConfig"),
        "{place} {problem}"
    );
}

#[test]
fn wiring_that_does_not_fit_the_schema_is_named() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str); 8] = [
        (|p| p["TypeName"] = "Nope".into(), "TypeName", "Nope"),
        (|p| p["FieldName"] = "nope".into(), "FieldName", "nope"),
        (|p| p["DataSourceName"] = "Elsewhere".into(), "DataSourceName", "Elsewhere"),
        (|p| p["Code"] = "export function request() {}".into(), "Code", "response"),
        (|p| p["Runtime"]["Name"] = "VTL".into(), "Code", "VTL"),
        (|p| p["Kind"] = "PIPELINE".into(), "PipelineConfig", "PIPELINE"),
        (|p| p["MaxBatchSize"] = "5000".into(), "MaxBatchSize", "5000"),
        (
            |p| {
                p.as_object_mut().unwrap().remove("Code");
                p["CodeS3Location"] = "missing.js".into();
            },
            "CodeS3Location",
            "missing.js",
        ),
    ];
    for (change, property, words) in cases {
        let (place, problem) = resolver(change);
        assert_eq!(place, format!("Resources.Bad.Properties.{property}"), "{problem}");
        assert!(problem.contains(words), "{problem}");
    }
    let (_, problem) = resolver(|properties| properties["FieldName"] = "getStation".into());
    assert_eq!(problem, "Query.getStation has two resolvers");
}

#[test]
fn authorization_that_cannot_be_enforced_is_named() {
    let (place, problem) =
        refused(|setup| setup.api["AuthenticationType"] = "AMAZON_COGNITO_USER_POOLS".into());
    assert_eq!(place, "Resources.Api.Properties.AuthenticationType");
    assert!(problem.contains("AMAZON_COGNITO_USER_POOLS"));
    let (place, _) = refused(|setup| setup.api["LambdaAuthorizerConfig"] = Value::Null);
    assert_eq!(place, "Resources.Api.Properties.LambdaAuthorizerConfig");
    let (place, _) =
        refused(|setup| setup.api["LambdaAuthorizerConfig"]["IdentityValidationExpression"] = "(".into());
    assert_eq!(place, "Resources.Api.Properties.LambdaAuthorizerConfig.IdentityValidationExpression");
    let (place, _) = refused(|setup| {
        setup.api["AdditionalAuthenticationProviders"][0]["AuthenticationType"] = "AWS_IAM".into()
    });
    assert_eq!(place, "Resources.Api.Properties.AdditionalAuthenticationProviders.1");
}

#[test]
fn a_schema_that_is_wrong_is_told_where() {
    for (schema, words) in [
        ("type Query { a: Missing }", "Missing"),
        (
            "type Query { a: Int } type Subscription { s: Int @aws_subscribe(mutations: [\"m\"]) }",
            "mutation m",
        ),
        (
            "type Query { a: Int } type Mutation { m: Int } type Subscription { s: String @aws_subscribe(mutations: [\"m\"]) }",
            "String",
        ),
        ("type Query {", "schema.graphql"),
    ] {
        let (place, problem) = refused(|setup| setup.schema = schema.to_owned());
        assert_eq!(place, "Resources.Schema.Properties.Definition");
        assert!(problem.contains(words), "{problem}");
    }
}
