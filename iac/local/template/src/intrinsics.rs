//! Evaluates CloudFormation's intrinsic functions and conditions against one template.
//! What a resource's `Ref` and `GetAtt` give is decided in `kinds`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use serde_json::{Map, Value};

use crate::kinds::{self, Identity, Kind, Naming};
use crate::parameters::text_of;
use crate::{LoadOptions, TemplateError};

/// A resource as declared: its kind found, nothing evaluated.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) kind: &'static Kind,
    pub(crate) properties: Value,
}

/// Everything an expression may refer to.
pub(crate) struct Scope<'t> {
    pub(crate) options: &'t LoadOptions,
    pub(crate) parameters: BTreeMap<String, Value>,
    pub(crate) mappings: &'t Value,
    pub(crate) conditions: BTreeMap<String, Value>,
    /// The resources whose condition holds.
    pub(crate) resources: BTreeMap<String, Declared>,
    /// The resources whose condition does not.
    pub(crate) dropped: BTreeSet<String>,
    identities: RefCell<BTreeMap<String, Identity>>,
    /// What is being named or decided, outermost first: a repeat is a cycle.
    underway: RefCell<Vec<String>>,
    referred: RefCell<BTreeSet<String>>,
}

impl<'t> Scope<'t> {
    pub(crate) fn new(
        options: &'t LoadOptions,
        parameters: BTreeMap<String, Value>,
        mappings: &'t Value,
        conditions: BTreeMap<String, Value>,
    ) -> Self {
        Self {
            options,
            parameters,
            mappings,
            conditions,
            resources: BTreeMap::new(),
            dropped: BTreeSet::new(),
            identities: RefCell::default(),
            underway: RefCell::default(),
            referred: RefCell::default(),
        }
    }

    /// The logical ids referred to since the last call.
    pub(crate) fn take_referred(&self) -> BTreeSet<String> {
        self.referred.take()
    }

