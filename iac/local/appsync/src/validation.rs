//! Puts the compiler's diagnostics into the words of AppSync's validator (graphql-java): clients and their tests
//! match on `Validation error of type …`.

use apollo_compiler::ast::{Definition, Document, Selection};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::validation::DiagnosticList;

use crate::error::{GraphqlError, Location};

/// graphql-java tells no more, and thousands would cost more than the document they are about.
pub(crate) const MAX_ERRORS: usize = 100;

/// An error for each diagnostic that is the client's doing, as far as they are told.
pub(crate) fn errors(document: &Document, diagnostics: &DiagnosticList) -> Vec<GraphqlError> {
    let placed: Vec<_> = diagnostics
        .iter()
        .take(MAX_ERRORS)
        .map(|diagnostic| (path(document, diagnostic.error.location()), diagnostic))
        .collect();
    let at_fault_below = |path: &str| {
        placed.iter().any(|(other, _)| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    };
    placed
        .iter()
        .filter_map(|(path, diagnostic)| {
            let name = diagnostic.error.unstable_error_name().unwrap_or_default();
            // The compiler leaves out sub-selections that are wrong, and then misses them.
            if name == "MissingSubselection" && at_fault_below(path) {
                return None;
            }
            let locations = Location::of(diagnostic.error.location(), diagnostic.sources);
            Some(error(name, &diagnostic.error.to_string(), path, locations))
        })
        .collect()
}

/// An error this crate finds itself: `kind` as graphql-java names it.
pub(crate) fn found(kind: &str, detail: &str, locations: Vec<Location>) -> GraphqlError {
    GraphqlError::Validation { locations, message: format!("Validation error of type {kind}: {detail}") }
}

fn error(name: &str, message: &str, path: &str, locations: Vec<Location>) -> GraphqlError {
    // What the message puts between backticks: names, types and coordinates.
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let first = quoted.first().copied().unwrap_or_default();
    let second = quoted.get(1).copied().unwrap_or_default();
    let bare = first.trim_start_matches(['$', '@']);
    let field = path.rsplit('/').next().unwrap_or_default();
    let (kind, detail) = match name {
        "UndefinedField" => {
            ("FieldUndefined", format!("Field '{second}' in type '{first}' is undefined @ '{path}'"))
        }
        "RequiredArgument" => {
            let argument = first.split_once('(').map_or(first, |(_, rest)| rest.trim_end_matches([':', ')']));
            ("MissingFieldArgument", format!("Missing field argument {argument} @ '{path}'"))
        }
        "UndefinedArgument" => ("UnknownArgument", format!("Unknown field argument {bare} @ '{path}'")),
        "MissingSubselection" => {
            ("SubSelectionRequired", format!("Sub selection required for field {field} @ '{path}'"))
        }
        "SubselectionOnScalarType" | "SubselectionOnEnumType" => (
            "SubSelectionNotAllowed",
            format!("Sub selection not allowed on leaf type {first} of field {field} @ '{path}'"),
        ),
        "UndefinedVariable" => ("UndefinedVariable", format!("Undefined variable {bare} @ '{path}'")),
        "UnusedVariable" => ("UnusedVariable", format!("Unused variable {bare}")),
        "UniqueVariable" => {
            ("DuplicateVariableName", format!("There can be only one variable named '{bare}'"))
        }
        "UniqueArgument" => {
            ("DuplicateArgumentNames", format!("There can be only one argument named '{bare}' @ '{path}'"))
        }
        "UndefinedFragment" => ("UndefinedFragment", format!("Undefined fragment {bare} @ '{path}'")),
        "UnusedFragment" => ("UnusedFragment", format!("Unused fragment {bare}")),
        "FragmentNameCollision" => {
            ("DuplicateFragmentName", format!("There can be only one fragment named '{bare}'"))
        }
        "OperationNameCollision" => {
            ("DuplicateOperationName", format!("There can be only one operation named '{bare}'"))
        }
        "UndefinedDirective" => ("UnknownDirective", format!("Unknown directive {bare} @ '{path}'")),
        "UnsupportedLocation" => ("MisplacedDirective", format!("{message} @ '{path}'")),
        "UndefinedDefinition"
        | "UndefinedTypeInNamedFragmentTypeCondition"
        | "UndefinedTypeInInlineFragmentTypeCondition" => ("UnknownType", format!("Unknown type {bare}")),
        "InvalidFragmentSpread" => ("InvalidFragmentType", format!("{message} @ '{path}'")),
        "InvalidFragmentTarget" => ("InlineFragmentTypeConditionInvalid", format!("{message} @ '{path}'")),
        "DisallowedVariableUsage" => ("VariableTypeMismatch", format!("{message} @ '{path}'")),
        "VariableInputType" => ("NonInputTypeOnVariable", message.to_owned()),
        "UnsupportedValueType"
        | "IntCoercionError"
        | "FloatCoercionError"
        | "UndefinedEnumValue"
        | "UndefinedInputValue"
        | "UniqueInputValue"
        | "RequiredField" => ("WrongType", format!("{message} @ '{path}'")),
        "ConflictingFieldType" | "ConflictingFieldArgument" | "ConflictingFieldName" => {
            ("FieldsConflict", format!("{field}: {message} @ '{path}'"))
        }
        "RecursiveFragmentDefinition" => ("FragmentCycle", message.to_owned()),
        "AmbiguousAnonymousOperation" => ("LoneAnonymousOperationViolation", message.to_owned()),
        "SubscriptionUsesMultipleFields" => ("SubscriptionMultipleRootFields", message.to_owned()),
        _ => ("InvalidSyntax", message.to_owned()),
    };
    found(kind, &detail, locations)
}

/// The names of the fields around a place: `getStation/connectors/id`.
fn path(document: &Document, span: Option<SourceSpan>) -> String {
    let mut names = Vec::new();
    if let Some(span) = span {
        for definition in &document.definitions {
            let selections = match definition {
                Definition::OperationDefinition(operation) => &operation.selection_set,
                Definition::FragmentDefinition(fragment) => &fragment.selection_set,
                _ => continue,
            };
            descend(selections, span, &mut names);
        }
    }
    names.join("/")
}

fn descend<'a>(selections: &'a [Selection], span: SourceSpan, names: &mut Vec<&'a str>) {
    let around = selections.iter().find(|selection| {
        selection.location().is_some_and(|outer| {
            outer.file_id() == span.file_id() && (outer.offset()..outer.end_offset()).contains(&span.offset())
        })
    });
    match around {
        Some(Selection::Field(field)) => {
            names.push(&field.name);
            descend(&field.selection_set, span, names);
        }
        Some(Selection::InlineFragment(fragment)) => descend(&fragment.selection_set, span, names),
        Some(Selection::FragmentSpread(_)) | None => {}
    }
}
