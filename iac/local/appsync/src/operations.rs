//! Documents by their text: parsed, validated and checked against the API's limits once, then remembered.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, introspection};
use dashmap::DashMap;

use crate::bounds::{self, MAX_NESTING, MAX_TOKENS};
use crate::coercion;
use crate::error::{GraphqlError, Location, Refusal};
use crate::execute::InfoCache;
use crate::schema::ApiSchema;
use crate::validation;

/// Fragments written out. Without it a small document can select more fields than there is memory for.
const MAX_FIELDS: usize = 20_000;
/// Clients send a few texts again and again; whoever sends a new one each time gains nothing by it.
const MAX_KEPT: usize = 2_000;

/// A document that may run.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) valid: Valid<ExecutableDocument>,
    /// What resolvers are told of each field's selection.
    pub(crate) info: InfoCache,
}

/// Every document seen, by text.
pub(crate) struct Operations {
    schema: Arc<ApiSchema>,
    introspection: bool,
    depth_limit: usize,
    kept: DashMap<Box<str>, Arc<Document>>,
}

impl Operations {
    pub(crate) fn new(schema: Arc<ApiSchema>, introspection: bool, depth_limit: usize) -> Self {
        Self { schema, introspection, depth_limit, kept: DashMap::new() }
    }

    pub(crate) fn get(&self, text: &str) -> Result<Arc<Document>, Refusal> {
        if let Some(document) = self.kept.get(text) {
            return Ok(Arc::clone(&document));
        }
        let document = Arc::new(self.read(text)?);
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        self.kept.insert(text.into(), Arc::clone(&document));
        Ok(document)
    }

    fn read(&self, text: &str) -> Result<Document, Refusal> {
        if !bounds::are_kept(text) {
            return Err(Refusal::malformed("Unable to parse GraphQL query."));
        }
        let ast = Parser::new()
            .token_limit(MAX_TOKENS)
            .recursion_limit(MAX_NESTING)
            .parse_ast(text, "request.graphql")
            .map_err(|_| Refusal::malformed("Unable to parse GraphQL query."))?;
        let valid = ast
            .to_executable_validate(&self.schema.valid)
            .map_err(|invalid| Refusal::validation(validation::errors(&ast, &invalid.errors)))?;
        if valid.operations.is_empty() {
            return Err(Refusal::malformed("Unable to parse GraphQL query."));
        }
        let errors = self.own_rules(&valid);
        if !errors.is_empty() {
            return Err(Refusal::validation(errors));
        }
        for operation in valid.operations.iter() {
            let Extent { depth, fields } = extent(&valid, &operation.selection_set, &mut HashMap::new());
            if fields > MAX_FIELDS {
                let message = format!("The query selects more than {MAX_FIELDS} fields.");
                return Err(Refusal::request(400, "BadRequestException", message));
            }
            if depth > self.depth_limit {
                return Err(Refusal::request(
                    200,
                    "QueryDepthLimitReached",
                    format!("Query depth {depth} exceeds the limit of {}.", self.depth_limit),
                ));
            }
            introspection::check_max_depth(&valid, operation).map_err(|error| {
                Refusal::request(200, "QueryDepthLimitReached", error.message().to_string())
            })?;
        }
        Ok(Document { info: InfoCache::new(&valid), valid })
    }

    /// The rules AppSync has beyond the specification's.
    fn own_rules(&self, document: &Valid<ExecutableDocument>) -> Vec<GraphqlError> {
        let mut errors = Vec::new();
        for operation in document.operations.iter() {
            for field in operation.all_fields(document) {
                if errors.len() >= validation::MAX_ERRORS {
                    return errors;
                }
                if !self.introspection && matches!(field.name.as_str(), "__schema" | "__type") {
                    let detail = format!(
                        "Field '{0}' in type '{1}' is undefined @ '{0}'",
                        field.name,
                        operation.object_type()
                    );
                    let locations = Location::of(field.location(), &document.sources);
                    errors.push(validation::found("FieldUndefined", &detail, locations));
                }
                if let Some((key, literal)) = coercion::repeated_key(field) {
                    let detail = format!("There can be only one field named '{key}' @ '{}'", field.name);
                    let locations = Location::of(literal.location(), &document.sources);
                    errors.push(validation::found("UniqueObjectFieldName", &detail, locations));
                }
                if let Some((argument, literal, ty)) = coercion::refused_literal(&self.schema.valid, field) {
                    let detail = format!(
                        "argument '{argument}' with value '{literal}' is not a valid '{ty}' @ '{}'",
                        field.name
                    );
                    let locations = Location::of(literal.location(), &document.sources);
                    errors.push(validation::found("WrongType", &detail, locations));
                }
            }
        }
        errors
    }
}

impl Document {
    /// The operation a request means.
    pub(crate) fn operation(&self, name: Option<&str>) -> Result<&Operation, Refusal> {
        match self.valid.operations.get(name.filter(|name| !name.is_empty())) {
            Ok(operation) => Ok(operation),
            Err(_) => Err(Refusal::request(
                400,
                "BadRequestException",
                match name {
                    Some(name) => format!("Unknown operation named '{name}'."),
                    None => "Must provide operation name if query contains multiple operations.".to_owned(),
                },
            )),
        }
    }
}

/// How large a selection is with its fragments written out. Each fragment is measured once, however often it is
/// used: a few fragments that use each other twice would take forever otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Levels of fields; introspection has a limit of its own.
    depth: usize,
    fields: usize,
}

fn extent<'a>(
    document: &'a ExecutableDocument,
    selections: &'a SelectionSet,
    fragments: &mut HashMap<&'a Name, Extent>,
) -> Extent {
    let mut whole = Extent::default();
    for selection in &selections.selections {
        let part = match selection {
            Selection::Field(field) => {
                let below = extent(document, &field.selection_set, fragments);
                let depth = if field.name.starts_with("__") { 0 } else { 1 + below.depth };
                Extent { depth, fields: below.fields.saturating_add(1) }
            }
            Selection::InlineFragment(fragment) => extent(document, &fragment.selection_set, fragments),
            Selection::FragmentSpread(spread) => match fragments.get(&spread.fragment_name) {
                Some(known) => *known,
                None => {
                    let fragment = document.fragments.get(&spread.fragment_name);
                    let measured = fragment
                        .map(|fragment| extent(document, &fragment.selection_set, fragments))
                        .unwrap_or_default();
                    fragments.insert(&spread.fragment_name, measured);
                    measured
                }
            },
        };
        whole.depth = whole.depth.max(part.depth);
        whole.fields = whole.fields.saturating_add(part.fields);
    }
    whole
}
