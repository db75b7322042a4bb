//! What the crate has in PostgreSQL; every write is one function of its migrations.

pub(crate) mod bookings;
pub(crate) mod calendar;
pub(crate) mod holds;
