//! `Parameters`: what the caller gives, checked against what the template declares.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use crate::TemplateError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "listed so that any other key is refused")]
struct Declaration {
    r#type: String,
    default: Option<Value>,
    allowed_values: Option<Vec<Value>>,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
    min_length: Option<Value>,
    max_length: Option<Value>,
    min_value: Option<Value>,
    max_value: Option<Value>,
    description: Option<IgnoredAny>,
    no_echo: Option<IgnoredAny>,
}

/// Every declared parameter with its value: a string, a number or a list, as its type says.
pub(crate) fn resolve(
    section: Option<&Value>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let declared: BTreeMap<String, Declaration> = match section {
        None => BTreeMap::new(),
        Some(section) => section
            .as_object()
            .ok_or_else(|| TemplateError::new("Parameters", "must be a map"))?
            .iter()
            .map(|(name, value)| {
                let declaration = Declaration::deserialize(value)
                    .map_err(|error| TemplateError::new(place(name), error.to_string()))?;
                Ok((name.clone(), declaration))
            })
            .collect::<Result<_, TemplateError>>()?,
    };
    if let Some(stranger) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(TemplateError::new(
            place(stranger),
            "a value is given for it, but the template does not declare it",
        ));
    }
    declared
        .iter()
        .map(|(name, declaration)| Ok((name.clone(), value_of(name, declaration, given.get(name))?)))
        .collect()
}

fn place(name: &str) -> String {
    format!("Parameters.{name}")
}

fn value_of(name: &str, declaration: &Declaration, given: Option<&String>) -> Result<Value, TemplateError> {
    let refuse = |problem: String| TemplateError::new(place(name), problem);
    let from_parameter_store = declaration.r#type.starts_with("AWS::SSM::Parameter::Value<");
    let text = match (given, &declaration.default) {
        (Some(given), _) => given.clone(),
        // The default is a name in Parameter Store, which does not exist here.
        (None, Some(default)) if !from_parameter_store => text_of(default)
            .ok_or_else(|| refuse(format!("Default must be a string or a number, not {default}")))?,
        (None, _) => return Err(refuse("has no default and no value is given for it".to_owned())),
    };
    match declaration.r#type.as_str() {
        "Number" => {
            check(declaration, &text).map_err(refuse)?;
            number(&text).map(Value::Number).ok_or_else(|| refuse(format!("{text:?} is not a number")))
        }
        list if list == "CommaDelimitedList" || list.contains("List<") => {
            let items: Vec<&str> = text.split(',').map(str::trim).collect();
            for item in &items {
                check(declaration, item).map_err(refuse)?;
            }
            if list == "List<Number>"
                && let Some(item) = items.iter().find(|item| number(item).is_none())
            {
                return Err(refuse(format!("{item:?} is not a number")));
            }
            Ok(Value::from(items))
        }
        kind if kind == "String" || kind.starts_with("AWS::") => {
            check(declaration, &text).map_err(refuse)?;
            Ok(Value::String(text))
        }
        other => Err(refuse(format!("the parameter type {other} is not known"))),
    }
}

fn check(declaration: &Declaration, text: &str) -> Result<(), String> {
    let hint =
        declaration.constraint_description.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    if let Some(allowed) = &declaration.allowed_values {
        let allowed: Vec<String> = allowed.iter().filter_map(text_of).collect();
        if !allowed.iter().any(|value| value == text) {
            return Err(format!("{text:?} is not one of {}{hint}", allowed.join(", ")));
        }
    }
    if let Some(pattern) = &declaration.allowed_pattern {
        // CloudFormation matches the whole value.
        let expression = regex::Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| format!("AllowedPattern cannot be read: {error}"))?;
        if !expression.is_match(text) {
            return Err(format!("{text:?} does not match {pattern}{hint}"));
        }
    }
    let length = text.chars().count() as f64;
    let magnitude = text.parse::<f64>().ok();
    let bounds = [
        ("MinLength", &declaration.min_length, Some(length), true),
        ("MaxLength", &declaration.max_length, Some(length), false),
        ("MinValue", &declaration.min_value, magnitude, true),
        ("MaxValue", &declaration.max_value, magnitude, false),
    ];
    for (name, bound, actual, lower) in bounds {
        let Some(bound) = bound.as_ref().and_then(text_of) else { continue };
        let limit: f64 = bound.parse().map_err(|_| format!("{name} {bound:?} is not a number"))?;
        if !actual.is_some_and(|actual| if lower { actual >= limit } else { actual <= limit }) {
            return Err(format!("{text:?} breaks {name} {bound}{hint}"));
        }
    }
    Ok(())
}

