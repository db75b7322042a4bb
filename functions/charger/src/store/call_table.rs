//! Calls and answers in DynamoDB, all of a charger under one key (`charger#…`): `queued#…` calls in order, the
//! `outstanding` one, `asked#…` for those asked for before, `answered#…` for answers given. Deadlines lie together
//! under `deadlines`, so that the overdue ones are one query.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use chrono::{SecondsFormat, TimeDelta};
use shared::dynamodb::{EXPIRES_AT, Item, failed, is_alive, item, read, seconds, text};
use shared::{Failure, MissingSetting, Timestamp, setting};

use super::NAME;
use crate::{Answers, Call, Calls, ChargePointId, Enqueued, Kept, Outstanding, Overdue, TIMEOUT};

const DEADLINES: &str = "deadlines";
const OUTSTANDING: &str = "outstanding";
/// How long a call is remembered, so that an event delivered again does not send it again.
const MEMORY: TimeDelta = TimeDelta::days(1);
/// Overdue calls taken up in one run.
const MOST_OVERDUE: i32 = 100;
/// How often a transaction is tried that meets another one.
const TRIES: usize = 3;

/// The table of `CALLS_TABLE`, keys `pk` and `sk`, time-to-live `expiresAt`.
pub struct CallTable {
    client: Client,
    table: String,
}

impl CallTable {
    /// From `CALLS_TABLE`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("CALLS_TABLE")?))
    }

    /// The table of that name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Whether the writes were done: all of them, or none because a condition did not hold. DynamoDB cancels for other
    /// reasons too, such as another write under way or a throttled table, and the SDK does not try those again.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let write = self.client.transact_write_items().set_transact_items(Some(writes.clone()));
            let error = match write.send().await {
                Ok(_) => return Ok(true),
                Err(error) => error,
            };
            if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            {
                let is_refused =
                    |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
                if cancelled.cancellation_reasons().iter().any(is_refused) {
                    return Ok(false);
                }
                if tries < TRIES {
                    continue;
                }
            }
            return Err(failed(NAME, &error));
        }
    }

    fn put(&self, item: Item, condition: Option<&str>) -> Result<Put, Failure> {
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(Failure::fault)
    }
}

#[async_trait(?Send)]
impl Calls for CallTable {
    async fn enqueue(
        &self,
        charger: &ChargePointId,
        call: &Call,
        at: Timestamp,
    ) -> Result<Enqueued, Failure> {
        let asked = item([
            ("pk", text(key(charger))),
            ("sk", text(format!("asked#{}", call.message_id))),
            (EXPIRES_AT, seconds(at + MEMORY)),
        ]);
        let queued = queued(charger, call)?;
        let asked = self.put(asked, Some("attribute_not_exists(pk)"))?;
        let queued = self.put(queued, None)?;
        let is_new = self
            .transact(vec![
                TransactWriteItem::builder().put(asked).build(),
                TransactWriteItem::builder().put(queued).build(),
            ])
            .await?;
        Ok(if is_new { Enqueued::New } else { Enqueued::Repeated })
    }

    async fn next(&self, charger: &ChargePointId, at: Timestamp) -> Result<Option<Call>, Failure> {
        let query = self.client.query().table_name(&self.table);
        let query = query
            .key_condition_expression("pk = :charger AND begins_with(sk, :queued)")
            .expression_attribute_values(":charger", text(key(charger)))
            .expression_attribute_values(":queued", text("queued#"))
            .consistent_read(true)
            .limit(1);
        let first = query.send().await.map_err(|error| failed(NAME, &error))?.items.unwrap_or_default().pop();
        let Some(first) = first else { return Ok(None) };
        let call: Call = serde_json::from_str(read(&first, "call")?).map_err(Failure::fault)?;

        let outstanding = Outstanding { deadline: at + TIMEOUT, call };
        let deadline = sortable(outstanding.deadline);
        let place = item([
            ("pk", text(key(charger))),
            ("sk", text(OUTSTANDING)),
            ("messageId", text(&outstanding.call.message_id)),
            ("deadline", text(&deadline)),
            ("outstanding", text(serde_json::to_string(&outstanding).map_err(Failure::fault)?)),
            (EXPIRES_AT, seconds(at + MEMORY)),
        ]);
        let due = item([
            ("pk", text(DEADLINES)),
            ("sk", text(format!("{deadline}#{charger}#{}", outstanding.call.message_id))),
            ("chargePointId", text(charger.as_str())),
            ("messageId", text(&outstanding.call.message_id)),
            ("deadline", text(&deadline)),
            (EXPIRES_AT, seconds(at + MEMORY)),
        ]);
        let mut place = self.put(place, Some("attribute_not_exists(pk) OR deadline <= :now"))?;
        place.expression_attribute_values = Some(item([(":now", text(sortable(at)))]));
        let queued = Delete::builder()
            .table_name(&self.table)
            .key("pk", text(key(charger)))
            .key("sk", text(read(&first, "sk")?))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(Failure::fault)?;
        let is_mine = self
            .transact(vec![
                TransactWriteItem::builder().put(place).build(),
                TransactWriteItem::builder().put(self.put(due, None)?).build(),
                TransactWriteItem::builder().delete(queued).build(),
            ])
            .await?;
        Ok(is_mine.then_some(outstanding.call))
    }

