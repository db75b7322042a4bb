//! `RouteSelectionExpression`: which part of a message names its route.

use serde_json::Value;

/// A path into a JSON message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Selection {
    /// Reads `$request.body.action`, `$request.body.[2]`, `$request.body.data[0].type`, braces around it or not.
    pub(crate) fn parse(expression: &str) -> Option<Self> {
        let bare = expression.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let path = bare.or_else(|| expression.strip_prefix('$'))?.strip_prefix("request.body")?;
        let mut steps = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            if let Some(bracketed) = rest.strip_prefix(".[").or_else(|| rest.strip_prefix('[')) {
                let (index, after) = bracketed.split_once(']')?;
                steps.push(Step::Index(index.parse().ok()?));
                rest = after;
            } else {
                let dotted = rest.strip_prefix('.')?;
                let end = dotted.find(['.', '[']).unwrap_or(dotted.len());
                let (key, after) = dotted.split_at(end);
                let is_name =
                    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
                steps.push(Step::Key(is_name.then(|| key.to_owned())?));
                rest = after;
            }
        }
        (!steps.is_empty()).then_some(Self(steps))
    }

    /// The route key that `message` names, if it is JSON and has a scalar there.
    pub(crate) fn route_key(&self, message: &str) -> Option<String> {
        let parsed: Value = serde_json::from_str(message).ok()?;
        let found = self.0.iter().try_fold(&parsed, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })?;
        match found {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(found.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn expressions_select_from_objects_and_arrays() {
        for (expression, message, key) in [
            ("$request.body.action", r#"{"action": "join"}"#, Some("join")),
            ("${request.body.action}", r#"{"action": 7}"#, Some("7")),
            ("$request.body.[2]", r#"[2, "id", "Heartbeat", {}]"#, Some("Heartbeat")),
            ("$request.body.[2]", r#"[3, "id", {}]"#, None),
            ("$request.body.[2]", r#"[3, "id"]"#, None),
            ("$request.body.a.b[1]", r#"{"a": {"b": [0, true]}}"#, Some("true")),
            ("$request.body.action", "not json", None),
            ("$request.body.action", r#"{"action": null}"#, None),
        ] {
            assert_eq!(
                Selection::parse(expression).unwrap().route_key(message).as_deref(),
                key,
                "{expression}"
            );
        }
    }

    #[test]
    fn other_expressions_are_refused() {
        for expression in
            ["$request.header.x", "request.body.a", "$request.body", "$request.body.[x]", "$request.body..a"]
        {
            assert_eq!(Selection::parse(expression), None, "{expression}");
        }
    }
}
