//! Card numbers, as people write them, in every text that the API takes: none of them is in a table, a queue or a log
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use serde_json::{Value, json};

use super::billing::published;
use super::database::Database;
use super::matrix::MANY_HOLDS;
use super::matrix::api::{Api, Leaf};
use super::matrix::row::{Row, Who};
use super::matrix::rows;
use super::matrix::stage::Stage;
use super::place::Place;
use super::queues::Queues;
use super::{Proof, Size};
use crate::Result;
use crate::stack::Stack;

/// What people put between the digits: up to three of them.
const SEPARATORS: &str = r"\s\-._/,\u00ad\u200b\u2010-\u2015\u202f\u2212";
/// The zeros of the scripts that the corpus has digits of.
const ZEROS: [u32; 4] = [0xff10, 0x0660, 0x06f0, 0x0966];
/// What carries text, or digits enough.
const SCALARS: [&str; 5] = ["String", "ID", "AWSEmail", "AWSDateTime", "Float"];

/// How the guard before every function says so.
const REFUSAL: &str = "must not hold a card number";

/// None anywhere.
pub(super) async fn run(size: Size, place: &Place) -> Result<Proof> {
    place.prove("pans", MANY_HOLDS, async |own| prove(size, &own.stack).await).await
}

async fn prove(size: Size, stack: &Stack) -> Result<Proof> {
    let (api, stage, corpus) = (Api::read()?, Stage::set(stack, size).await?, corpus()?);
    let mut search = Search::new(stack, &stage.cast.database, &corpus).await?;
    let (mut leaks, mut tried, mut refused, mut as_cards, mut leaves) =
        (search.new_traces().await?, 0, 0, 0, 0);
    // Else the search would prove nothing.
    search.finds_what_is_there().await?;
    for row in rows_once(&api) {
        for leaf in api.leaves(row.field).into_iter().filter(|leaf| SCALARS.contains(&leaf.scalar.as_str())) {
            leaves += 1;
            let numbers = size.of(2, corpus.len());
            let told = (0..numbers)
                .map(|number| spelled(&corpus[(leaves + number * 7) % corpus.len()], &leaf, number));
            let (owner, who) = (stage.owner_of(row).await?, caller(row));
            let account = stage.account(who, row, &owner).await?;
            let client = stage.client(&stage.auth(who, account.as_ref()));
            let scene = stage.scene(row, &owner).await?;
            for number in told.collect::<Vec<_>>() {
                let mut arguments = (row.arguments)(&scene);
                set(&mut arguments, &leaf.path, number);
                let (_, answer) = client.answer(&api.document(row.field, &arguments)?, arguments).await?;
                tried += 1;
                refused += usize::from(answer.get("errors").is_some());
                as_cards += usize::from(answer.to_string().contains(REFUSAL));
            }
            for trace in search.new_traces().await? {
                leaks.push(format!("{}({}): {trace}", row.field, leaf.path.join(".")));
            }
        }
    }
    published(stack, &stage.cast.database, size).await?;
    leaks.extend(search.new_traces().await?);
    leaks.extend(search.in_queues(stack).await?);
    if !leaks.is_empty() {
        return Err(format!("card numbers are kept:\n  {}", leaks.join("\n  ")).into());
    }
    Ok(Proof {
        name: "pans",
        figure: format!(
            "{} numbers of {} cards in {leaves} arguments: {tried} calls, {refused} refused, \
             {as_cards} of them as card numbers; none in {} columns, the \
             queues or the log",
            corpus.len(),
            corpus.iter().map(|number| digits(number)).collect::<BTreeSet<_>>().len(),
            search.columns.len(),
        ),
    })
}

/// As they are written.
fn corpus() -> Result<Vec<String>> {
    let text = include_str!("../../../shared/tests/pans.txt").lines();
    let numbers: Vec<_> =
        text.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    if numbers.len() < 20 {
        return Err("the corpus is gone".into());
    }
    match numbers.iter().find(|number| !(13..=19).contains(&digits(number).len())) {
        Some(number) => Err(format!("{number} has digits that would not be found").into()),
        None => Ok(numbers),
    }
}

