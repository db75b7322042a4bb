//! The contract itself, read from `graphql/`: which fields there are, and for each a document that asks for all that it
//! answers.

use std::collections::BTreeMap;
use std::fs;

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use serde_json::Value;

use crate::Result;
use crate::stack::Stack;

/// What AppSync knows without being told.
const APPSYNC: &str = "
    directive @aws_lambda on OBJECT | FIELD_DEFINITION
    directive @aws_api_key on OBJECT | FIELD_DEFINITION
    directive @aws_iam on OBJECT | FIELD_DEFINITION
    directive @aws_subscribe(mutations: [String!]!) on FIELD_DEFINITION
    scalar AWSDate scalar AWSDateTime scalar AWSEmail scalar AWSJSON scalar AWSURL\n";
const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// The joined schema.
pub(in crate::prove) struct Api {
    schema: Schema,
    /// By `Type.field`.
    fields: BTreeMap<String, FieldDefinition>,
}

/// A scalar somewhere among a field's arguments.
#[derive(Debug, Clone)]
pub(in crate::prove) struct Leaf {
    /// `input`, `bands`, `0`, `from`: names, and the first place of a list.
    pub(in crate::prove) path: Vec<String>,
    /// `String`.
    pub(in crate::prove) scalar: String,
}

impl Api {
    /// Reads the files.
    pub(in crate::prove) fn read() -> Result<Self> {
        let mut text = APPSYNC.to_owned();
        for entry in fs::read_dir(Stack::root().join("graphql"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "graphql") {
                text.push_str(&fs::read_to_string(path)?);
            }
        }
        let schema = Schema::parse(text, "graphql/").map_err(|error| error.to_string())?;
        let mut fields = BTreeMap::new();
        for root in ROOTS {
            let Some(ExtendedType::Object(object)) = schema.types.get(root) else {
                return Err(format!("no type {root}").into());
            };
            for field in object.fields.values() {
                fields.insert(format!("{root}.{}", field.name), FieldDefinition::clone(field));
            }
        }
        Ok(Self { schema, fields })
    }

    /// Every `Type.field` of the roots.
    pub(in crate::prove) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// A document that gives `field` these arguments as variables, and asks for everything.
    pub(in crate::prove) fn document(&self, field: &str, arguments: &Value) -> Result<String> {
        let definition = self.fields.get(field).ok_or_else(|| format!("the schema has no {field}"))?;
        let (root, name) = field.split_once('.').ok_or("a field without a type")?;
        let (mut variables, mut passed) = (Vec::new(), Vec::new());
        for argument in &definition.arguments {
            if arguments.get(argument.name.as_str()).is_some() {
                variables.push(format!("${}: {}", argument.name, argument.ty));
                passed.push(format!("{0}: ${0}", argument.name));
            }
        }
        let of = |list: &[String]| {
            if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) }
        };
        let (variables, passed) = (of(&variables), of(&passed));
        let all = self.selection(definition.ty.inner_named_type());
        Ok(format!("{}{variables} {{ {name}{passed}{all} }}", root.to_lowercase()))
    }

    /// Every field of an object, and theirs.
    fn selection(&self, of: &str) -> String {
        let Some(ExtendedType::Object(object)) = self.schema.types.get(of) else { return String::new() };
        let fields = object.fields.values();
        let each =
            fields.map(|field| format!("{}{}", field.name, self.selection(field.ty.inner_named_type())));
        format!(" {{ {} }}", each.collect::<Vec<_>>().join(" "))
    }

    /// Every scalar among the arguments of `field`.
    pub(in crate::prove) fn leaves(&self, field: &str) -> Vec<Leaf> {
        let mut found = Vec::new();
        for argument in self.fields.get(field).into_iter().flat_map(|definition| &definition.arguments) {
            self.leaves_below(vec![argument.name.to_string()], &argument.ty, &mut found);
        }
        found
    }

    fn leaves_below(&self, mut path: Vec<String>, ty: &Type, found: &mut Vec<Leaf>) {
        if ty.is_list() {
            path.push("0".to_owned());
        }
        let name = ty.inner_named_type();
        match self.schema.types.get(name) {
            Some(ExtendedType::InputObject(input)) => {
                for field in input.fields.values() {
                    let below = path.iter().cloned().chain([field.name.to_string()]).collect();
                    self.leaves_below(below, &field.ty, found);
                }
            }
            Some(ExtendedType::Scalar(_)) => found.push(Leaf { path, scalar: name.to_string() }),
            _ => {}
        }
    }
}
