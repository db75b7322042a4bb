//! What the running stack's functions find in their environment, for whoever runs them elsewhere:
//! `cargo lambda watch` takes it from a file, `sam local start-lambda` only from a template.

use std::collections::BTreeMap;
use std::path::Path;

use local_template::Stack;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A function, as `stack.json` tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Function {
    /// The folder of the built binary, which has the binary's name.
    code_uri: String,
    timeout: Value,
    memory_size: Value,
    variables: BTreeMap<String, String>,
}

/// Functions by logical id.
pub(crate) type Functions = BTreeMap<String, Function>;

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    #[error("no stack is up on {0}: start it with `make up`, or name its folder with --data")]
    NoStack(String),
    #[error("there is no function {wanted}; there are {known}")]
    Unknown { wanted: String, known: String },
    #[error("{variable} is not the same in all functions: name the one you run, `local env {function}`")]
    Differs { variable: String, function: String },
}

/// The stack's functions; `local` is what this machine adds to the variables of each, or sets in their place.
pub(crate) fn functions(stack: &Stack, local: &BTreeMap<String, String>) -> Functions {
    let functions = stack.resources.values().filter(|resource| resource.kind == "AWS::Serverless::Function");
    functions
        .map(|function| {
            let properties = &function.properties;
            let own = properties["Environment"]["Variables"].as_object().into_iter().flatten();
            let own = own.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            let entry = Function {
                code_uri: properties["CodeUri"].as_str().unwrap_or_default().to_owned(),
                timeout: properties["Timeout"].clone(),
                memory_size: properties["MemorySize"].clone(),
                variables: own.chain(local.clone()).collect(),
            };
            (function.logical_id.clone(), entry)
        })
        .collect()
}

/// Sets variables of every function.
pub(crate) fn set(functions: &mut Functions, variables: &[(String, String)]) {
    for function in functions.values_mut() {
        function.variables.extend(variables.iter().cloned());
    }
}

/// The functions of the stack that is up on `data`.
pub(crate) fn of_running_stack(data: &Path) -> Result<Functions, EnvironmentError> {
    #[derive(Deserialize)]
    struct File {
        functions: Functions,
    }
    let file = std::fs::read(data.join("stack.json")).ok();
    let file = file.and_then(|text| serde_json::from_slice::<File>(&text).ok());
    file.map(|file| file.functions).ok_or_else(|| EnvironmentError::NoStack(data.display().to_string()))
}

/// `NAME=value` lines for one function, known by its logical id or its binary, or for all of them at once.
pub(crate) fn lines(functions: &Functions, wanted: Option<&str>) -> Result<String, EnvironmentError> {
    let is_wanted = |id: &str, function: &Function| {
        wanted.is_none_or(|wanted| {
            wanted == id || function.code_uri.trim_end_matches('/').ends_with(&format!("/{wanted}"))
        })
    };
    let mut chosen = functions.iter().filter(|(id, function)| is_wanted(id, function)).peekable();
    if let (None, Some(wanted)) = (chosen.peek(), wanted) {
        let known = functions.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(EnvironmentError::Unknown { wanted: wanted.to_owned(), known });
    }
    let mut all = BTreeMap::new();
    for (id, function) in chosen {
        for (name, value) in &function.variables {
            if all.insert(name, value).is_some_and(|other| other != value) {
                return Err(EnvironmentError::Differs { variable: name.clone(), function: id.clone() });
            }
        }
    }
    Ok(all.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect())
}

/// A template of the functions alone, their code under `root`: `sam local` gives a function no variable that its
/// template does not name, and ours names none of this machine's.
pub(crate) fn sam_template(functions: &Functions, root: &Path) -> Value {
    let resources: BTreeMap<&String, Value> = functions
        .iter()
        .map(|(id, function)| {
            let properties = json!({
                "CodeUri": root.join(&function.code_uri),
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": [if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }],
                "Timeout": function.timeout,
                "MemorySize": function.memory_size,
                "Environment": {"Variables": function.variables},
            });
            (id, json!({"Type": "AWS::Serverless::Function", "Properties": properties}))
        })
        .collect();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": resources,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn functions_of(own: [(&str, &str); 2]) -> Functions {
        let entry = |binary: &str, url: &str| Function {
            code_uri: format!("target/lambda/{binary}/"),
            timeout: json!(10),
            memory_size: json!(256),
            variables: [("AWS_REGION", "eu-central-1"), ("REDIS_URL", url)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        own.map(|(id, url)| (id.to_owned(), entry(&id.to_lowercase(), url))).into()
    }

    #[test]
    fn all_functions_share_one_file_while_they_agree() {
        let agreed = functions_of([("Me", "redis://a"), ("Login", "redis://a")]);
        assert_eq!(lines(&agreed, None).unwrap(), "AWS_REGION=eu-central-1\nREDIS_URL=redis://a\n");
        let differing = functions_of([("Me", "redis://a"), ("Login", "redis://b")]);
        let message = lines(&differing, None).unwrap_err().to_string();
        assert!(message.contains("REDIS_URL"), "{message}");
        assert!(lines(&differing, Some("login")).unwrap().contains("redis://b"));
        assert_eq!(lines(&differing, Some("Login")).unwrap(), lines(&differing, Some("login")).unwrap());
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let functions = functions_of([("Me", "redis://a"), ("Login", "redis://a")]);
        let message = lines(&functions, Some("logon")).unwrap_err().to_string();
        assert!(message.contains("Login, Me"), "{message}");
    }

    #[test]
    fn a_variable_that_was_asked_for_is_over_the_stacks_own() {
        let mut functions = functions_of([("Me", "redis://a"), ("Login", "redis://b")]);
        set(&mut functions, &[("REDIS_URL".to_owned(), "redis://proxy".to_owned())]);
        assert_eq!(lines(&functions, None).unwrap(), "AWS_REGION=eu-central-1\nREDIS_URL=redis://proxy\n");
    }

    #[test]
    fn sams_template_names_every_variable() {
        let functions = functions_of([("Me", "redis://a"), ("Login", "redis://a")]);
        let template = sam_template(&functions, Path::new("/project"));
        let me = &template["Resources"]["Me"]["Properties"];
        assert_eq!(me["Environment"]["Variables"]["REDIS_URL"], "redis://a");
        assert_eq!(me["CodeUri"], "/project/target/lambda/me/");
    }
}
