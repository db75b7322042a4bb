//! Where chargers' state is kept: Aurora for what lasts, DynamoDB for sockets, calls and answers, API Gateway for the
//! way out.

mod call_table;
mod connection_table;
mod item;
mod registry;
mod sockets;

pub use call_table::CallTable;
pub use connection_table::ConnectionTable;
pub use registry::Registry;
pub use sockets::ApiSockets;
