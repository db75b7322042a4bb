//! What a session costs: plain functions over plain types, the same for a bill and for an estimate.
//!
//! The rules, in the order in which they are applied:
//!
//! 1. **Energy over time.** Between two readings, and between the start and the first of them, energy flows evenly.
//!    What the readings lack to the session's energy flowed evenly from the last of them to the end. Readings that
//!    tell of more than that are scaled down. Without readings everything flows evenly from start to end. So all
//!    energy of the session is billed, and no more, whatever the readings say.
//! 2. **Idle time** begins when the last energy has flowed and the grace is over, and ends with the session. Only
//!    readings can show that no energy flows (less than 0.1 kW from one to the next is none), so without them there is
//!    no idle time; nor is there any if the tariff has no price for it.
//! 3. **Bands.** Each instant has one price of energy and one of time: those of the first band that the clock on the
//!    station's wall is in, else the tariff's own. An hour that the clock shows twice is twice in its band.
//! 4. **Energy** costs its price where it flows; **time** costs its price from the start until idle time begins, then
//!    the idle price instead, which no band changes; the **start fee** is due once a session.
//! 5. A total above nothing and below the **minimum** is raised to it.
//! 6. Within a **flat rate** energy costs nothing while the period's fair use lasts, then the plan's price for each
//!    kWh, and nothing else is due.
//! 7. **Rounding.** Everything is exact until here (divisions to 28 digits, their trace removed at the fifteenth
//!    decimal). The total is rounded once, to the currency's smallest coin, halves away from zero. Each line is cut to
//!    the coin, and the coins then missing go to the lines that lost most: the lines add up to the total.
//! 8. **VAT** is within: net = total / (1 + rate), rounded likewise; VAT is the rest.
//!
//! More energy never costs less, flowing alike. Nor does more time, if energy costs the same at all times or flows at
//! the times it flowed before; with bands, slower charging may well be cheaper.

mod band;
mod basis;
mod bill;
mod line;
mod profile;
mod round;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;

pub use band::{Band, LocalTime, TimeZone};
pub use basis::{Basis, Coverage, Tariff};
pub use bill::{Price, price};
pub(crate) use line::Item;
pub use line::{Line, Unit};
pub use profile::{Reading, Usage};
pub(crate) use round::exact;
