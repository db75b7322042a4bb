//! Every operation of the API, asked for by everybody: each gets what is theirs, and nobody sees or changes anything of
//! the owner's. A field of the schema without a row in the table fails, and so does a row without a field.

pub(super) mod api;
mod booking;
mod events;
mod live;
mod money;
pub(super) mod row;
mod session;
pub(super) mod stage;
mod station;
mod tariff;
mod traces;
mod user;
mod vendor;

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{Needs, Place};
use super::{Proof, Size};
use crate::Result;
use crate::accounts::Account;
use crate::realtime::Subscription;
use api::Api;
use row::{Outcome, Row, Who};
use stage::Stage;

/// The table, a context after another.
const TABLE: [&[Row]; 9] = [
    user::ROWS,
    station::ROWS,
    booking::ROWS,
    session::ROWS,
    tariff::ROWS,
    money::ROWS,
    vendor::ROWS,
    live::ROWS,
    events::ROWS,
];

/// Every row.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.into_iter().flatten()
}

/// One owner's holds are asked for by everybody.
pub(super) const MANY_HOLDS: Needs =
    Needs { faults: false, parameters: &["BookingMaxHoldsPerUser=20"], redis: None };

/// Everybody asks for everything.
pub(super) async fn run(size: Size, place: &Place) -> Result<Proof> {
    place
        .prove("matrix", MANY_HOLDS, async |own| {
            let matrix = Matrix { api: Api::read()?, stage: Stage::set(&own.stack, size).await? };
            matrix.prove().await
        })
        .await
}

struct Matrix<'a> {
    api: Api,
    stage: Stage<'a>,
}

/// What came of one call.
struct Cell {
    answer: Value,
    /// What it shows of the owner's.
    seen: usize,
    /// Whether anything of the owner's is different now.
    changed: bool,
}

impl Matrix<'_> {
    async fn prove(&self) -> Result<Proof> {
        let declared: BTreeSet<&str> = self.api.fields().collect();
        let written: BTreeSet<&str> = rows().map(|row| row.field).collect();
        let apart: Vec<_> = declared.symmetric_difference(&written).collect();
        if !apart.is_empty() {
            return Err(format!("either in the schema or in the table, not in both: {apart:?}").into());
        }
        let (mut calls, mut own, mut changed, mut wrong) = (0, 0, 0, Vec::new());
        for row in rows() {
            let mut owner = self.stage.owner_of(row).await?;
            let mut answers = Vec::new();
            for who in Who::ALL {
                if who == Who::Operator {
                    // What the owner did may go on by itself.
                    owner = self.stage.owner_of(row).await?;
                }
                let cell = self.cell(row, who, &owner, &mut wrong).await?;
                calls += 1;
                own += usize::from(who == Who::Owner && cell.seen > 0);
                changed += usize::from(who == Who::Owner && cell.changed);
                answers.push((who, cell.answer));
            }
            wrong.extend(same_as_the_owners(row, &answers));
        }
        if !wrong.is_empty() {
            return Err(format!("{} of {calls} calls:\n  {}", wrong.len(), wrong.join("\n  ")).into());
        }
        // Else markers and pictures would prove nothing.
        if own < 20 || changed < 10 {
            return Err(
                format!("only {own} answers show the owner theirs, only {changed} calls change it").into()
            );
        }
        Ok(Proof {
            name: "matrix",
            figure: format!(
                "{} operations, asked for in {} ways by {} callers = {calls} calls, each with its outcome: no object of \
                 another's seen or changed",
                declared.len(),
                rows().count(),
                Who::ALL.len(),
            ),
        })
    }

    /// One caller's call, and what is wrong with it.
    async fn cell(&self, row: &Row, who: Who, owner: &Account, wrong: &mut Vec<String>) -> Result<Cell> {
        let database = &self.stage.cast.database;
        let owners = [owner, &self.stage.owner];
        let account = self.stage.account(who, row, owner).await?;
        let scene = self.stage.scene(row, owner).await?;
        let arguments = (row.arguments)(&scene);
        let before = traces::picture(database, owners).await?;
        let (error_type, answer) = self.call(row, who, account.as_ref(), &arguments).await?;
        let after = traces::picture(database, owners).await?;
        let markers = traces::markers(database, owners).await?;
        let seen = traces::seen(&markers, &arguments, &answer);

        let expected = row.expected.of(who);
        let mut tell = |what: String| wrong.push(format!("{} by {who:?}: {what}", row.field));
        let is_expected = match &error_type {
            None => expected.is_allowed(),
            Some(kind) => expected.error_types().contains(&kind.as_str()),
        };
        if !is_expected {
            tell(format!("{expected:?} expected: {answer}"));
        }
        if error_type.is_some()
            && answer["data"].as_object().is_some_and(|data| !data.values().all(Value::is_null))
        {
            tell(format!("refused, and answered: {answer}"));
        }
        let may_see = who == Who::Owner || (who == Who::Operator && expected == Outcome::Allowed);
        if !may_see && !seen.is_empty() {
            tell(format!("sees {seen:?}: {answer}"));
        }
        // Who is refused changes nothing, either.
        let leaves_traces = row.is_mutation() || row.field == "Query.user";
        let may_change = may_see && expected.is_allowed() && leaves_traces;
        if !may_change && before != after {
            tell(format!("changes {}", difference(&before, &after)));
        }
        Ok(Cell { seen: seen.len(), changed: before != after, answer })
    }

    /// The first error's type, and the whole answer. Whoever was too busy is asked again.
    async fn call(
        &self,
        row: &Row,
        who: Who,
        account: Option<&Account>,
        arguments: &Value,
    ) -> Result<(Option<String>, Value)> {
        let (auth, document) = (self.stage.auth(who, account), self.api.document(row.field, arguments)?);
        let mut tries = 0;
        loop {
            tries += 1;
            let (answer, first) = if row.field.starts_with("Subscription.") {
                let url = &self.stage.cast.stack.realtime_url;
                let message = Subscription::attempt_as(url, &auth, &document, arguments.clone()).await?;
                let first = match message["type"].as_str() {
                    Some("start_ack") => Value::Null,
                    _ => message["payload"]["errors"].get(0).unwrap_or(&message).clone(),
                };
                (message, first)
            } else {
                let (_, answer) = self.stage.client(&auth).answer(&document, arguments.clone()).await?;
                let first = answer["errors"].get(0).cloned().unwrap_or_default();
                (answer, first)
            };
            let kind = first["errorType"].as_str().map(str::to_owned);
            let kind = kind.or_else(|| (!first.is_null()).then(|| "an error without a type".to_owned()));
            match &kind {
                Some(kind) if kind.starts_with("Lambda:") && tries < 5 => {}
                _ => return Ok((kind, answer)),
            }
        }
    }
}

/// Those who are answered what the owner is answered, where everybody has their own.
fn same_as_the_owners(row: &Row, answers: &[(Who, Value)]) -> Vec<String> {
    let owners = answers.iter().find(|(who, _)| *who == Who::Owner).map(|(_, answer)| answer);
    let own =
        answers.iter().filter(|(who, _)| *who != Who::Owner && row.expected.of(*who) == Outcome::AllowedOwn);
    own.filter(|(_, answer)| Some(answer) == owners)
        .map(|(who, answer)| format!("{} by {who:?}: the owner's answer: {answer}", row.field))
        .collect()
}

/// The rows that are only in one of two pictures.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    let apart: Vec<_> = before.symmetric_difference(&after).copied().collect();
    apart.join(" | ")
}
