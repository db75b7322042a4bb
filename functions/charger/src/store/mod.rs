//! Where chargers' state is kept: Aurora for what lasts, DynamoDB for sockets, calls and answers, API Gateway for the
//! way out.

mod call_table;
mod connection_table;
mod registry;
mod sockets;

pub use call_table::CallTable;
pub use connection_table::ConnectionTable;
pub use registry::Registry;
pub use sockets::ApiSockets;

use shared::MissingSetting;

use crate::{Answers, Desk};

/// What is said to be unavailable when DynamoDB is.
const NAME: &str = "the connection store";

/// All of it, for the functions that call chargers.
pub struct Stores {
    records: Registry,
    connections: ConnectionTable,
    calls: CallTable,
    sockets: ApiSockets,
}

impl Stores {
    /// From the settings of each; connects at first use.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let config = shared::aws_config().await;
        Ok(Self {
            records: Registry::from_env(&config)?,
            connections: ConnectionTable::from_env(&config)?,
            calls: CallTable::from_env(&config)?,
            sockets: ApiSockets::from_env(&config)?,
        })
    }

    /// What calls to chargers need.
    pub fn desk(&self) -> Desk<'_> {
        Desk {
            records: &self.records,
            connections: &self.connections,
            calls: &self.calls,
            sockets: &self.sockets,
        }
    }

    /// What chargers were answered.
    pub fn answers(&self) -> &dyn Answers {
        &self.calls
    }
}
