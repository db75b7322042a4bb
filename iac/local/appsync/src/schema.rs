//! The API's schema: AppSync's scalars and directives predefined, and for each field of each object what a request
//! needs to know of it, worked out once.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::Value as AstValue;
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::schema::{ExtendedType, FieldDefinition, Implementers, Type};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use crate::auth::{AuthMode, ModeSet};

const PREDEFINED: &str = r#"
scalar AWSDate
scalar AWSTime
scalar AWSDateTime
scalar AWSTimestamp
scalar AWSEmail
scalar AWSJSON
scalar AWSURL
scalar AWSPhone
scalar AWSIPAddress
directive @aws_subscribe(mutations: [String!]!) on FIELD_DEFINITION
directive @aws_publish(subscriptions: [String!]) on FIELD_DEFINITION
directive @aws_auth(cognito_groups: [String!]!) on FIELD_DEFINITION
directive @aws_api_key on FIELD_DEFINITION | OBJECT
directive @aws_iam on FIELD_DEFINITION | OBJECT
directive @aws_oidc on FIELD_DEFINITION | OBJECT
directive @aws_cognito_user_pools(cognito_groups: [String!]) on FIELD_DEFINITION | OBJECT
directive @aws_lambda on FIELD_DEFINITION | OBJECT
"#;

/// A valid schema and what is derived from it.
#[derive(Debug)]
pub(crate) struct ApiSchema {
    pub(crate) valid: Valid<Schema>,
    pub(crate) implementers: ApolloMap<Name, Implementers>,
    objects: HashMap<Name, HashMap<Name, FieldRule>>,
    /// Composite types from which some field with a resolver can be reached.
    resolving: HashSet<Name>,
    /// Subscription fields by the mutation field that feeds them.
    subscriptions: HashMap<Name, Vec<Name>>,
}

/// What the executor knows of one field of one object type.
#[derive(Debug)]
pub(crate) struct FieldRule {
    pub(crate) definition: Node<FieldDefinition>,
    /// Callers of another mode are refused this field.
    pub(crate) modes: ModeSet,
    /// An index into the API's resolvers.
    pub(crate) resolver: Option<usize>,
}

impl ApiSchema {
    /// Parses `text`; `resolvers` says which fields have one. Errors are compiler reports for people.
    pub(crate) fn parse(
        text: &str,
        resolvers: &HashMap<(String, String), usize>,
        default_mode: AuthMode,
    ) -> Result<Self, String> {
        let valid = Schema::builder()
            .parse(PREDEFINED, "appsync.graphql")
            .parse(text, "schema.graphql")
            .build()
            .and_then(Schema::validate)
            .map_err(|invalid| invalid.errors.to_string())?;
        let mut objects = HashMap::new();
        for (name, object) in object_types(&valid) {
            let type_modes = modes(object.directives.iter().map(|directive| &*directive.name));
            let rules = object.fields.iter().map(|(field, definition)| {
                let own = modes(definition.directives.iter().map(|directive| &*directive.name));
                let rule = FieldRule {
                    definition: definition.node.clone(),
                    modes: own.or(type_modes).unwrap_or_else(|| ModeSet::only(default_mode)),
                    resolver: resolvers.get(&(name.to_string(), field.to_string())).copied(),
                };
                (field.clone(), rule)
            });
            objects.insert(name.clone(), rules.collect::<HashMap<_, _>>());
        }
        let subscriptions = subscriptions(&valid)?;
        let resolving = resolving(&valid, &objects);
        Ok(Self { implementers: valid.implementers_map(), valid, objects, resolving, subscriptions })
    }

    pub(crate) fn has_object(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }

    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&FieldRule> {
        self.objects.get(object)?.get(field)
    }

    /// Whether completing a value of this type can need a resolver.
    pub(crate) fn needs_resolvers(&self, type_name: &str) -> bool {
        self.resolving.contains(type_name)
    }

    /// The subscription fields that `mutation` feeds.
    pub(crate) fn fed_by(&self, mutation: &str) -> &[Name] {
        self.subscriptions.get(mutation).map_or(&[], Vec::as_slice)
    }

    /// Whether an object of `object` is a value of `abstract_or_same`.
    pub(crate) fn is_a(&self, object: &str, abstract_or_same: &str) -> bool {
        object == abstract_or_same || self.valid.is_subtype(abstract_or_same, object)
    }
}

fn object_types(
    schema: &Schema,
) -> impl Iterator<Item = (&Name, &Node<apollo_compiler::schema::ObjectType>)> {
    schema.types.iter().filter_map(|(name, definition)| match definition {
        ExtendedType::Object(object) if !name.starts_with("__") => Some((name, object)),
        _ => None,
    })
}

/// `None` where no authorization directive is given, which leaves the default mode.
fn modes<'a>(directives: impl Iterator<Item = &'a str>) -> Option<ModeSet> {
    directives.filter_map(ModeSet::of_directive).reduce(ModeSet::union)
}

fn subscriptions(schema: &Schema) -> Result<HashMap<Name, Vec<Name>>, String> {
    let mut fed: HashMap<Name, Vec<Name>> = HashMap::new();
    let Some(subscription) = &schema.schema_definition.subscription else { return Ok(fed) };
    let mutation = schema.schema_definition.mutation.as_ref().and_then(|name| schema.get_object(name));
    let Some(object) = schema.get_object(subscription) else { return Ok(fed) };
    for (field, definition) in &object.fields {
        for name in subscribed(&definition.directives) {
            let source = mutation
                .and_then(|mutation| mutation.fields.get(name))
                .ok_or_else(|| format!("Subscription.{field} names mutation {name}, which does not exist"))?;
            if source.ty.inner_named_type() != definition.ty.inner_named_type() {
                return Err(format!(
                    "Subscription.{field} is {} but mutation {name} answers {}",
                    definition.ty, source.ty
                ));
            }
            fed.entry(source.name.clone()).or_default().push(field.clone());
        }
    }
    Ok(fed)
}

fn subscribed(directives: &apollo_compiler::ast::DirectiveList) -> Vec<&str> {
    let argument = directives
        .get("aws_subscribe")
        .and_then(|directive| directive.specified_argument_by_name("mutations"));
    match argument.map(|value| &**value) {
        Some(AstValue::List(names)) => names.iter().filter_map(|name| name.as_str()).collect(),
        Some(AstValue::String(name)) => vec![name],
        _ => Vec::new(),
    }
}

/// A fixed point: a type resolves if a field of it has a resolver or answers a type that resolves, and an abstract
/// type if one of its objects does.
fn resolving(schema: &Schema, objects: &HashMap<Name, HashMap<Name, FieldRule>>) -> HashSet<Name> {
    let mut found: HashSet<Name> = HashSet::new();
    loop {
        let before = found.len();
        for (name, rules) in objects {
            let resolves = rules
                .values()
                .any(|rule| rule.resolver.is_some() || found.contains(rule.definition.ty.inner_named_type()));
            if resolves {
                found.insert(name.clone());
            }
        }
        for (name, definition) in &schema.types {
            let resolves = match definition {
                ExtendedType::Union(union) => union.members.iter().any(|member| found.contains(&member.name)),
                ExtendedType::Interface(_) => {
                    objects.keys().any(|object| found.contains(object) && schema.is_subtype(name, object))
                }
                _ => false,
            };
            if resolves {
                found.insert(name.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// `[Station!]!` without the list and the exclamation marks.
pub(crate) fn list_item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::List(item) | Type::NonNullList(item) => Some(item),
        Type::Named(_) | Type::NonNullNamed(_) => None,
    }
}
