//! Where bookings are made and changed: our books with their bus, and the holds beside them.

use aws_config::SdkConfig;
use shared::{MissingSetting, Outbox};

use crate::booking::Booking;
use crate::hold::Holds;

/// What whoever changes bookings needs.
pub struct Desk {
    pub(crate) outbox: Outbox,
    pub(crate) holds: Holds,
}

impl Desk {
    /// These books, and these holds.
    pub fn new(outbox: Outbox, holds: Holds) -> Self {
        Self { outbox, holds }
    }

    /// From the settings of [`Outbox::from_env`] and [`Holds::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Outbox::from_env(config)?, Holds::from_env()?))
    }

    /// Lets others see that the slot of `booking` is free.
    pub(crate) async fn free(&self, booking: &Booking) {
        self.holds.freed(booking.station_id, booking.connector_id, booking.start_ts).await;
    }
}
