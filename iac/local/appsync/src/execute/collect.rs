//! Which fields a selection asks of an object of one type, fragments and conditions resolved.
//! <https://spec.graphql.org/October2021/#CollectFields()>

use std::collections::HashSet;

use apollo_compiler::Name;
use apollo_compiler::ast::Value as Literal;
use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{ExecutableDocument, Field, Selection};
use serde_json::{Map, Value};

use crate::schema::ApiSchema;

/// The fields for each response key, those of one key to be merged.
pub(crate) type Collected<'a> = IndexMap<&'a Name, Vec<&'a Field>>;

/// What collecting needs beside the selections.
#[derive(Clone, Copy)]
pub(crate) struct Collector<'a> {
    pub(crate) schema: &'a ApiSchema,
    pub(crate) document: &'a ExecutableDocument,
    pub(crate) variables: &'a Map<String, Value>,
}

impl<'a> Collector<'a> {
    /// The sub-selections of `fields`, which share a response key, for an object of type `object`.
    pub(crate) fn sub_fields(self, object: &str, fields: &[&'a Field]) -> Collected<'a> {
        let mut collected = Collected::default();
        let mut visited = HashSet::new();
        for field in fields {
            self.collect(object, &field.selection_set.selections, &mut visited, &mut collected);
        }
        collected
    }

    /// An operation's root fields.
    pub(crate) fn root_fields(self, object: &str, selections: &'a [Selection]) -> Collected<'a> {
        let mut collected = Collected::default();
        self.collect(object, selections, &mut HashSet::new(), &mut collected);
        collected
    }

    fn collect(
        self,
        object: &str,
        selections: &'a [Selection],
        visited: &mut HashSet<&'a Name>,
        collected: &mut Collected<'a>,
    ) {
        for selection in selections {
            if !self.applies(selection) {
                continue;
            }
            match selection {
                Selection::Field(field) => collected.entry(field.response_key()).or_default().push(field),
                Selection::InlineFragment(fragment) => {
                    let fits = fragment.type_condition.as_ref().is_none_or(|ty| self.schema.is_a(object, ty));
                    if fits {
                        self.collect(object, &fragment.selection_set.selections, visited, collected);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if !visited.insert(&spread.fragment_name) {
                        continue;
                    }
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.schema.is_a(object, fragment.type_condition())
                    {
                        self.collect(object, &fragment.selection_set.selections, visited, collected);
                    }
                }
            }
        }
    }

    /// `@skip` and `@include`.
    pub(crate) fn applies(self, selection: &Selection) -> bool {
        !self.condition(selection, "skip").unwrap_or(false)
            && self.condition(selection, "include").unwrap_or(true)
    }

    fn condition(self, selection: &Selection, directive: &str) -> Option<bool> {
        let directives = selection.directives();
        if directives.is_empty() {
            return None;
        }
        match &**directives.get(directive)?.specified_argument_by_name("if")? {
            Literal::Boolean(truth) => Some(*truth),
            Literal::Variable(name) => self.variables.get(name.as_str())?.as_bool(),
            _ => None,
        }
    }
}
