//! The live feed: WebSocket connections of drivers, and what changes at the stations they look at.
//!
//! Both ways a frame is `{"event": …, "data": {…}}`. Of each connector a socket hears updates in the order in which
//! they were reported, and none twice, while Redis answers; [`FanOut`] says what is left of that when it does not.
//! Whatever the feed holds goes with its connections: the truth about a station is read over REST or GraphQL.

mod connect;
mod disconnect;
mod fan_out;
mod frame;
mod message;
mod news;
mod progress;
mod socket;
mod store;

pub use connect::{Door, MOST_CONNECTIONS};
pub use disconnect::disconnect;
pub use fan_out::FanOut;
pub use message::receive;
pub use news::{ConnectorChanged, Greeting, News};
pub use socket::{Connection, SocketAnswer, SocketEvent, SocketId};
pub use store::{Greetings, LiveTable, MOST_STATIONS, Sockets, Turns};
