//! A database that answers as it is told and notes what it is asked.

use std::cell::{Cell, RefCell};

use async_trait::async_trait;
use charger::{
    Boot, ChargePointId, Commanded, Expired, Protocol, Records, Registered, Registration, Reservation,
    StatusReport,
};
use session::{Fact, FactKind, Reported, TagStatus};
use shared::{BookingId, ChargerId, CorrelationId, Failure, SessionId, Timestamp};

pub(crate) struct Book {
    pub(crate) registered: RefCell<Option<Registered>>,
    pub(crate) registration: Cell<Registration>,
    pub(crate) commanded: RefCell<Option<Commanded>>,
    pub(crate) reservation: RefCell<Option<Reservation>>,
    /// Sockets noted open and closed, `+socket` and `-socket`.
    pub(crate) sockets: RefCell<Vec<String>>,
    pub(crate) facts: RefCell<Vec<Fact>>,
    pub(crate) statuses: RefCell<Vec<StatusReport>>,
    pub(crate) failed: RefCell<Vec<(SessionId, &'static str)>>,
    pub(crate) broken: Cell<bool>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            registered: RefCell::default(),
            registration: Cell::new(Registration::Accepted),
            commanded: RefCell::default(),
            reservation: RefCell::default(),
            sockets: RefCell::default(),
            facts: RefCell::default(),
            statuses: RefCell::default(),
            failed: RefCell::default(),
            broken: Cell::new(false),
        }
    }
}

#[async_trait(?Send)]
impl Records for Book {
    async fn find(&self, _: &ChargePointId) -> Result<Option<Registered>, Failure> {
        Ok(self.registered.borrow().clone())
    }

    async fn connected(&self, _: ChargerId, socket: &str, _: Protocol, _: Timestamp) -> Result<(), Failure> {
        self.sockets.borrow_mut().push(format!("+{socket}"));
        Ok(())
    }

    async fn disconnected(&self, _: ChargerId, socket: &str, _: Timestamp) -> Result<(), Failure> {
        self.sockets.borrow_mut().push(format!("-{socket}"));
        Ok(())
    }

    async fn booted(&self, _: ChargerId, _: &Boot, _: Timestamp) -> Result<Registration, Failure> {
        Ok(self.registration.get())
    }

    async fn seen(&self, _: ChargerId, _: Timestamp) -> Result<(), Failure> {
        if self.broken.get() { Err(Failure::Unavailable("the database")) } else { Ok(()) }
    }

    async fn tag_is_known(&self, _: ChargerId, id_tag: &str, _: Timestamp) -> Result<bool, Failure> {
        Ok(id_tag.starts_with("DRIVER"))
    }

    async fn status(
        &self,
        _: ChargerId,
        report: &StatusReport,
        _: CorrelationId,
        _: Timestamp,
    ) -> Result<bool, Failure> {
        self.statuses.borrow_mut().push(report.clone());
        Ok(report.connector_number == 1)
    }

    async fn report(
        &self,
        _: ChargerId,
        fact: &Fact,
        _: CorrelationId,
        _: Timestamp,
    ) -> Result<Reported, Failure> {
        let mut facts = self.facts.borrow_mut();
        facts.push(fact.clone());
        let status =
            |tag: &String| if tag.starts_with("DRIVER") { TagStatus::Accepted } else { TagStatus::Invalid };
        Ok(Reported {
            known: true,
            repeated: false,
            // Another id each time: only a kept answer can repeat one.
            transaction_id: match fact.kind {
                FactKind::Start => fact.transaction_id.clone().or(Some(facts.len().to_string())),
                _ => fact.transaction_id.clone(),
            },
            session_id: None,
            tag_status: fact.id_tag.as_ref().map(status),
        })
    }

    async fn commanded(&self, _: SessionId, _: Timestamp) -> Result<Option<Commanded>, Failure> {
        Ok(self.commanded.borrow().clone())
    }

    async fn reservation(&self, _: BookingId, _: Timestamp) -> Result<Option<Reservation>, Failure> {
        Ok(self.reservation.borrow().clone())
    }

    async fn fail(&self, session: SessionId, reason: &'static str, _: Timestamp) -> Result<(), Failure> {
        self.failed.borrow_mut().push((session, reason));
        Ok(())
    }

    async fn expire(&self, _: Timestamp) -> Result<Expired, Failure> {
        Ok(Expired::default())
    }
}
