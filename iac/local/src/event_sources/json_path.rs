//! The JSON paths EventBridge takes: `$`, dots, array indices and wildcards. Nothing else of JSONPath.

use std::str::FromStr;

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
    Every,
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("{path:?} is not a JSON path that EventBridge takes: {problem}");
        let rest = path.strip_prefix('$').ok_or_else(|| wrong("it must start with $"))?;
        let mut steps = Vec::new();
        let (mut rest, mut after_bracket) = (rest, false);
        while let Some(mark) = rest.chars().next() {
            rest = &rest[1..];
            match mark {
                '.' => {
                    let end = rest.find(['.', '[']).unwrap_or(rest.len());
                    let (name, tail) = rest.split_at(end);
                    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
                    match name {
                        "*" => steps.push(Step::Every),
                        "" => return Err(wrong("a name is missing")),
                        name if name.chars().all(allowed) => steps.push(Step::Field(name.to_owned())),
                        _ => return Err(wrong("a name has letters, digits, - _ and / only")),
                    }
                    (rest, after_bracket) = (tail, false);
                }
                '[' => {
                    let (index, tail) = rest.split_once(']').ok_or_else(|| wrong("a bracket is open"))?;
                    steps.push(match index {
                        "*" => Step::Every,
                        index => {
                            Step::Index(index.parse().map_err(|_| wrong("brackets hold an index or *"))?)
                        }
                    });
                    (rest, after_bracket) = (tail, true);
                }
                _ if after_bracket => return Err(wrong("a dot is missing after a bracket")),
                _ => return Err(wrong("a dot is missing after $")),
            }
        }
        Ok(Self(steps))
    }
}

impl JsonPath {
    /// What the path leads to; a wildcard gives the array of all it matches.
    pub(super) fn find(&self, document: &Value) -> Option<Value> {
        follow(&self.0, document)
    }
}

fn follow(steps: &[Step], value: &Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    match step {
        Step::Field(name) => follow(rest, value.get(name)?),
        Step::Index(index) => follow(rest, value.get(index)?),
        Step::Every => {
            let members: Vec<_> = match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => return None,
            };
            Some(Value::Array(members.into_iter().filter_map(|member| follow(rest, member)).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_names_indices_and_wildcards() {
        let event = json!({"detail-type": "t", "detail": {"items": [{"n": 1}, {"n": 2}, {}], "a_b/c": null}});
        for (path, found) in [
            ("$", Some(event.clone())),
            ("$.detail-type", Some(json!("t"))),
            ("$.detail.items[1].n", Some(json!(2))),
            ("$.detail.items[*].n", Some(json!([1, 2]))),
            ("$.detail.a_b/c", Some(json!(null))),
            ("$.detail.items[3]", None),
            ("$.detail.none.deeper", None),
        ] {
            assert_eq!(path.parse::<JsonPath>().unwrap().find(&event), found, "{path}");
        }
    }

    #[test]
    fn refuses_what_eventbridge_refuses() {
        for path in
            ["", "detail", "$detail", "$.", "$.a..b", "$['a']", "$.a[0", "$.a[-1]", "$.a[0]b", "$.a?", "$.é"]
        {
            assert!(path.parse::<JsonPath>().is_err(), "{path}");
        }
    }
}