fn number(text: &str) -> Option<Number> {
    text.parse::<i64>().map(Number::from).ok().or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

/// A scalar as CloudFormation writes it into strings.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn problem(section: &Value, pairs: &[(&str, &str)]) -> String {
        resolve(Some(section), &given(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn a_default_is_used_and_overridden() {
        let section = json!({"Stage": {"Type": "String", "Default": "dev"}});
        assert_eq!(resolve(Some(&section), &given(&[])).unwrap()["Stage"], "dev");
        assert_eq!(resolve(Some(&section), &given(&[("Stage", "prod")])).unwrap()["Stage"], "prod");
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let problem = problem(&json!({"ClusterArn": {"Type": "String"}}), &[]);
        assert!(problem.contains("Parameters.ClusterArn") && problem.contains("no value"), "{problem}");
    }

    #[test]
    fn an_undeclared_parameter_is_named() {
        assert!(problem(&json!({}), &[("Typo", "x")]).contains("Parameters.Typo"));
    }

    #[test]
    fn constraints_are_checked_with_their_description() {
        let section = json!({"Stage": {"Type": "String", "AllowedValues": ["dev", "prod"]}});
        assert!(problem(&section, &[("Stage", "qa")]).contains("dev, prod"));
        let section = json!({"Id": {"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "lower case"}});
        assert!(problem(&section, &[("Id", "abc1")]).contains("lower case"));
        let section = json!({"Size": {"Type": "Number", "MinValue": 1, "MaxValue": "10"}});
        assert!(problem(&section, &[("Size", "11")]).contains("MaxValue 10"));
        assert!(problem(&section, &[("Size", "many")]).contains("Parameters.Size"));
        let origins = json!({"Origins": {"Type": "CommaDelimitedList", "AllowedPattern": "https://[a-z.]+"}});
        assert!(problem(&origins, &[("Origins", "https://a.example,*")]).contains("\"*\" does not match"));
        let section = json!({"Name": {"Type": "String", "MinLength": 3}});
        assert!(problem(&section, &[("Name", "ab")]).contains("MinLength 3"));
    }

    #[test]
    fn types_decide_the_shape() {
        let section = json!({
            "Count": {"Type": "Number", "Default": 3},
            "Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"},
            "Origins": {"Type": "CommaDelimitedList", "Default": "a, b"},
        });
        let values = resolve(Some(&section), &given(&[("Subnets", "subnet-1,subnet-2")])).unwrap();
        assert_eq!(values["Count"], json!(3));
        assert_eq!(values["Subnets"], json!(["subnet-1", "subnet-2"]));
        assert_eq!(values["Origins"], json!(["a", "b"]));
        assert!(problem(&json!({"X": {"Type": "Strnig", "Default": ""}}), &[]).contains("Strnig"));
    }

    #[test]
    fn a_parameter_store_default_is_not_a_value() {
        let section = json!({"Ami": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/aws/x"}});
        assert!(problem(&section, &[]).contains("Parameters.Ami"));
    }

    #[test]
    fn an_unknown_key_of_a_parameter_is_refused() {
        assert!(problem(&json!({"X": {"Type": "String", "Defualt": "a"}}), &[]).contains("Defualt"));
    }
}
