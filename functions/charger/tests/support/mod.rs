//! What the tests need in place of AWS: memory for DynamoDB and API Gateway, a scripted or a real database.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused_imports)]

mod book;
mod memory;
mod world;

use charger::{ChargePointId, Connection, Desk, Protocol, Registration, SocketEvent, Wish, receive};
use serde_json::{Value, json};
use shared::{ChargerId, CorrelationId, Envelope, EventId, Timestamp};

pub(crate) use book::Book;
pub(crate) use memory::Memory;
pub(crate) use world::{Charger, Driver, World};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Noon of a day on which all tests take place.
pub(crate) fn noon() -> Timestamp {
    at("2026-02-21T12:00:00Z")
}

pub(crate) fn charge_point() -> ChargePointId {
    "CP-1".parse().unwrap()
}

/// An accepted charger's socket.
pub(crate) fn connection(protocol: Protocol) -> Connection {
    Connection {
        id: "socket-1".into(),
        charge_point_id: charge_point(),
        charger: ChargerId::new(),
        protocol,
        registration: Registration::Accepted,
        connected_at: at("2026-02-21T11:00:00Z"),
    }
}

/// An event off the bus.
pub(crate) fn event(event_type: &str, timestamp: Timestamp, payload: Wish) -> Envelope<Wish> {
    Envelope {
        event_id: EventId::new(),
        event_type: event_type.into(),
        version: 1,
        timestamp,
        source: "test".into(),
        correlation_id: CorrelationId::new(),
        payload,
    }
}

/// A message's event.
pub(crate) fn message(socket: &str, text: &str) -> SocketEvent {
    serde_json::from_value(json!({
        "requestContext": {"connectionId": socket, "routeKey": "$default"},
        "body": text,
    }))
    .unwrap()
}

/// A charger on a line of its own, before a scripted database.
pub(crate) struct Line {
    pub(crate) book: Book,
    pub(crate) memory: Memory,
    pub(crate) connection: Connection,
}

impl Line {
    pub(crate) async fn open(protocol: Protocol) -> Self {
        Self::with(connection(protocol)).await
    }

    pub(crate) async fn with(connection: Connection) -> Self {
        let line = Self { book: Book::default(), memory: Memory::default(), connection };
        charger::Connections::open(&line.memory, &line.connection).await.unwrap();
        line
    }

    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk { records: &self.book, connections: &self.memory, calls: &self.memory, sockets: &self.memory }
    }

    /// The answer to a text, if there is one.
    pub(crate) async fn say_at(&self, text: &str, at: Timestamp) -> Option<Value> {
        let event = message(&self.connection.id, text);
        let answer = receive(self.desk(), &self.memory, &event, at).await.unwrap();
        assert_eq!(answer.status_code, 200);
        answer.body.map(|body| serde_json::from_str(&body).unwrap())
    }

    pub(crate) async fn say(&self, text: &str) -> Option<Value> {
        self.say_at(text, noon()).await
    }

    /// The answer to a call.
    pub(crate) async fn call(&self, id: &str, action: &str, payload: Value) -> Value {
        self.say(&json!([2, id, action, payload]).to_string()).await.unwrap()
    }
}

/// The code of a CALLERROR to `id`.
pub(crate) fn code<'a>(answer: &'a Value, id: &str) -> &'a str {
    assert_eq!(answer[0], 4, "{answer}");
    assert_eq!(answer[1], id, "{answer}");
    // Checklist 12 holds for each of them.
    assert_eq!(answer[4], json!({}), "{answer}");
    assert!(answer[3].as_str().unwrap().chars().count() <= 255, "{answer}");
    answer[2].as_str().unwrap()
}

/// The payload of a CALLRESULT to `id`.
pub(crate) fn result<'a>(answer: &'a Value, id: &str) -> &'a Value {
    assert_eq!(answer[0], 3, "{answer}");
    assert_eq!(answer[1], id, "{answer}");
    &answer[2]
}

/// Every order of some things.
pub(crate) fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (at, first) in items.iter().enumerate() {
        let rest: Vec<_> =
            items.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, it)| *it).collect();
        all.extend(permutations(&rest).into_iter().map(|tail| [vec![*first], tail].concat()));
    }
    all
}
