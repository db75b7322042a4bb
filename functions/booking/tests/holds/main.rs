//! Calendars, holds and opening hours against a real PostgreSQL behind the Data API's door, a real Redis that can be
//! killed and comes back empty, and a bus that can refuse; the clock is the tests'.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod asking;
mod contract;
mod faults;
mod holding;
mod hours;
mod races;
#[path = "../../../rest/tests/told/mod.rs"]
mod told;
mod world;
