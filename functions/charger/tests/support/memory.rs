//! Sockets, calls and answers, kept in memory by the rules of the tables.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use charger::{
    Answers, Call, Calls, ChargePointId, Connection, Connections, Enqueued, Kept, Outstanding, Overdue,
    Posted, Registration, Sockets, TIMEOUT,
};
use serde_json::Value;
use shared::{Failure, Timestamp};

#[derive(Default)]
pub(crate) struct Memory {
    by_socket: RefCell<HashMap<String, Connection>>,
    by_charger: RefCell<HashMap<ChargePointId, Connection>>,
    asked: RefCell<HashSet<String>>,
    queued: RefCell<BTreeMap<(ChargePointId, Timestamp, String), Call>>,
    outstanding: RefCell<HashMap<ChargePointId, Outstanding>>,
    answered: RefCell<HashMap<(ChargePointId, String), Kept>>,
    /// Frames posted, with the socket they went to.
    pub(crate) posted: RefCell<Vec<(String, Value)>>,
    pub(crate) hung_up: RefCell<Vec<String>>,
    /// Sockets that API Gateway no longer knows.
    pub(crate) gone: RefCell<HashSet<String>>,
}

impl Memory {
    /// The last frame posted.
    pub(crate) fn sent(&self) -> Value {
        self.posted.borrow().last().expect("nothing was sent").1.clone()
    }
}

#[async_trait(?Send)]
impl Connections for Memory {
    async fn open(&self, connection: &Connection) -> Result<Option<String>, Failure> {
        self.by_socket.borrow_mut().insert(connection.id.clone(), connection.clone());
        let before =
            self.by_charger.borrow_mut().insert(connection.charge_point_id.clone(), connection.clone());
        Ok(before.map(|old| old.id).filter(|id| *id != connection.id))
    }

    async fn find(&self, id: &str) -> Result<Option<Connection>, Failure> {
        Ok(self.by_socket.borrow().get(id).cloned())
    }

    async fn of(&self, charger: &ChargePointId) -> Result<Option<Connection>, Failure> {
        Ok(self.by_charger.borrow().get(charger).cloned())
    }

    async fn register(&self, connection: &Connection, registration: Registration) -> Result<(), Failure> {
        if let Some(kept) = self.by_socket.borrow_mut().get_mut(&connection.id) {
            kept.registration = registration;
        }
        Ok(())
    }

    async fn close(&self, connection: &Connection) -> Result<(), Failure> {
        self.by_socket.borrow_mut().remove(&connection.id);
        let mut by_charger = self.by_charger.borrow_mut();
        if by_charger.get(&connection.charge_point_id).is_some_and(|kept| kept.id == connection.id) {
            by_charger.remove(&connection.charge_point_id);
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Sockets for Memory {
    async fn post(&self, socket: &str, frame: &str) -> Result<Posted, Failure> {
        if self.gone.borrow().contains(socket) {
            return Ok(Posted::Gone);
        }
        self.posted.borrow_mut().push((socket.to_owned(), serde_json::from_str(frame).unwrap()));
        Ok(Posted::Sent)
    }

    async fn hang_up(&self, socket: &str) -> Result<(), Failure> {
        self.hung_up.borrow_mut().push(socket.to_owned());
        Ok(())
    }
}

#[async_trait(?Send)]
impl Calls for Memory {
    async fn enqueue(&self, charger: &ChargePointId, call: &Call, _: Timestamp) -> Result<Enqueued, Failure> {
        if !self.asked.borrow_mut().insert(call.message_id.clone()) {
            return Ok(Enqueued::Repeated);
        }
        let key = (charger.clone(), call.asked_at, call.message_id.clone());
        self.queued.borrow_mut().insert(key, call.clone());
        Ok(Enqueued::New)
    }

    async fn next(&self, charger: &ChargePointId, at: Timestamp) -> Result<Option<Call>, Failure> {
        if self.outstanding.borrow().get(charger).is_some_and(|held| held.deadline > at) {
            return Ok(None);
        }
        let first = self.queued.borrow().keys().find(|(owner, ..)| owner == charger).cloned();
        let Some(call) = first.and_then(|key| self.queued.borrow_mut().remove(&key)) else { return Ok(None) };
        let outstanding = Outstanding { call: call.clone(), deadline: at + TIMEOUT };
        self.outstanding.borrow_mut().insert(charger.clone(), outstanding);
        Ok(Some(call))
    }

    async fn put_back(&self, charger: &ChargePointId, call: &Call) -> Result<(), Failure> {
        let key = (charger.clone(), call.asked_at, call.message_id.clone());
        self.queued.borrow_mut().insert(key, call.clone());
        self.settle(charger, &call.message_id).await
    }

    async fn outstanding(&self, charger: &ChargePointId) -> Result<Option<Outstanding>, Failure> {
        Ok(self.outstanding.borrow().get(charger).cloned())
    }

    async fn settle(&self, charger: &ChargePointId, message_id: &str) -> Result<(), Failure> {
        self.outstanding
            .borrow_mut()
            .retain(|owner, held| owner != charger || held.call.message_id != message_id);
        Ok(())
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<Overdue>, Failure> {
        let outstanding = self.outstanding.borrow();
        let late = outstanding.iter().filter(|(_, held)| held.deadline < at);
        let overdue = late.map(|(charger, held)| Overdue {
            charge_point_id: charger.clone(),
            message_id: held.call.message_id.clone(),
            deadline: held.deadline,
        });
        Ok(overdue.collect())
    }

    async fn expire(&self, overdue: &Overdue) -> Result<(), Failure> {
        self.settle(&overdue.charge_point_id, &overdue.message_id).await
    }
}

#[async_trait(?Send)]
impl Answers for Memory {
    async fn keep(
        &self,
        charger: &ChargePointId,
        message_id: &str,
        answer: &Kept,
        at: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let key = (charger.clone(), message_id.to_owned());
        let mut answered = self.answered.borrow_mut();
        match answered.get(&key) {
            Some(kept) if kept.digest == answer.digest && kept.expires_at > at => {
                Ok(Some(kept.frame.clone()))
            }
            _ => {
                answered.insert(key, answer.clone());
                Ok(None)
            }
        }
    }
}