fn digits(number: &str) -> String {
    number.chars().map(plain).filter(char::is_ascii_digit).collect()
}

/// A digit of ours for one of another script's.
fn plain(character: char) -> char {
    let digit = |zero: &u32| u32::from(character).checked_sub(*zero).filter(|digit| *digit < 10);
    ZEROS.iter().find_map(digit).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(character)
}

/// Those digits of other scripts, and ours, as SQL's `translate` takes them.
fn scripts() -> (String, String) {
    let others = ZEROS.iter().flat_map(|zero| (0..10).filter_map(move |digit| char::from_u32(zero + digit)));
    others.map(|other| (other, plain(other))).unzip()
}

/// The first row of every field that a client can reach.
fn rows_once(api: &Api) -> Vec<&'static Row> {
    let mut by_field = BTreeMap::new();
    for row in rows().filter(|row| !row.field.starts_with("Subscription.")) {
        by_field.entry(row.field).or_insert(row);
    }
    api.fields().filter_map(|field| by_field.get(field).copied()).collect()
}

/// Who is let in.
fn caller(row: &Row) -> Who {
    let most = [Who::Owner, Who::Operator, Who::Anonymous];
    most.into_iter().find(|who| row.expected.of(*who).is_allowed()).unwrap_or(Who::Operator)
}

/// A number as the argument takes it: alone, or in a sentence.
fn spelled(number: &str, leaf: &Leaf, nth: usize) -> Value {
    match leaf.scalar.as_str() {
        "AWSEmail" => json!(format!("{}@example.com", number.replace(' ', "."))),
        "Float" => json!(digits(number).parse::<f64>().unwrap_or_default()),
        "String" if nth % 3 == 1 => json!(format!("my card {number}, please")),
        "String" if nth % 3 == 2 => json!(format!("pm_{number}")),
        _ => json!(number),
    }
}

/// Puts `new` at `path`, whatever is there.
fn set(arguments: &mut Value, path: &[String], new: Value) {
    let Some((first, rest)) = path.split_first() else {
        *arguments = new;
        return;
    };
    if let Ok(place) = first.parse::<usize>() {
        if !arguments.is_array() {
            *arguments = json!([null]);
        }
        set(&mut arguments[place], rest, new);
    } else {
        set(&mut arguments[first.as_str()], rest, new);
    }
}

/// A look at everything that is kept.
struct Search<'a> {
    database: &'a Database,
    numbers: Vec<String>,
    /// `table.column`, and the query that counts.
    columns: Vec<(String, String)>,
    /// Rows with a number, at the last look.
    found: BTreeMap<String, i64>,
    log: File,
}

impl<'a> Search<'a> {
    async fn new(stack: &Stack, database: &'a Database, corpus: &[String]) -> Result<Self> {
        let numbers: BTreeSet<_> = corpus.iter().map(|number| digits(number)).collect();
        let (others, ours) = scripts();
        let pattern = numbers.iter().map(String::as_str).collect::<Vec<_>>().join("|");
        let mut columns = Vec::new();
        for row in database.rows(COLUMNS).await? {
            let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let bare = format!(
                "regexp_replace(translate(\"{column}\"::text, '{others}', '{ours}'), \
                                '([0-9])[{SEPARATORS}]{{1,3}}(?=[0-9])', '\\1', 'g')"
            );
            let name = format!("{table}.{column}");
            let count = format!(
                "SELECT '{name}' AS name, count(*) AS rows FROM \"{table}\" WHERE {bare} ~ '{pattern}'"
            );
            columns.push((name, count));
        }
        Ok(Self {
            database,
            numbers: numbers.into_iter().collect(),
            columns,
            found: BTreeMap::new(),
            log: File::open(stack.log())?,
        })
    }

