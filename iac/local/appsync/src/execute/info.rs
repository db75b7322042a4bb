//! What a resolver is told of the selection below its field: `ctx.info.selectionSetList` and `selectionSetGraphQL`.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::executable::{ExecutableDocument, Field, Selection};
use dashmap::DashMap;

use super::collect::Collector;

/// Both forms of one field's selection.
#[derive(Debug)]
pub(crate) struct SelectionText {
    /// Paths of response keys: `["connectors", "connectors/id"]`.
    pub(crate) list: Vec<String>,
    pub(crate) graphql: String,
}

/// The texts of one document's fields, kept where no variable can change them.
#[derive(Debug)]
pub(crate) struct InfoCache {
    conditional: bool,
    /// By the field's address, which is stable as long as the document is.
    kept: DashMap<usize, Arc<SelectionText>>,
}

impl InfoCache {
    pub(crate) fn new(document: &ExecutableDocument) -> Self {
        let selections = document.operations.iter().flat_map(|operation| &operation.selection_set.selections);
        let fragments = document.fragments.values().flat_map(|fragment| &fragment.selection_set.selections);
        let conditional = selections.chain(fragments).any(has_condition);
        Self { conditional, kept: DashMap::new() }
    }

    /// The text for `fields`, which share a response key.
    pub(crate) fn text(&self, collector: Collector<'_>, fields: &[&Field]) -> Arc<SelectionText> {
        match fields {
            &[field] if !self.conditional => {
                let address = std::ptr::from_ref(field).addr();
                if let Some(text) = self.kept.get(&address) {
                    return Arc::clone(&text);
                }
                let text = Arc::new(write(collector, fields));
                self.kept.insert(address, Arc::clone(&text));
                text
            }
            _ => Arc::new(write(collector, fields)),
        }
    }
}

fn has_condition(selection: &Selection) -> bool {
    let conditional = |directives: &DirectiveList| directives.has("skip") || directives.has("include");
    conditional(selection.directives())
        || match selection {
            Selection::Field(field) => field.selection_set.selections.iter().any(has_condition),
            Selection::InlineFragment(fragment) => {
                fragment.selection_set.selections.iter().any(has_condition)
            }
            Selection::FragmentSpread(_) => false,
        }
}

fn write(collector: Collector<'_>, fields: &[&Field]) -> SelectionText {
    let mut list = Vec::new();
    let mut graphql = String::new();
    let selections: Vec<&Selection> =
        fields.iter().flat_map(|field| &field.selection_set.selections).collect();
    paths(collector, &selections, "", &mut HashSet::new(), &mut list);
    if !selections.is_empty() {
        block(collector, &selections, 0, &mut graphql);
    }
    SelectionText { list, graphql }
}

fn paths(
    collector: Collector<'_>,
    selections: &[&Selection],
    prefix: &str,
    seen: &mut HashSet<String>,
    list: &mut Vec<String>,
) {
    for selection in selections.iter().filter(|selection| collector.applies(selection)) {
        match selection {
            Selection::Field(field) => {
                let path = format!("{prefix}{}", field.response_key());
                if seen.insert(path.clone()) {
                    list.push(path.clone());
                }
                let inner: Vec<&Selection> = field.selection_set.selections.iter().collect();
                paths(collector, &inner, &format!("{path}/"), seen, list);
            }
            fragment => paths(collector, &inside(collector, fragment), prefix, seen, list),
        }
    }
}

fn inside<'a>(collector: Collector<'a>, fragment: &'a Selection) -> Vec<&'a Selection> {
    let selections = match fragment {
        Selection::Field(field) => Some(&field.selection_set),
        Selection::InlineFragment(fragment) => Some(&fragment.selection_set),
        Selection::FragmentSpread(spread) => {
            collector.document.fragments.get(&spread.fragment_name).map(|fragment| &fragment.selection_set)
        }
    };
    selections.map(|set| set.selections.iter().collect()).unwrap_or_default()
}

/// Named fragments are written inline: a resolver has no definitions to look them up in.
fn block(collector: Collector<'_>, selections: &[&Selection], indent: usize, text: &mut String) {
    let margin = "  ".repeat(indent + 1);
    text.push_str("{\n");
    for selection in selections.iter().filter(|selection| collector.applies(selection)) {
        text.push_str(&margin);
        match selection {
            Selection::Field(field) => {
                if let Some(alias) = &field.alias {
                    let _ = write!(text, "{alias}: ");
                }
                text.push_str(&field.name);
                if !field.arguments.is_empty() {
                    let arguments: Vec<String> = field
                        .arguments
                        .iter()
                        .map(|argument| {
                            format!("{}: {}", argument.name, argument.value.serialize().no_indent())
                        })
                        .collect();
                    let _ = write!(text, "({})", arguments.join(", "));
                }
            }
            Selection::InlineFragment(fragment) => {
                text.push_str("...");
                if let Some(condition) = &fragment.type_condition {
                    let _ = write!(text, " on {condition}");
                }
            }
            Selection::FragmentSpread(spread) => {
                text.push_str("...");
                if let Some(fragment) = collector.document.fragments.get(&spread.fragment_name) {
                    let _ = write!(text, " on {}", fragment.type_condition());
                }
            }
        }
        let inner = inside(collector, selection);
        if !inner.is_empty() {
            text.push(' ');
            block(collector, &inner, indent + 1, text);
        }
        text.push('\n');
    }
    text.push_str(&"  ".repeat(indent));
    text.push('}');
}
