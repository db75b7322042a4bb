//! Sends dead letters to their consumers again, by an operator's hand. A letter is claimed, sent, and then marked: a
//! replay that dies between the last two leaves it open, and it may be sent twice, which consumers do not mind. Two
//! replays at once never send the same letter, for each passes over what the other has claimed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::{Caller, Database, Failure, Reason, Role, Timestamp};
use tracing::{info, warn};
use uuid::Uuid;

use crate::dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterId};
use crate::queues::DeadLetterQueues;
use crate::store::dead_letters::{self as store, Claimed, Hand};

/// No round is begun later: AppSync waits for thirty seconds.
const WORK: TimeDelta = TimeDelta::seconds(20);
/// A round is a second's messages.
const ROUND: Duration = Duration::from_secs(1);
/// Messages a call; SQS takes no more.
const BATCH: usize = 10;
/// Letters that a report shows.
const SHOWN: usize = 100;

/// Arguments of `Mutation.replayDeadLetters`.
#[derive(Debug, Deserialize)]
pub struct ReplayDeadLetters {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    filter: DeadLetterFilter,
    dry_run: Option<bool>,
    rate: Option<Rate>,
    limit: Option<Limit>,
    reason: Reason,
}

/// Messages a second.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Rate(usize);

impl Default for Rate {
    fn default() -> Self {
        Self(10)
    }
}

impl TryFrom<i64> for Rate {
    type Error = &'static str;

    fn try_from(rate: i64) -> Result<Self, Self::Error> {
        match usize::try_from(rate) {
            Ok(rate @ 1..=100) => Ok(Self(rate)),
            _ => Err("must be between 1 and 100"),
        }
    }
}

/// Messages in all.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Limit(usize);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<i64> for Limit {
    type Error = &'static str;

    fn try_from(limit: i64) -> Result<Self, Self::Error> {
        match usize::try_from(limit) {
            Ok(limit @ 1..=1000) => Ok(Self(limit)),
            _ => Err("must be between 1 and 1000"),
        }
    }
}

/// GraphQL `ReplayReport`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    /// Whether nothing was sent.
    pub dry_run: bool,
    /// Open letters that fit the filter.
    pub matched: usize,
    /// Sent now, each with an audit row.
    pub replayed: usize,
    /// Matched and not sent: beyond the limit or the time, claimed by another replay, or not taken by their queue.
    /// These last are claimed for a minute.
    pub remaining: usize,
    /// The first hundred of those sent, or of those that would be.
    pub letters: Vec<DeadLetter>,
}

/// Sends what fits the filter and is open, the first found first; only tells of it unless `dryRun` is false.
pub async fn replay(
    database: &Database,
    sqs: &Client,
    queues: &DeadLetterQueues,
    caller: &Caller,
    ReplayDeadLetters { input }: ReplayDeadLetters,
) -> Result<ReplayReport, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let Input { filter, dry_run, rate, limit, reason } = input;
    let Limit(limit) = limit.unwrap_or_default();
    if let Some(consumer) = &filter.consumer
        && queues.source(consumer.as_str()).is_none()
    {
        return Err(Failure::invalid("input.filter.consumer", "is no consumer with a queue"));
    }
    let matched = store::count_open(database, &filter).await?;
    if dry_run.unwrap_or(true) {
        let letters = store::open(database, &filter, count(limit.min(SHOWN))).await?;
        return Ok(ReplayReport { dry_run: true, matched, replayed: 0, remaining: matched, letters });
    }

    let hand = Hand {
        claim: Uuid::now_v7(),
        operator,
        reason: reason.as_str(),
        correlation_id: caller.correlation_id,
    };
    let run = Run { database, sqs, queues, filter: &filter, hand, at: caller.at };
    let (replayed, letters) = run.rounds(rate.unwrap_or_default(), limit).await?;
    // What another replay sent meanwhile is not left, either.
    let remaining = matched.saturating_sub(replayed).min(store::count_open(database, &filter).await?);
    info!(matched, replayed, remaining, "replayed dead letters");
    Ok(ReplayReport { dry_run: false, matched, replayed, remaining, letters })
}

fn count(letters: usize) -> i64 {
    i64::try_from(letters).unwrap_or(i64::MAX)
}

struct Run<'a> {
    database: &'a Database,
    sqs: &'a Client,
    queues: &'a DeadLetterQueues,
    filter: &'a DeadLetterFilter,
    hand: Hand<'a>,
    at: Timestamp,
}

