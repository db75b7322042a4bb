//! Connections and subscriptions in DynamoDB, all with an expiry.
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `socket#{socket}` | `socket` | a connection: whose, since when, the set `stations` it subscribes to |
//! | `station#{station}` | `{socket}` | a subscription, for whoever has news of the station |
//! | `user#{user}` | `place#{0..9}` | one of the places that a user's sockets take |

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnValue, TransactWriteItem, Update,
};
use futures::{StreamExt, stream};
use shared::dynamodb::{EXPIRES_AT, Item, failed, is_alive, item, read, seconds, text};
use shared::{Failure, MissingSetting, StationId, Timestamp, UserId, setting};

use crate::socket::expiry;
use crate::{Connection, MOST_CONNECTIONS, SocketId};

/// Stations that one connection may subscribe to.
pub const MOST_STATIONS: usize = 50;
/// Subscribers that are read, and posted to, at a time.
const PAGE: i32 = 256;
/// A socket's messages that are worked on at the same time get in one another's way: each tries so often.
const TRIES: u32 = 8;
const DELETES_AT_ONCE: usize = 16;
const SOCKET: &str = "socket";
/// What is said to be unavailable when DynamoDB is.
const NAME: &str = "the live feed";

/// The table of `LIVE_TABLE`, keys `pk` and `sk`, time-to-live `expiresAt`.
pub struct LiveTable {
    client: Client,
    table: String,
}

/// A user's place that a socket has.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) place: u8,
    pub(crate) socket: SocketId,
    pub(crate) connected_at: Timestamp,
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// It stands, for the first or the hundredth time.
    Done,
    /// The connection has as many as it may.
    Full,
    /// There is no such connection.
    Unknown,
}

/// Some of a station's subscribers.
#[derive(Debug)]
pub(crate) struct Subscribers {
    pub(crate) sockets: Vec<SocketId>,
    /// Where the next ones begin.
    pub(crate) after: Option<SocketId>,
}

