//! Open sockets in DynamoDB: one item a socket (`connection#…`), one a charger (`charger#…`, its latest socket).

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::TimeDelta;
use serde::de::IntoDeserializer;
use serde::{Deserialize, de::value::Error as ReadError};
use shared::dynamodb::{EXPIRES_AT, Item, failed, is_alive, item, read, seconds, text};
use shared::{Failure, MissingSetting, Timestamp, setting};

use super::NAME;
use crate::{ChargePointId, Connection, Connections, Registration};

/// API Gateway closes a socket after two hours.
const LONGEST: TimeDelta = TimeDelta::minutes(135);
/// Sockets that one process remembers.
const REMEMBERED: usize = 1000;

/// The table of `CONNECTIONS_TABLE`, key `pk`, time-to-live `expiresAt`.
pub struct ConnectionTable {
    client: Client,
    table: String,
    /// Sockets of accepted chargers. What is kept of one never changes while it is open, but by a boot that ends the
    /// acceptance: other processes learn of that with the next socket.
    remembered: Mutex<HashMap<String, Connection>>,
}

impl ConnectionTable {
    /// From `CONNECTIONS_TABLE`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("CONNECTIONS_TABLE")?))
    }

    /// The table of that name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), remembered: Mutex::default() }
    }

    async fn get(&self, key: String) -> Result<Option<Connection>, Failure> {
        let answer =
            self.client.get_item().table_name(&self.table).key("pk", text(key)).consistent_read(true);
        let found = answer.send().await.map_err(|error| failed(NAME, &error))?.item;
        found.filter(|item| is_alive(item, chrono::Utc::now())).map(|item| connection(&item)).transpose()
    }

    fn remember(&self, connection: &Connection) {
        let Ok(mut remembered) = self.remembered.lock() else { return };
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(connection.id.clone(), connection.clone());
    }

    fn forget(&self, id: &str) {
        if let Ok(mut remembered) = self.remembered.lock() {
            remembered.remove(id);
        }
    }
}

#[async_trait(?Send)]
impl Connections for ConnectionTable {
    async fn open(&self, connection: &Connection) -> Result<Option<String>, Failure> {
        let by_socket = attributes(format!("connection#{}", connection.id), connection);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(by_socket));
        put.send().await.map_err(|error| failed(NAME, &error))?;

        let by_charger = attributes(format!("charger#{}", connection.charge_point_id), connection);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(by_charger));
        let before =
            put.return_values(ReturnValue::AllOld).send().await.map_err(|error| failed(NAME, &error))?;
        let replaced = before.attributes.as_ref().map(|item| read(item, "connectionId")).transpose()?;
        Ok(replaced.filter(|id| *id != connection.id).map(str::to_owned))
    }

    async fn find(&self, id: &str) -> Result<Option<Connection>, Failure> {
        let remembered = self.remembered.lock().ok().and_then(|known| known.get(id).cloned());
        if remembered.is_some() {
            return Ok(remembered);
        }
        let found = self.get(format!("connection#{id}")).await?;
        if let Some(connection) = found.as_ref().filter(|it| it.registration == Registration::Accepted) {
            self.remember(connection);
        }
        Ok(found)
    }

    async fn of(&self, charge_point_id: &ChargePointId) -> Result<Option<Connection>, Failure> {
        self.get(format!("charger#{charge_point_id}")).await
    }

    async fn register(&self, connection: &Connection, registration: Registration) -> Result<(), Failure> {
        self.forget(&connection.id);
        let changed = Connection { registration, ..connection.clone() };
        let by_socket = attributes(format!("connection#{}", connection.id), &changed);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(by_socket));
        put.send().await.map(drop).map_err(|error| failed(NAME, &error))
    }

    async fn close(&self, connection: &Connection) -> Result<(), Failure> {
        self.forget(&connection.id);
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", text(format!("connection#{}", connection.id)));
        delete.send().await.map_err(|error| failed(NAME, &error))?;

        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key("pk", text(format!("charger#{}", connection.charge_point_id)))
            .condition_expression("connectionId = :mine")
            .expression_attribute_values(":mine", text(&connection.id));
        match delete.send().await {
            Ok(_) => Ok(()),
            // Another socket has taken its place.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(NAME, &error)),
        }
    }
}

fn attributes(key: String, connection: &Connection) -> Item {
    item([
        ("pk", text(key)),
        ("connectionId", text(&connection.id)),
        ("chargePointId", text(connection.charge_point_id.as_str())),
        ("chargerId", text(connection.charger.to_string())),
        ("protocol", text(connection.protocol.subprotocol())),
        ("registration", text(registration_name(connection.registration))),
        ("connectedAt", text(connection.connected_at.to_rfc3339())),
        (EXPIRES_AT, seconds(connection.connected_at + LONGEST)),
    ])
}

fn connection(item: &HashMap<String, AttributeValue>) -> Result<Connection, Failure> {
    let connected_at: Timestamp = read(item, "connectedAt")?.parse().map_err(Failure::fault)?;
    Ok(Connection {
        id: read(item, "connectionId")?.to_owned(),
        charge_point_id: read(item, "chargePointId")?.parse().map_err(|error: &str| Failure::fault(error))?,
        charger: read(item, "chargerId")?.parse().map_err(Failure::fault)?,
        protocol: named(read(item, "protocol")?)?,
        registration: named(read(item, "registration")?)?,
        connected_at,
    })
}

fn registration_name(registration: Registration) -> &'static str {
    match registration {
        Registration::Accepted => "ACCEPTED",
        Registration::Pending => "PENDING",
        Registration::Rejected => "REJECTED",
    }
}

/// One of an enumeration's values by its name.
fn named<'de, T: Deserialize<'de>>(name: &'de str) -> Result<T, Failure> {
    T::deserialize(IntoDeserializer::<ReadError>::into_deserializer(name)).map_err(Failure::fault)
}
