//! Chargers: OCPP 1.6J and 2.0.1 over an API Gateway WebSocket, the commands sent to them, and their registration.
//! Turns messages into facts; what a fact means for a session is `session`'s business and the database's.

mod answer;
mod calls;
mod clock;
mod command;
mod connect;
mod course;
mod credentials;
mod disconnect;
mod dispatch;
mod expire;
mod frame;
mod identity;
mod message;
mod meter;
mod protocol;
mod records;
mod register;
mod socket;
mod store;

pub use answer::{Answers, Kept};
pub use calls::{Call, Calls, Enqueued, Outstanding, Overdue, Purpose, TIMEOUT};
pub use command::{BookingTold, SessionUpdated, TransactionRefused, Wish, command};
pub use connect::connect;
pub use credentials::{PasswordHash, verify};
pub use disconnect::disconnect;
pub use dispatch::Desk;
pub use expire::{ExpiryReport, ExpiryRequest, expire};
pub use identity::ChargePointId;
pub use message::receive;
pub use protocol::Protocol;
pub use records::{
    Boot, Commanded, Expired, Need, Records, Registered, Registration, Reservation, StatusReport,
};
pub use register::{Charger, RegisterRequest, register};
pub use socket::{Connection, Connections, Posted, SocketAnswer, SocketEvent, Sockets};
pub use store::{ApiSockets, CallTable, ConnectionTable, Registry, Stores};
