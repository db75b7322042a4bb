//! CloudFormation's YAML as JSON: short-form tags (`!Sub`) become their long forms (`Fn::Sub`), so that
//! everything after this file knows one spelling. Evaluates nothing.

use serde_json::{Map, Number, Value};
use serde_yaml_ng::Value as Yaml;

use crate::TemplateError;

/// Reads YAML (or JSON, which is YAML) text.
pub(crate) fn parse(text: &str) -> Result<Value, TemplateError> {
    let yaml: Yaml =
        serde_yaml_ng::from_str(text).map_err(|error| TemplateError::new("template", error.to_string()))?;
    convert(yaml, "template")
}

fn convert(yaml: Yaml, place: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => number_of(&number, place)?,
        Yaml::String(value) => Value::String(value),
        Yaml::Sequence(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| convert(item, &format!("{place}[{index}]")))
                .collect::<Result<_, _>>()?,
        ),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = key_of(key, place)?;
                let value = convert(value, &format!("{place}.{key}"))?;
                if object.insert(key.clone(), value).is_some() {
                    return Err(TemplateError::new(place, format!("{key} is given twice")));
                }
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            long_form(tag.trim_start_matches('!'), convert(tagged.value, place)?, place)?
        }
    })
}

fn number_of(number: &serde_yaml_ng::Number, place: &str) -> Result<Value, TemplateError> {
    let json = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
    json.or_else(|| number.as_f64().and_then(Number::from_f64))
        .map(Value::Number)
        .ok_or_else(|| TemplateError::new(place, format!("{number} is not a number CloudFormation accepts")))
}

fn key_of(key: Yaml, place: &str) -> Result<String, TemplateError> {
    match key {
        Yaml::String(key) if key == "<<" => {
            Err(TemplateError::new(place, "YAML merge keys (<<) are not CloudFormation"))
        }
        Yaml::String(key) => Ok(key),
        // `200:` in an OpenAPI body, an account number in a mapping.
        Yaml::Number(key) => Ok(key.to_string()),
        Yaml::Bool(key) => Ok(key.to_string()),
        other => Err(TemplateError::new(place, format!("a key must be a string, not {other:?}"))),
    }
}

fn long_form(tag: &str, argument: Value, place: &str) -> Result<Value, TemplateError> {
    let (function, argument) = match (tag, argument) {
        ("Ref" | "Condition", argument) => (tag.to_owned(), argument),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').ok_or_else(|| {
                TemplateError::new(place, format!("!GetAtt {path} must be written Resource.Attribute"))
            })?;
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (_, argument) => (format!("Fn::{tag}"), argument),
    };
    Ok(Value::Object(Map::from_iter([(function, argument)])))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn short_tags_become_long_forms_at_any_depth() {
        let value = parse("a: !Join ['-', [!Ref X, !Sub 'y-${Z}', !GetAtt Q.Endpoint.Address]]\nb: !If [C, 1, !Ref AWS::NoValue]")
            .unwrap();
        assert_eq!(
            value,
            json!({
                "a": {"Fn::Join": ["-", [{"Ref": "X"}, {"Fn::Sub": "y-${Z}"}, {"Fn::GetAtt": ["Q", "Endpoint.Address"]}]]},
                "b": {"Fn::If": ["C", 1, {"Ref": "AWS::NoValue"}]},
            })
        );
    }

    #[test]
    fn dates_account_numbers_and_numeric_keys_keep_their_spelling() {
        let value = parse("Version: 2012-10-17\nAccount: 012345678901\nCodes: {200: ok}").unwrap();
        assert_eq!(
            value,
            json!({"Version": "2012-10-17", "Account": "012345678901", "Codes": {"200": "ok"}})
        );
    }

    #[test]
    fn a_repeated_key_is_refused() {
        let error = parse("A: 1\nA: 2").unwrap_err().to_string();
        assert!(error.contains("duplicate") && error.contains('A'), "{error}");
    }

    #[test]
    fn merge_keys_and_undotted_getatt_are_refused() {
        assert!(parse("a: &x {b: 1}\nc:\n  <<: *x").unwrap_err().to_string().contains("merge"));
        assert!(parse("a: !GetAtt Queue").unwrap_err().to_string().contains("!GetAtt Queue"));
    }

    #[test]
    fn a_syntax_error_tells_its_line() {
        assert!(parse("a: [1\nb: 2").unwrap_err().to_string().contains("line"));
    }
}
