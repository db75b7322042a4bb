//! EventBridge's input transformer: placeholders in a template, filled from the event.
//!
//! A string that stands alone gets quotes; within quotes it is put in as it is, never escaped. An object or
//! array within quotes loses its own. What the event lacks is the empty string.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json_path::JsonPath;

/// `InputTransformer` as the template writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Properties {
    #[serde(default)]
    input_paths_map: BTreeMap<String, String>,
    input_template: String,
}

/// What the placeholders that need no path stand for.
#[derive(Debug, Clone)]
pub(super) struct Delivery<'a> {
    pub(super) rule_name: &'a str,
    pub(super) rule_arn: &'a str,
    /// ISO 8601.
    pub(super) ingestion_time: &'a str,
}

/// A template whose placeholders are all known.
#[derive(Debug, Clone)]
pub(super) struct InputTransformer(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value { source: Source, quoted: bool },
}

#[derive(Debug, Clone)]
enum Source {
    Path(JsonPath),
    RuleName,
    RuleArn,
    IngestionTime,
    Event,
    EventWithoutDetail,
}

impl TryFrom<Properties> for InputTransformer {
    type Error = String;

    fn try_from(properties: Properties) -> Result<Self, String> {
        let mut paths = BTreeMap::new();
        for (name, path) in &properties.input_paths_map {
            if name.to_ascii_lowercase().starts_with("aws.") {
                return Err(format!("InputPathsMap: names that start with AWS. are reserved: {name}"));
            }
            paths.insert(name.as_str(), path.parse::<JsonPath>()?);
        }
        let mut pieces = Vec::new();
        let (mut text, mut quoted, mut escaped) = (String::new(), false, false);
        let mut rest = properties.input_template.as_str();
        while let Some(mark) = rest.chars().next() {
            rest = &rest[mark.len_utf8()..];
            if mark == '<' {
                let (name, tail) = rest.split_once('>').ok_or("InputTemplate: a < has no >")?;
                let source = source(name, &paths)
                    .ok_or_else(|| format!("InputTemplate: <{name}> is not in InputPathsMap"))?;
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Value { source, quoted });
                (rest, escaped) = (tail, false);
                continue;
            }
            if mark == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = mark == '\\' && !escaped;
            text.push(mark);
        }
        pieces.push(Piece::Text(text));
        Ok(Self(pieces))
    }
}

fn source(name: &str, paths: &BTreeMap<&str, JsonPath>) -> Option<Source> {
    Some(match name {
        "aws.events.rule-name" => Source::RuleName,
        "aws.events.rule-arn" => Source::RuleArn,
        "aws.events.event.ingestion-time" => Source::IngestionTime,
        "aws.events.event.json" => Source::Event,
        "aws.events.event" => Source::EventWithoutDetail,
        name => Source::Path(paths.get(name)?.clone()),
    })
}

impl InputTransformer {
    /// The target's input. The error says why it is not JSON, in which case EventBridge does not deliver.
    pub(super) fn render(&self, event: &Value, delivery: &Delivery<'_>) -> Result<Value, String> {
        let text: String = self.0.iter().map(|piece| piece.render(event, delivery)).collect();
        serde_json::from_str(&text)
            .map_err(|error| format!("the transformed input is not JSON: {error}: {text}"))
    }
}