impl LiveTable {
    /// From `LIVE_TABLE`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("LIVE_TABLE")?))
    }

    /// The table of that name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The user's places: those free and those taken.
    pub(crate) async fn places(&self, user: UserId, at: Timestamp) -> Result<(Vec<u8>, Vec<Held>), Failure> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query
            .key_condition_expression("pk = :user")
            .expression_attribute_values(":user", text(user_key(user)));
        let found = query.send().await.map_err(|error| failed(NAME, &error))?.items.unwrap_or_default();
        let mut held = Vec::new();
        for item in found.iter().filter(|item| is_alive(item, at)) {
            let name = read(item, "sk")?;
            let place = name.strip_prefix("place#").and_then(|number| number.parse().ok());
            held.push(Held {
                place: place.ok_or_else(|| Failure::fault(format!("{name} is no place")))?,
                socket: read(item, SOCKET)?.into(),
                connected_at: read(item, "connectedAt")?.parse().map_err(Failure::fault)?,
            });
        }
        let is_free = |place: &u8| held.iter().all(|held| held.place != *place);
        Ok(((0..MOST_CONNECTIONS).filter(is_free).collect(), held))
    }

    /// Whether the place was free, and is now the connection's.
    pub(crate) async fn take(
        &self,
        place: u8,
        connection: &Connection,
        at: Timestamp,
    ) -> Result<bool, Failure> {
        let taken = item([
            ("pk", text(user_key(connection.user))),
            ("sk", text(place_key(place))),
            (SOCKET, text(connection.id.as_str())),
            ("connectedAt", text(connection.connected_at.to_rfc3339())),
            (EXPIRES_AT, seconds(expiry(connection.connected_at))),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(taken));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", AttributeValue::N(at.timestamp().to_string()));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed(NAME, &error)),
        }
    }

    /// Frees the place, unless another socket has it by now.
    pub(crate) async fn leave(&self, user: UserId, place: u8, socket: &SocketId) -> Result<(), Failure> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key("pk", text(user_key(user)))
            .key("sk", text(place_key(place)))
            .condition_expression("socket = :mine")
            .expression_attribute_values(":mine", text(socket.as_str()));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(NAME, &error)),
        }
    }

    /// Remembers a connection, which has taken `place`.
    pub(crate) async fn open(&self, connection: &Connection, place: u8) -> Result<(), Failure> {
        let opened = item([
            ("pk", text(socket_key(&connection.id))),
            ("sk", text(SOCKET)),
            ("userId", text(connection.user.to_string())),
            ("place", AttributeValue::N(place.to_string())),
            ("connectedAt", text(connection.connected_at.to_rfc3339())),
            (EXPIRES_AT, seconds(expiry(connection.connected_at))),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(opened));
        put.send().await.map(drop).map_err(|error| failed(NAME, &error))
    }

    /// Whether we know the socket and it was greeted already; none for one that we do not know.
    pub(crate) async fn was_greeted(
        &self,
        socket: &SocketId,
        at: Timestamp,
    ) -> Result<Option<bool>, Failure> {
        let found = self.find(socket).await?.filter(|item| is_alive(item, at));
        Ok(found.map(|item| item.contains_key("greeted")))
    }

    /// Notes that the socket was greeted; of one closed meanwhile there is nothing to note.
    pub(crate) async fn greeted(&self, socket: &SocketId) -> Result<(), Failure> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key("pk", text(socket_key(socket)))
            .key("sk", text(SOCKET))
            .update_expression("SET greeted = :yes")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(NAME, &error)),
        }
    }

    /// Forgets a socket with all that is its own; gives whether we knew it.
    pub(crate) async fn close(&self, socket: &SocketId) -> Result<bool, Failure> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key("pk", text(socket_key(socket)))
            .key("sk", text(SOCKET))
            .return_values(ReturnValue::AllOld);
        let closed = delete.send().await.map_err(|error| failed(NAME, &error))?.attributes;
        let Some(closed) = closed else { return Ok(false) };
        // Nobody can subscribe any more: these are all.
        let stations = closed.get("stations").and_then(|value| value.as_ss().ok()).map(Vec::as_slice);
        let deletes =
            stations.unwrap_or_default().iter().map(|station| self.delete_subscription(station, socket));
        let mut deletes = stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE);
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
        let user = read(&closed, "userId")?.parse().map_err(Failure::fault)?;
        let place = closed.get("place").and_then(|value| value.as_n().ok()?.parse().ok());
        let place = place.ok_or_else(|| Failure::fault("a connection without a place"))?;
        self.leave(user, place, socket).await?;
        Ok(true)
    }

    /// Adds a station to those that the socket hears of.
    pub(crate) async fn subscribe(
        &self,
        socket: &SocketId,
        station: StationId,
        expires_at: Timestamp,
    ) -> Result<Subscribed, Failure> {
        let count = Update::builder()
            .table_name(&self.table)
            .key("pk", text(socket_key(socket)))
            .key("sk", text(SOCKET))
            .update_expression("ADD stations :these")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(stations) OR contains(stations, :this) \
                 OR size(stations) < :most)",
            )
            .expression_attribute_values(":these", AttributeValue::Ss(vec![station.to_string()]))
            .expression_attribute_values(":this", text(station.to_string()))
            .expression_attribute_values(":most", AttributeValue::N(MOST_STATIONS.to_string()))
            .build()
            .map_err(Failure::fault)?;
        let subscription = item([
            ("pk", text(station_key(&station.to_string()))),
            ("sk", text(socket.as_str())),
            (EXPIRES_AT, seconds(expires_at)),
        ]);
        let put = Put::builder().table_name(&self.table).set_item(Some(subscription)).build();
        let put = TransactWriteItem::builder().put(put.map_err(Failure::fault)?).build();
        if self.transact(vec![TransactWriteItem::builder().update(count).build(), put]).await? {
            return Ok(Subscribed::Done);
        }
        // Not every store says which condition failed.
        Ok(if self.find(socket).await?.is_some() { Subscribed::Full } else { Subscribed::Unknown })
    }

    /// Takes a station from those that the socket hears of; gives whether we know the socket.
    pub(crate) async fn unsubscribe(&self, socket: &SocketId, station: StationId) -> Result<bool, Failure> {
        let count = Update::builder()
            .table_name(&self.table)
            .key("pk", text(socket_key(socket)))
            .key("sk", text(SOCKET))
            .update_expression("DELETE stations :these")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":these", AttributeValue::Ss(vec![station.to_string()]))
            .build()
            .map_err(Failure::fault)?;
        let delete = Delete::builder()
            .table_name(&self.table)
            .key("pk", text(station_key(&station.to_string())))
            .key("sk", text(socket.as_str()))
            .build();
        let delete = TransactWriteItem::builder().delete(delete.map_err(Failure::fault)?).build();
        self.transact(vec![TransactWriteItem::builder().update(count).build(), delete]).await
    }

    /// A page of the station's subscribers, in the order of their names, those whose time is over left out.
    pub(crate) async fn subscribers(
        &self,
        station: StationId,
        after: Option<&SocketId>,
        at: Timestamp,
    ) -> Result<Subscribers, Failure> {
        let key = station_key(&station.to_string());
        let start = after.map(|socket| item([("pk", text(&key)), ("sk", text(socket.as_str()))]));
        let query = self.client.query().table_name(&self.table).consistent_read(true).limit(PAGE);
        let query = query
            .key_condition_expression("pk = :station")
            .expression_attribute_values(":station", text(&key))
            .set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| failed(NAME, &error))?;
        let alive = answer.items.iter().flatten().filter(|item| is_alive(item, at));
        let sockets = alive.map(|item| read(item, "sk").map(SocketId::from)).collect::<Result<_, _>>()?;
        let after = answer.last_evaluated_key.filter(|key| !key.is_empty());
        let after = after.map(|key| read(&key, "sk").map(SocketId::from)).transpose()?;
        Ok(Subscribers { sockets, after })
    }

    /// Deletes what is left of a subscription whose connection nobody knows.
    pub(crate) async fn forget_subscriber(
        &self,
        station: StationId,
        socket: &SocketId,
    ) -> Result<(), Failure> {
        self.delete_subscription(&station.to_string(), socket).await
    }

    async fn delete_subscription(&self, station: &str, socket: &SocketId) -> Result<(), Failure> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", text(station_key(station))).key("sk", text(socket.as_str()));
        delete.send().await.map(drop).map_err(|error| failed(NAME, &error))
    }

    async fn find(&self, socket: &SocketId) -> Result<Option<Item>, Failure> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", text(socket_key(socket))).key("sk", text(SOCKET));
        Ok(get.send().await.map_err(|error| failed(NAME, &error))?.item)
    }

    /// Whether the writes were done: all of them, or none because a condition did not hold. DynamoDB cancels for other
    /// reasons too, such as another message's write under way, and the SDK does not try those again.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, Failure> {
        let mut tries = 0;
        loop {
            let write = self.client.transact_write_items().set_transact_items(Some(writes.clone()));
            let Err(error) = write.send().await else { return Ok(true) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(failed(NAME, &error));
            };
            let is_refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
            if cancelled.cancellation_reasons().iter().any(is_refused) {
                return Ok(false);
            }
            tries += 1;
            if tries == TRIES {
                return Err(failed(NAME, &error));
            }
            // Apart from those that it met.
            let most = 10 << tries;
            tokio::time::sleep(Duration::from_millis(rand::random_range(most / 2..most))).await;
        }
    }
}

fn socket_key(socket: &SocketId) -> String {
    format!("socket#{socket}")
}

fn station_key(station: &str) -> String {
    format!("station#{station}")
}

fn user_key(user: UserId) -> String {
    format!("user#{user}")
}

fn place_key(place: u8) -> String {
    format!("place#{place}")
}