    async fn put_back(&self, charger: &ChargePointId, call: &Call) -> Result<(), Failure> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(queued(charger, call)?));
        put.send().await.map_err(|error| failed(NAME, &error))?;
        self.settle(charger, &call.message_id).await
    }

    async fn outstanding(&self, charger: &ChargePointId) -> Result<Option<Outstanding>, Failure> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", text(key(charger))).key("sk", text(OUTSTANDING));
        let found = get.send().await.map_err(|error| failed(NAME, &error))?.item;
        let outstanding = found.as_ref().map(|item| read(item, "outstanding")).transpose()?;
        outstanding.map(|json| serde_json::from_str(json).map_err(Failure::fault)).transpose()
    }

    async fn settle(&self, charger: &ChargePointId, message_id: &str) -> Result<(), Failure> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key("pk", text(key(charger)))
            .key("sk", text(OUTSTANDING))
            .condition_expression("messageId = :mine")
            .expression_attribute_values(":mine", text(message_id))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
        let settled = match delete.send().await {
            Ok(answer) => answer.attributes,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                None
            }
            Err(error) => return Err(failed(NAME, &error)),
        };
        let Some(settled) = settled else { return Ok(()) };
        let due = format!("{}#{charger}#{message_id}", read(&settled, "deadline")?);
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", text(DEADLINES)).key("sk", text(due));
        delete.send().await.map(drop).map_err(|error| failed(NAME, &error))
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<Overdue>, Failure> {
        let query = self.client.query().table_name(&self.table);
        let query = query
            .key_condition_expression("pk = :deadlines AND sk < :now")
            .expression_attribute_values(":deadlines", text(DEADLINES))
            .expression_attribute_values(":now", text(sortable(at)))
            .consistent_read(true)
            .limit(MOST_OVERDUE);
        let found = query.send().await.map_err(|error| failed(NAME, &error))?.items.unwrap_or_default();
        let overdue = |item: Item| {
            Ok(Overdue {
                charge_point_id: read(&item, "chargePointId")?
                    .parse()
                    .map_err(|error: &str| Failure::fault(error))?,
                message_id: read(&item, "messageId")?.to_owned(),
                deadline: read(&item, "deadline")?.parse().map_err(Failure::fault)?,
            })
        };
        found.into_iter().map(overdue).collect()
    }

    async fn expire(&self, overdue: &Overdue) -> Result<(), Failure> {
        let Overdue { charge_point_id, message_id, deadline } = overdue;
        self.settle(charge_point_id, message_id).await?;
        // Settling forgets it too, but not when another call has taken the place already.
        let due = format!("{}#{charge_point_id}#{message_id}", sortable(*deadline));
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", text(DEADLINES)).key("sk", text(due));
        delete.send().await.map(drop).map_err(|error| failed(NAME, &error))
    }
}

#[async_trait(?Send)]
impl Answers for CallTable {
    async fn keep(
        &self,
        charger: &ChargePointId,
        message_id: &str,
        answer: &Kept,
        at: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let kept = item([
            ("pk", text(key(charger))),
            ("sk", text(format!("answered#{message_id}"))),
            ("digest", text(&answer.digest)),
            ("frame", text(&answer.frame)),
            (EXPIRES_AT, seconds(answer.expires_at)),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(kept));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR digest <> :digest OR expiresAt <= :now")
            .expression_attribute_values(":digest", text(&answer.digest))
            .expression_attribute_values(":now", seconds(at - TimeDelta::seconds(1)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match put.send().await {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        let earlier = match error.as_service_error() {
            Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                earlier,
            )) => earlier.item.clone(),
            _ => return Err(failed(NAME, &error)),
        };
        match earlier {
            Some(item) => Ok(Some(item)
                .filter(|item| is_alive(item, at))
                .map(|item| read(&item, "frame").map(str::to_owned))
                .transpose()?),
            // A store that does not tell what stood in the way is asked.
            None => self.answered(charger, message_id).await,
        }
    }
}

impl CallTable {
    async fn answered(&self, charger: &ChargePointId, message_id: &str) -> Result<Option<String>, Failure> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", text(key(charger))).key("sk", text(format!("answered#{message_id}")));
        let found = get.send().await.map_err(|error| failed(NAME, &error))?.item;
        found.map(|item| read(&item, "frame").map(str::to_owned)).transpose()
    }
}

/// A call's place in the queue.
fn queued(charger: &ChargePointId, call: &Call) -> Result<Item, Failure> {
    Ok(item([
        ("pk", text(key(charger))),
        ("sk", text(format!("queued#{}#{}", sortable(call.asked_at), call.message_id))),
        ("call", text(serde_json::to_string(call).map_err(Failure::fault)?)),
        (EXPIRES_AT, seconds(call.asked_at + MEMORY)),
    ]))
}

fn key(charger: &ChargePointId) -> String {
    format!("charger#{charger}")
}

/// A moment whose text sorts by time.
fn sortable(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
