//! Every statement of the functions, against the real schema: those that only read are run again when their answer was
//! lost, and no others are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use scratch::Postgres;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// A statement as a source file has it.
struct Found {
    place: String,
    sql: String,
    says_it_reads: bool,
}

#[tokio::test]
async fn a_statement_is_called_a_read_if_it_is_one() {
    let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
    let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
    let client = postgres.connect().await;
    nothing_stable_writes(&client).await;

    let (mut reads, mut writes, mut wrong) = (0, 0, Vec::new());
    for Found { place, sql, says_it_reads } in statements() {
        let only_reads = only_reads(&client, &sql).await;
        *if only_reads { &mut reads } else { &mut writes } += 1;
        if only_reads != says_it_reads {
            let should = if only_reads { "read" } else { "new" };
            wrong.push(format!("{place}: is a Statement::{should}: {sql}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(reads > 30 && writes > 50, "{reads} reads and {writes} writes: where is the rest?");
}

/// PostgreSQL lets functions that are not volatile write nothing themselves; nor do they call any that may.
async fn nothing_stable_writes(client: &Client) {
    let callers = client
        .query(
            "SELECT caller.proname || ' calls ' || called.proname FROM pg_proc AS caller, pg_proc AS called
             WHERE caller.pronamespace = 'public'::regnamespace AND called.pronamespace = 'public'::regnamespace
                 AND caller.prokind = 'f' AND caller.provolatile <> 'v' AND called.provolatile = 'v'
                 AND pg_get_functiondef(caller.oid) ~ ('\\m' || called.proname || '\\(')",
            &[],
        )
        .await
        .unwrap();
    let callers: Vec<String> = callers.iter().map(|row| row.get(0)).collect();
    assert!(callers.is_empty(), "{callers:?}");
}

/// Whether it calls nothing that may write, and a transaction that may only read takes it.
async fn only_reads(client: &Client, sql: &str) -> bool {
    let volatile = client
        .query(
            "SELECT FROM pg_proc WHERE provolatile = 'v' AND prokind = 'f' AND $1 ~ ('\\m' || proname || '\\(')",
            &[&sql],
        )
        .await
        .unwrap();
    if !volatile.is_empty() {
        return false;
    }
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    let done = client.batch_execute(&without_parameters(sql)).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    match done {
        Ok(()) => true,
        Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => false,
        Err(error) => panic!("{:?}: {sql}", error.as_db_error()),
    }
}

/// With NULL for each `:name`, whose type is always told.
fn without_parameters(sql: &str) -> String {
    let mut bare = String::new();
    let mut rest = sql;
    while let Some(colon) = rest.find(':') {
        let (before, from) = rest.split_at(colon);
        bare.push_str(before);
        let length = from[1..].bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
        if let Some(cast) = from.strip_prefix("::") {
            bare.push_str("::");
            rest = cast;
        } else if length > 0 {
            bare.push_str("NULL");
            rest = &from[1 + length..];
        } else {
            bare.push(':');
            rest = &from[1..];
        }
    }
    bare + rest
}

fn statements() -> Vec<Found> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    rust_files(&root.join("shared/src"), &mut files);
    for context in fs::read_dir(root.join("functions")).unwrap() {
        let source = context.unwrap().path().join("src");
        // What applies migrations is not of the schema.
        if source.is_dir() && !source.ends_with("migrate/src") {
            rust_files(&source, &mut files);
        }
    }
    files.iter().flat_map(|file| statements_of(file)).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn statements_of(file: &Path) -> Vec<Found> {
    let source = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    let openings = ["Statement::new(", "Statement::read("];
    for (place, opening) in openings.iter().flat_map(|opening| source.match_indices(opening)) {
        let line = source[..place].matches('\n').count() + 1;
        let sql = sql_after(&source, &source[place + opening.len()..]);
        let place = format!("{}:{line}", file.display());
        found.push(Found { place, sql, says_it_reads: opening.contains("read") });
    }
    found
}

/// A literal, a constant of the file, or a macro that puts a condition between two literals.
fn sql_after(source: &str, argument: &str) -> String {
    let argument = argument.trim_start();
    if argument.starts_with('"') {
        return literal(argument).0;
    }
    let name: String = argument.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if argument[name.len()..].starts_with("!(") {
        let (before, rest) = literal(&argument[name.len() + 2..]);
        return format!("{before} true {}", literal(rest).0);
    }
    let constant = format!("const {name}: &str =");
    let (_, value) = source.split_once(&constant).unwrap_or_else(|| panic!("no {constant}"));
    literal(value).0
}

/// The first literal of `text`, and what follows it.
fn literal(text: &str) -> (String, &str) {
    let begin = text.find('"').expect("a literal") + 1;
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, character) in text[begin..].char_indices() {
        match character {
            _ if is_escaped => {
                is_escaped = false;
                value.push(character);
            }
            '\\' => is_escaped = true,
            '"' => return (value, &text[begin + at + 1..]),
            _ => value.push(character),
        }
    }
    panic!("a literal without an end")
}
