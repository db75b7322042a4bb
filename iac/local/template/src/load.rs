//! From the text of a template to a `Stack`: which sections exist, which resources do, and in what order
//! things are decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::endpoints::Rewrites;
use crate::globals::Globals;
use crate::intrinsics::{Declared, Scope};
use crate::kinds::{self, FUNCTION, IMPLICIT_HTTP_API};
use crate::{LoadOptions, Resource, Stack, TemplateError, parameters, yaml};

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "listed so that any other section is refused")]
struct Sections {
    #[serde(rename = "AWSTemplateFormatVersion")]
    format_version: Option<IgnoredAny>,
    transform: Option<Value>,
    description: Option<IgnoredAny>,
    metadata: Option<IgnoredAny>,
    parameters: Option<Value>,
    #[serde(default)]
    mappings: Value,
    #[serde(default)]
    conditions: BTreeMap<String, Value>,
    globals: Option<Value>,
    resources: BTreeMap<String, Value>,
    #[serde(default)]
    outputs: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "listed so that any other attribute is refused")]
struct RawResource {
    r#type: String,
    #[serde(default = "no_properties")]
    properties: Value,
    #[serde(default)]
    depends_on: Names,
    condition: Option<String>,
    metadata: Option<IgnoredAny>,
    deletion_policy: Option<IgnoredAny>,
    update_replace_policy: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "listed so that any other key is refused")]
struct RawOutput {
    value: Value,
    condition: Option<String>,
    description: Option<IgnoredAny>,
    export: Option<IgnoredAny>,
}

/// One name or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::One(name) => BTreeSet::from([name]),
            Self::Many(names) => names.into_iter().collect(),
        }
    }
}

fn no_properties() -> Value {
    Value::Object(Map::new())
}

fn read<T: for<'de> Deserialize<'de>>(value: Value, place: &str) -> Result<T, TemplateError> {
    T::deserialize(value).map_err(|error| TemplateError::new(place, error.to_string()))
}

pub(crate) fn stack(text: &str, options: &LoadOptions) -> Result<Stack, TemplateError> {
    let sections: Sections = read(yaml::parse(text)?, "template")?;
    check_transform(sections.transform.as_ref())?;
    let given = parameters::resolve(sections.parameters.as_ref(), &options.parameters)?;
    let globals = Globals::read(sections.globals.as_ref())?;
    let mut scope = Scope::new(options, given, &sections.mappings, sections.conditions);
    for name in scope.conditions.keys() {
        scope.holds(name, &format!("Conditions.{name}"))?;
    }
    let depends_on = declare(&mut scope, sections.resources, &globals)?;
    let rewrites = Rewrites::of(&scope)?;
    let resources = resolve(&scope, depends_on, &rewrites)?;
    let outputs = outputs(&scope, sections.outputs, &rewrites)?;
    Ok(Stack { name: options.stack_name.clone(), resources, outputs })
}

fn check_transform(transform: Option<&Value>) -> Result<(), TemplateError> {
    let given = match transform {
        None => return Ok(()),
        Some(Value::Array(items)) => items.clone(),
        Some(single) => vec![single.clone()],
    };
    match given.iter().find(|transform| **transform != TRANSFORM) {
        None => Ok(()),
        Some(other) => {
            Err(TemplateError::new("Transform", format!("{other} is not known, only {TRANSFORM}")))
        }
    }
}

/// Puts every resource into the scope, unevaluated, and returns what each one's `DependsOn` says.
fn declare(
    scope: &mut Scope<'_>,
    resources: BTreeMap<String, Value>,
    globals: &Globals,
) -> Result<BTreeMap<String, BTreeSet<String>>, TemplateError> {
    let mut depends_on = BTreeMap::new();
    for (logical_id, value) in resources {
        let place = format!("Resources.{logical_id}");
        let raw: RawResource = read(value, &place)?;
        if !logical_id.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(TemplateError::new(place, "a logical id is letters and digits only"));
        }
        if scope.parameters.contains_key(&logical_id) {
            return Err(TemplateError::new(place, "a parameter has the same name"));
        }
        let kind = kinds::find(&raw.r#type).ok_or_else(|| {
            TemplateError::new(&place, format!("the resource type {} is not known", raw.r#type))
        })?;
        let properties = globals.apply(kind.name, raw.properties);
        check_inert(kind, &properties, &place)?;
        let exists = match &raw.condition {
            Some(condition) => scope.holds(condition, &format!("{place}.Condition"))?,
            None => true,
        };
        if exists {
            scope.resources.insert(logical_id.clone(), Declared { kind, properties });
        } else {
            scope.dropped.insert(logical_id.clone());
        }
        depends_on.insert(logical_id, raw.depends_on.into_set());
    }
    for (logical_id, names) in &depends_on {
        if let Some(stranger) = names.iter().find(|name| !depends_on.contains_key(*name)) {
            let place = format!("Resources.{logical_id}.DependsOn");
            return Err(TemplateError::new(place, format!("there is no resource {stranger}")));
        }
    }
    Ok(depends_on)
}