    /// Where numbers are now that were not there at the last look.
    async fn new_traces(&mut self) -> Result<Vec<String>> {
        let mut traces = Vec::new();
        let all: Vec<_> = self.columns.iter().map(|(_, count)| count.as_str()).collect();
        for row in self.database.rows(&all.join(" UNION ALL ")).await? {
            let (name, rows): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            let before = self.found.insert(name.clone(), rows).unwrap_or_default();
            if rows > before {
                traces.push(format!("{} rows of {name}", rows - before));
            }
        }
        let from = self.log.stream_position()?;
        let mut more = Vec::new();
        self.log.read_to_end(&mut more)?;
        // A line that is being written is read again.
        let whole = more.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.log.seek(SeekFrom::Start(from + whole as u64))?;
        for line in String::from_utf8_lossy(&more[..whole]).lines() {
            if self.is_told(line) {
                traces.push(format!("the log: {}", line.chars().take(600).collect::<String>()));
            }
        }
        Ok(traces)
    }

    fn is_told(&self, text: &str) -> bool {
        let bare = bare(text);
        self.numbers.iter().any(|number| bare.contains(number))
    }

    /// Numbers in messages that nobody took.
    async fn in_queues(&self, stack: &Stack) -> Result<Vec<String>> {
        let (queues, mut traces) = (Queues::of(stack).await, Vec::new());
        // A function may be named like one.
        let is_queue = |(id, url): &(&String, &String)| {
            url.starts_with("http") && (id.ends_with("Queue") || id.ends_with("DeadLetters"))
        };
        for (id, _) in stack.resources.iter().filter(is_queue) {
            let queue = queues.queue(stack, id)?;
            let bodies = queue.drain().await.map_err(|error| format!("{id} ({}): {error:?}", queue.url))?;
            for body in bodies {
                if self.is_told(&body) {
                    traces.push(format!("{id}: {body}"));
                }
            }
        }
        Ok(traces)
    }

    /// Writes one number where none belongs, sees that it is found, and takes it out again.
    async fn finds_what_is_there(&mut self) -> Result<()> {
        let put =
            "UPDATE stations SET town = 'was ' || town || ' 4242-4242  ４２４２,4242' WHERE ocm_id IS NULL";
        let take = "UPDATE stations SET town = '' WHERE ocm_id IS NULL";
        self.database.script(put).await?;
        let found = self.new_traces().await?;
        self.database.script(take).await?;
        self.new_traces().await?;
        if found.iter().any(|trace| trace.ends_with("stations.town"))
            && self.is_told("\"4242 4242--\u{ff14}2424242\"")
        {
            Ok(())
        } else {
            Err(format!("a number in stations.town is not found: {found:?}").into())
        }
    }
}

/// Without what separates two digits, and with our digits alone.
fn bare(text: &str) -> String {
    const AT_MOST: usize = 3;
    let (mut bare, mut between) = (String::with_capacity(text.len()), String::new());
    for character in text.chars().map(plain) {
        if is_separator(character) && bare.ends_with(|last: char| last.is_ascii_digit()) {
            between.push(character);
            continue;
        }
        if !character.is_ascii_digit() || between.chars().count() > AT_MOST {
            bare.push_str(&between);
        }
        between.clear();
        bare.push(character);
    }
    bare + &between
}

fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || "-._/,\u{ad}\u{200b}\u{2212}".contains(character)
        || ('\u{2010}'..='\u{2015}').contains(&character)
}

/// Every column that holds text in any form.
const COLUMNS: &str = "
    SELECT relname::text, attname::text FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND attnum > 0 AND NOT attisdropped
        AND atttypid::regtype::text IN ('text', 'character varying', 'character', 'json', 'jsonb', 'text[]', 'bytea',
                                        'numeric', 'double precision', 'bigint')
    ORDER BY relname, attnum";
