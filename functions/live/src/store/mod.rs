//! Where the feed's state is kept: DynamoDB for connections and subscriptions, Redis for the order of updates; and the
//! two ways out, API Gateway's to clients and the queue's to the function that greets them.

mod greetings;
mod sockets;
mod table;
mod turns;

pub use greetings::Greetings;
pub use sockets::Sockets;
pub use table::{LiveTable, MOST_STATIONS};
pub use turns::Turns;

pub(crate) use sockets::Sighting;
pub(crate) use table::{Held, Subscribed};
pub(crate) use turns::{Lease, Turn};