fn check_inert(kind: &kinds::Kind, properties: &Value, place: &str) -> Result<(), TemplateError> {
    let place = format!("{place}.Properties");
    let entries = properties.as_object().ok_or_else(|| TemplateError::new(&place, "must be a map"))?;
    let Some(known) = kind.inert else { return Ok(()) };
    match entries.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(stranger) => Err(TemplateError::new(
            format!("{place}.{stranger}"),
            format!("{} has no such property", kind.name),
        )),
    }
}

fn resolve(
    scope: &Scope<'_>,
    mut dependencies: BTreeMap<String, BTreeSet<String>>,
    rewrites: &Rewrites,
) -> Result<BTreeMap<String, Resource>, TemplateError> {
    let mut resources = BTreeMap::new();
    for (logical_id, declared) in &scope.resources {
        let place = format!("Resources.{logical_id}.Properties");
        let identity = scope.identity(logical_id, &place)?;
        scope.take_referred();
        let mut resolved = Map::new();
        for (name, value) in declared.properties.as_object().into_iter().flatten() {
            let Some(value) = scope.resolve(value, &format!("{place}.{name}"))? else { continue };
            resolved.insert(name.clone(), value);
            let referred = scope.take_referred();
            if declared.kind.name == FUNCTION && name == "Events" {
                // SAM makes separate resources of a function's events, which depend on the function; so does
                // the API that routes to it, whose definition names the function.
                let is_api = |id: &String| {
                    scope.resources.get(id).is_some_and(|other| other.kind.name == "AWS::Serverless::HttpApi")
                };
                let implicit = kinds::has_implicit_http_event(declared).then(|| IMPLICIT_HTTP_API.to_owned());
                for api in referred.into_iter().filter(is_api).chain(implicit) {
                    dependencies.entry(api).or_default().insert(logical_id.clone());
                }
            } else {
                dependencies.entry(logical_id.clone()).or_default().extend(referred);
            }
        }
        let mut properties = Value::Object(resolved);
        if declared.kind.name == FUNCTION {
            rewrites.apply_to_environment(&mut properties, &place)?;
        }
        let resource = Resource {
            logical_id: logical_id.clone(),
            kind: declared.kind.name.to_owned(),
            physical_id: identity.physical_id,
            properties,
            attributes: identity.attributes,
        };
        resources.insert(logical_id.clone(), resource);
    }
    refuse_cycles(&dependencies)?;
    Ok(resources)
}

/// CloudFormation cannot create resources that wait for one another; neither do we pretend to.
fn refuse_cycles(dependencies: &BTreeMap<String, BTreeSet<String>>) -> Result<(), TemplateError> {
    fn visit<'d>(
        at: &'d str,
        dependencies: &'d BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<&'d str>,
        done: &mut BTreeSet<&'d str>,
    ) -> Result<(), TemplateError> {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            let cycle = [&path[start..], &[at]].concat().join(" -> ");
            return Err(TemplateError::new(
                format!("Resources.{at}"),
                format!("circular dependency: {cycle}"),
            ));
        }
        if done.contains(at) {
            return Ok(());
        }
        path.push(at);
        for next in dependencies.get(at).into_iter().flatten() {
            visit(next, dependencies, path, done)?;
        }
        path.pop();
        done.insert(at);
        Ok(())
    }
    let mut done = BTreeSet::new();
    dependencies.keys().try_for_each(|start| visit(start, dependencies, &mut Vec::new(), &mut done))
}

fn outputs(
    scope: &Scope<'_>,
    declared: BTreeMap<String, Value>,
    rewrites: &Rewrites,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut outputs = BTreeMap::new();
    for (name, value) in declared {
        let place = format!("Outputs.{name}");
        let raw: RawOutput = read(value, &place)?;
        let exists = match &raw.condition {
            Some(condition) => scope.holds(condition, &place)?,
            None => true,
        };
        if exists {
            outputs.insert(name, rewrites.apply(scope.text(&raw.value, &format!("{place}.Value"))?));
        }
    }
    Ok(outputs)
}