    /// `value` with every function evaluated; `None` where it is `AWS::NoValue`.
    pub(crate) fn resolve(&self, value: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{place}[{index}]"))?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            Value::Object(entries) => match function_of(entries, place)? {
                Some((function, argument)) => self.call(function, argument, place),
                None => {
                    let mut resolved = Map::new();
                    for (key, value) in entries {
                        if let Some(value) = self.resolve(value, &format!("{place}.{key}"))? {
                            resolved.insert(key.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(resolved)))
                }
            },
            Value::String(text) if text.contains("{{resolve:") => Err(TemplateError::new(
                place,
                format!("the dynamic reference {text} cannot be resolved on this machine"),
            )),
            plain => Ok(Some(plain.clone())),
        }
    }

    /// The truth of a named condition.
    pub(crate) fn holds(&self, name: &str, place: &str) -> Result<bool, TemplateError> {
        let condition = self
            .conditions
            .get(name)
            .ok_or_else(|| TemplateError::new(place, format!("there is no condition {name}")))?;
        self.guarded(format!("condition {name}"), || self.decide(condition, &format!("Conditions.{name}")))
    }

    fn guarded<T>(
        &self,
        what: String,
        work: impl FnOnce() -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.underway.borrow().contains(&what) {
            let path = self.underway.borrow().join(" -> ");
            return Err(TemplateError::new(what.clone(), format!("refers to itself: {path} -> {what}")));
        }
        self.underway.borrow_mut().push(what);
        let result = work();
        self.underway.borrow_mut().pop();
        result
    }

    fn decide(&self, condition: &Value, place: &str) -> Result<bool, TemplateError> {
        let single = condition.as_object().filter(|entries| entries.len() == 1);
        let Some((function, argument)) = single.and_then(|entries| entries.iter().next()) else {
            return Err(TemplateError::new(place, format!("{condition} is not a condition")));
        };
        let operands = || list_of(argument, function, place);
        match function.as_str() {
            "Condition" => {
                let name =
                    argument.as_str().ok_or_else(|| TemplateError::new(place, "Condition needs a name"))?;
                self.holds(name, place)
            }
            "Fn::Equals" => match operands()? {
                [left, right] => Ok(self.text(left, place)? == self.text(right, place)?),
                _ => Err(TemplateError::new(place, "Fn::Equals needs two values")),
            },
            "Fn::Not" => match operands()? {
                [operand] => Ok(!self.decide(operand, place)?),
                _ => Err(TemplateError::new(place, "Fn::Not needs one condition")),
            },
            // Every operand is evaluated, so that a mistake in any is found whatever the others say.
            "Fn::And" => operands()?.iter().try_fold(true, |all, item| Ok(self.decide(item, place)? && all)),
            "Fn::Or" => operands()?.iter().try_fold(false, |any, item| Ok(self.decide(item, place)? || any)),
            other => Err(TemplateError::new(place, format!("{other} is not a condition function"))),
        }
    }

    fn call(&self, function: &str, argument: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
        let wrong = |need: &str| TemplateError::new(place, format!("{function} needs {need}"));
        match function {
            "Ref" => {
                let name = argument.as_str().ok_or_else(|| wrong("a name"))?;
                if name == "AWS::NoValue" { Ok(None) } else { self.reference(name, place).map(Some) }
            }
            "Fn::GetAtt" => {
                let [resource, attribute] = list_of(argument, function, place)? else {
                    return Err(wrong("a resource and an attribute"));
                };
                let resource = resource.as_str().ok_or_else(|| wrong("a resource's logical id"))?;
                self.attribute(resource, &self.text(attribute, place)?, place).map(|text| Some(text.into()))
            }
            "Fn::Sub" => self.substitute(argument, place).map(|text| Some(text.into())),
            "Fn::If" => {
                let [condition, yes, no] = list_of(argument, function, place)? else {
                    return Err(wrong("a condition and two values"));
                };
                let condition = condition.as_str().ok_or_else(|| wrong("a condition's name"))?;
                self.resolve(if self.holds(condition, place)? { yes } else { no }, place)
            }
            "Fn::Join" => {
                let [delimiter, items] = list_of(argument, function, place)? else {
                    return Err(wrong("a delimiter and a list"));
                };
                let delimiter = delimiter.as_str().ok_or_else(|| wrong("a delimiter"))?;
                let items = self.texts(items, function, place)?;
                Ok(Some(items.join(delimiter).into()))
            }
            "Fn::Split" => {
                let [delimiter, text] = list_of(argument, function, place)? else {
                    return Err(wrong("a delimiter and a string"));
                };
                let delimiter = delimiter.as_str().ok_or_else(|| wrong("a delimiter"))?;
                Ok(Some(self.text(text, place)?.split(delimiter).map(Value::from).collect()))
            }
            "Fn::Select" => {
                let [index, items] = list_of(argument, function, place)? else {
                    return Err(wrong("an index and a list"));
                };
                let index: usize =
                    self.text(index, place)?.parse().map_err(|_| wrong("an index that is a number"))?;
                let items = self.resolve(items, place)?;
                let items = items.as_ref().and_then(Value::as_array).ok_or_else(|| wrong("a list"))?;
                let item = items.get(index);
                item.cloned().map(Some).ok_or_else(|| wrong(&format!("an index under {}", items.len())))
            }
            "Fn::FindInMap" => {
                let [map, first, second] = list_of(argument, function, place)? else {
                    return Err(wrong("a mapping and two keys"));
                };
                let keys = [self.text(map, place)?, self.text(first, place)?, self.text(second, place)?];
                let found = keys.iter().try_fold(self.mappings, |level, key| level.get(key));
                let path = keys.join(".");
                found
                    .cloned()
                    .map(Some)
                    .ok_or_else(|| TemplateError::new(place, format!("there is no Mappings.{path}")))
            }
            "Fn::Base64" => {
                let text = self.text(argument, place)?;
                Ok(Some(base64::engine::general_purpose::STANDARD.encode(text).into()))
            }
            "Fn::ImportValue" => Err(TemplateError::new(
                place,
                format!(
                    "Fn::ImportValue {argument}: other stacks do not exist on this machine; take a parameter"
                ),
            )),
            other => Err(TemplateError::new(place, format!("the function {other} is not known"))),
        }
    }

    /// What `Ref` gives for a parameter, a pseudo-parameter or a resource.
    fn reference(&self, name: &str, place: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let LoadOptions { region, account, stack_name, .. } = self.options;
        match name {
            "AWS::AccountId" => Ok(account.as_str().into()),
            "AWS::Region" => Ok(region.as_str().into()),
            "AWS::Partition" => Ok("aws".into()),
            "AWS::URLSuffix" => Ok("amazonaws.com".into()),
            "AWS::StackName" => Ok(stack_name.as_str().into()),
            "AWS::StackId" => {
                let id = kinds::digest(&[stack_name, account, region], kinds::HEX, 32);
                let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
                Ok(format!("arn:aws:cloudformation:{region}:{account}:stack/{stack_name}/{id}").into())
            }
            "AWS::NotificationARNs" => Ok(Value::Array(Vec::new())),
            _ => self.identity(name, place).map(|identity| identity.physical_id.into()),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str, place: &str) -> Result<String, TemplateError> {
        let identity = self.identity(resource, place)?;
        identity.attributes.get(attribute).cloned().ok_or_else(|| {
            let known: Vec<_> = identity.attributes.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            TemplateError::new(place, format!("{resource} has no attribute {attribute} (it has: {known})"))
        })
    }

    /// The physical id and attributes of a resource, worked out on first use.
    pub(crate) fn identity(&self, logical_id: &str, place: &str) -> Result<Identity, TemplateError> {
        if let Some(identity) = self.identities.borrow().get(logical_id) {
            self.referred.borrow_mut().insert(logical_id.to_owned());
            return Ok(identity.clone());
        }
        let identity = match self.resources.get(logical_id) {
            Some(declared) => {
                self.referred.borrow_mut().insert(logical_id.to_owned());
                let naming = Naming { scope: self, logical_id, properties: &declared.properties };
                self.guarded(logical_id.to_owned(), || (declared.kind.identify)(&naming))?
            }
            None if self.dropped.contains(logical_id) => {
                let problem = format!("{logical_id} does not exist: its condition does not hold");
                return Err(TemplateError::new(place, problem));
            }
            None => match kinds::implied(self, logical_id) {
                Some((owner, identity)) => {
                    self.referred.borrow_mut().insert(owner);
                    identity?
                }
                None => {
                    let problem = format!("{logical_id} is neither a parameter nor a resource");
                    return Err(TemplateError::new(place, problem));
                }
            },
        };
        self.identities.borrow_mut().insert(logical_id.to_owned(), identity.clone());
        Ok(identity)
    }

    fn substitute(&self, argument: &Value, place: &str) -> Result<String, TemplateError> {
        let nothing = Map::new();
        let (text, variables) = match argument {
            Value::String(text) => (text, &nothing),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(variables)] => (text, variables),
                _ => return Err(TemplateError::new(place, "Fn::Sub needs a string and a map")),
            },
            _ => return Err(TemplateError::new(place, "Fn::Sub needs a string")),
        };
        let mut output = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find("${") {
            output.push_str(&rest[..start]);
            let end = rest[start..]
                .find('}')
                .ok_or_else(|| TemplateError::new(place, format!("Fn::Sub: no closing brace in {text:?}")))?;
            let name = rest[start + 2..start + end].trim();
            match (name.strip_prefix('!'), variables.get(name), name.split_once('.')) {
                (Some(literal), ..) => output.push_str(&format!("${{{literal}}}")),
                (_, Some(value), _) => output.push_str(&self.text(value, place)?),
                (.., Some((resource, attribute))) => {
                    output.push_str(&self.attribute(resource, attribute, place)?);
                }
                _ => {
                    let value = self.reference(name, place)?;
                    output.push_str(&text_of(&value).ok_or_else(|| {
                        TemplateError::new(place, format!("Fn::Sub: {name} is a list, not a string"))
                    })?);
                }
            }
            rest = &rest[start + end + 1..];
        }
        output.push_str(rest);
        Ok(output)
    }

    /// `value`, evaluated, as the text CloudFormation would put into a string.
    pub(crate) fn text(&self, value: &Value, place: &str) -> Result<String, TemplateError> {
        let resolved = self.resolve(value, place)?;
        resolved
            .as_ref()
            .and_then(text_of)
            .ok_or_else(|| TemplateError::new(place, format!("{value} is not a string")))
    }

    fn texts(&self, items: &Value, function: &str, place: &str) -> Result<Vec<String>, TemplateError> {
        let items = self.resolve(items, place)?;
        let texts = items
            .as_ref()
            .and_then(Value::as_array)
            .and_then(|items| items.iter().map(text_of).collect::<Option<Vec<_>>>());
        texts.ok_or_else(|| TemplateError::new(place, format!("{function} needs a list of strings")))
    }
}

/// The function that an object of one key calls. `Condition` is one only inside conditions: in a policy it
/// is an ordinary key.
fn function_of<'v>(
    entries: &'v Map<String, Value>,
    place: &str,
) -> Result<Option<(&'v str, &'v Value)>, TemplateError> {
    let Some((key, argument)) = entries.iter().find(|(key, _)| key.starts_with("Fn::") || *key == "Ref")
    else {
        return Ok(None);
    };
    if entries.len() > 1 {
        return Err(TemplateError::new(place, format!("{key} stands beside other keys")));
    }
    Ok(Some((key, argument)))
}

fn list_of<'v>(argument: &'v Value, function: &str, place: &str) -> Result<&'v [Value], TemplateError> {
    argument
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| TemplateError::new(place, format!("{function} needs a list")))
}