impl Run<'_> {
    /// How many were sent, and the first of them.
    async fn rounds(&self, Rate(rate): Rate, limit: usize) -> Result<(usize, Vec<DeadLetter>), Failure> {
        let consumers = self.queues.consumers();
        let claim = self.hand.claim;
        let (mut tried, mut replayed, mut letters) = (0, 0, Vec::new());
        while tried < limit && self.has_time() {
            let started = Instant::now();
            let wanted = rate.min(limit - tried);
            let claimed =
                store::claim(self.database, self.filter, &consumers, claim, count(wanted), self.at).await?;
            tried += claimed.len();
            let sent = self.send(&claimed).await?;
            if !sent.is_empty() {
                let marked = store::mark(self.database, &sent, &self.hand, self.at).await?;
                replayed += marked.len();
                letters.extend(marked);
                letters.truncate(SHOWN);
            }
            if claimed.len() < wanted {
                break;
            }
            if tried < limit {
                tokio::time::sleep(ROUND.saturating_sub(started.elapsed())).await;
            }
        }
        if tried > 0 && replayed == 0 {
            return Err(Failure::Unavailable("the consumer's queue"));
        }
        Ok((replayed, letters))
    }

    fn has_time(&self) -> bool {
        Utc::now() < self.at + WORK
    }

    /// The ids of those that their queues took.
    async fn send(&self, claimed: &[Claimed]) -> Result<Vec<DeadLetterId>, Failure> {
        let mut sent = Vec::new();
        let mut whole: BTreeMap<&str, Vec<&Claimed>> = BTreeMap::new();
        for letter in claimed {
            // The claim asked for consumers with queues.
            let Some(queue) = self.queues.source(&letter.consumer) else { continue };
            if letter.is_whole {
                whole.entry(queue).or_default().push(letter);
            } else if self.has_time() {
                let body = store::whole_body(self.database, letter.id).await?;
                sent.extend(self.send_one(queue, letter.id, body).await);
            }
        }
        for (queue, letters) in whole {
            for batch in letters.chunks(BATCH) {
                sent.extend(self.send_batch(queue, batch).await?);
            }
        }
        Ok(sent)
    }

    async fn send_one(&self, queue: &str, id: DeadLetterId, body: String) -> Option<DeadLetterId> {
        let call = self.sqs.send_message().queue_url(queue).message_body(body);
        match Box::pin(call.send()).await {
            Ok(_) => Some(id),
            Err(error) => {
                refused(id, &DisplayErrorContext(&error).to_string());
                None
            }
        }
    }

    async fn send_batch(&self, queue: &str, batch: &[&Claimed]) -> Result<Vec<DeadLetterId>, Failure> {
        let entry = |(index, letter): (usize, &&Claimed)| {
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&letter.body).build()
        };
        let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(Failure::fault)?;
        let call = self.sqs.send_message_batch().queue_url(queue).set_entries(Some(entries));
        let letter = |entry: &str| entry.parse::<usize>().ok().and_then(|index| batch.get(index));
        match Box::pin(call.send()).await {
            Ok(answer) => {
                for failed in answer.failed() {
                    if let Some(letter) = letter(failed.id()) {
                        refused(letter.id, failed.code());
                    }
                }
                let taken = answer.successful().iter().filter_map(|entry| letter(entry.id()));
                Ok(taken.map(|letter| letter.id).collect())
            }
            Err(error) => {
                let cause = DisplayErrorContext(&error).to_string();
                batch.iter().for_each(|letter| refused(letter.id, &cause));
                Ok(Vec::new())
            }
        }
    }
}

fn refused(id: DeadLetterId, cause: &str) {
    warn!(dead_letter_id = %id.uuid(), cause, "not sent: stays open, and claimed for a minute");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::{Value, json};

    use super::*;

    fn read(more: &Value) -> Result<ReplayDeadLetters, Failure> {
        let mut input = json!({ "filter": {}, "reason": "the tariff is back" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shared::read_fields(json!({ "input": input }))
    }

    #[test]
    fn a_replay_is_a_dry_run_at_a_walk_unless_told() {
        let input = read(&json!({})).unwrap().input;
        assert_eq!(input.dry_run, None);
        assert_eq!((input.rate.unwrap_or_default().0, input.limit.unwrap_or_default().0), (10, 100));
    }

    #[test]
    fn rate_limit_and_reason_are_bounded() {
        for (more, field) in [
            (json!({ "rate": 0 }), "input.rate"),
            (json!({ "rate": 101 }), "input.rate"),
            (json!({ "rate": -1 }), "input.rate"),
            (json!({ "limit": 0 }), "input.limit"),
            (json!({ "limit": 1001 }), "input.limit"),
            (json!({ "reason": " " }), "input.reason"),
        ] {
            let Err(Failure::Invalid { field: found, .. }) = read(&more) else { panic!("{field}") };
            assert_eq!(found, field);
        }
        assert!(read(&json!({ "rate": 100, "limit": 1000, "dryRun": false })).is_ok());
    }
}