impl Piece {
    fn render(&self, event: &Value, delivery: &Delivery<'_>) -> String {
        let (source, quoted) = match self {
            Self::Text(text) => return text.clone(),
            Self::Value { source, quoted } => (source, *quoted),
        };
        let value = match source {
            Source::Path(path) => path.find(event).unwrap_or_else(|| "".into()),
            Source::RuleName => delivery.rule_name.into(),
            Source::RuleArn => delivery.rule_arn.into(),
            Source::IngestionTime => delivery.ingestion_time.into(),
            Source::Event => event.clone(),
            Source::EventWithoutDetail => {
                let mut event = event.clone();
                if let Some(fields) = event.as_object_mut() {
                    fields.remove("detail");
                }
                event
            }
        };
        match value {
            Value::String(text) if quoted => text,
            value @ (Value::Object(_) | Value::Array(_)) if quoted => value.to_string().replace('"', ""),
            value => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "version": "0", "id": "7bf73129", "detail-type": "SESSION_UPDATED", "source": "ev.session",
            "time": "2026-01-02T03:04:05Z", "resources": ["arn:x"],
            "detail": {"sessionId": "s-1", "kwh": 1.5, "live": true, "cost": {"amount": "2.10"}, "none": null},
        })
    }

    fn render(paths: &Value, template: &str, event: &Value) -> Result<Value, String> {
        let properties = json!({"InputPathsMap": paths, "InputTemplate": template});
        let transformer =
            InputTransformer::try_from(serde_json::from_value::<Properties>(properties).unwrap())?;
        let delivery = Delivery {
            rule_name: "live",
            rule_arn: "arn:aws:events:eu-west-1:000000000000:rule/bus/live",
            ingestion_time: "2026-01-02T03:04:06Z",
        };
        transformer.render(event, &delivery)
    }

    #[test]
    fn placeholders_are_filled_as_documented() {
        let paths = json!({"id": "$.detail.sessionId", "kwh": "$.detail.kwh", "live": "$.detail.live",
            "cost": "$.detail.cost", "none": "$.detail.none", "lost": "$.detail.lost", "list": "$.resources"});
        for (template, expected) in [
            (r#"{"id": <id>, "kwh": <kwh>, "live": <live>}"#, json!({"id": "s-1", "kwh": 1.5, "live": true})),
            (r#"{"id": "<id>", "text": "<id> at <kwh>"}"#, json!({"id": "s-1", "text": "s-1 at 1.5"})),
            (r#"{"mixed": [9, <id>, true]}"#, json!({"mixed": [9, "s-1", true]})),
            (r#"{"input": <cost>}"#, json!({"input": {"amount": "2.10"}})),
            (r#"{"text": "cost <cost> of <list>"}"#, json!({"text": "cost {amount:2.10} of [arn:x]"})),
            (
                r#"{"none": <none>, "lost": <lost>, "text": "[<lost>]"}"#,
                json!({"none": null, "lost": "", "text": "[]"}),
            ),
            (r#""session \"<id>\" is on""#, json!("session \"s-1\" is on")),
            (
                r#"{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>", "at": <aws.events.event.ingestion-time>}"#,
                json!({"rule": "live", "arn": "arn:aws:events:eu-west-1:000000000000:rule/bus/live",
                    "at": "2026-01-02T03:04:06Z"}),
            ),
            ("<aws.events.event.json>", event()),
        ] {
            assert_eq!(render(&paths, template, &event()).unwrap(), expected, "{template}");
        }
        let bare = render(&json!({}), r#"{"event": <aws.events.event>}"#, &event()).unwrap();
        assert_eq!(bare["event"]["id"], "7bf73129");
        assert!(bare["event"].get("detail").is_none());
    }

    #[test]
    fn unknown_placeholder_is_refused_when_the_rule_is_read() {
        assert!(
            render(&json!({}), r#"{"id": <id>}"#, &event())
                .unwrap_err()
                .contains("<id> is not in InputPathsMap")
        );
        assert!(render(&json!({}), r#"{"id": <id}"#, &event()).is_err());
        assert!(render(&json!({"AWS.x": "$"}), "{}", &event()).is_err());
    }

    #[test]
    fn quote_within_quotes_is_not_escaped_and_so_not_delivered() {
        let event = json!({"detail": {"name": "the \"fast\" one"}});
        let paths = json!({"name": "$.detail.name"});
        assert!(render(&paths, r#"{"text": "<name>"}"#, &event).unwrap_err().contains("not JSON"));
        assert_eq!(
            render(&paths, r#"{"text": <name>}"#, &event).unwrap(),
            json!({"text": "the \"fast\" one"})
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn value_that_stands_alone_arrives_unchanged(value in any_json()) {
            let event = json!({"detail": {"v": value}});
            let rendered = render(&json!({"v": "$.detail.v"}), r#"{"out": <v>, "two": [<v>]}"#, &event);
            prop_assert_eq!(rendered, Ok(json!({"out": value, "two": [value]})));
        }
    }
}
