//! One GraphQL schema from the file of each context, in the order of their names.

use std::path::{Path, PathBuf};

/// Why there is no schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    /// Nothing to join.
    #[error("{0} has no *.graphql files")]
    Empty(PathBuf),
    /// A file or folder that cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

/// Joins `from/*.graphql` into `to`. Writes only what differs, so that build tools see no change.
pub(crate) fn join(from: &Path, to: &Path) -> Result<(), SchemaError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| SchemaError::Io(path, error)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).map_err(io(from))? {
        let path = entry.map_err(io(from))?.path();
        if path.extension().is_some_and(|extension| extension == "graphql") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(SchemaError::Empty(from.to_owned()));
    }
    let mut joined = String::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(io(file))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        joined.push_str(&format!("# {name}\n{}\n\n", text.trim_end()));
    }
    if std::fs::read_to_string(to).is_ok_and(|present| present == joined) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    std::fs::write(to, joined).map_err(io(to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn files_are_joined_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("b.graphql"), "type B { b: Int }\n\n").unwrap();
        std::fs::write(at("a.graphql"), "type A { a: Int }").unwrap();
        std::fs::write(at("notes.txt"), "no").unwrap();
        let to = at("out/schema.graphql");
        join(folder.path(), &to).unwrap();
        let expected = "# a.graphql\ntype A { a: Int }\n\n# b.graphql\ntype B { b: Int }\n\n";
        assert_eq!(std::fs::read_to_string(to).unwrap(), expected);
    }

    #[test]
    fn a_folder_without_schemas_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = join(folder.path(), &folder.path().join("x")).unwrap_err().to_string();
        assert!(error.contains("no *.graphql files"), "{error}");
    }
}
