//! Bookings: when a connector is free, holds, confirmed bookings, and what becomes of them.

mod availability;
mod booking;
mod booking_list;
mod calendar;
mod calendar_book;
mod cancel;
mod confirm;
mod desk;
mod hold;
mod hold_event;
mod hold_limits;
mod hold_script;
mod hold_slot;
mod hold_token;
mod hours;
mod no_shows;
mod policy;
mod slots;
mod station_hours;
mod store;
mod track;

pub use availability::{AskAvailability, Availability, RestAvailability, station_availability};
pub use booking::{Booking, BookingState, BookingStatus, BookingSummary, GetBooking, booking};
pub use booking_list::{BookingList, ListBookings, MyBookings, list_bookings, my_bookings};
pub use calendar::{Calendar, ConnectorTime, Held, Minutes};
pub use calendar_book::Calendars;
pub use cancel::{CancelBooking, cancel};
pub use confirm::{ConfirmBooking, Confirmation, confirm};
pub use desk::Desk;
pub use hold::{Hold, HoldSettings, Holds};
pub use hold_event::HoldEvents;
pub use hold_script::take as take_hold;
pub use hold_slot::{
    HoldDesk, HoldSlot, ReleaseHold, Released, RestHold, SlotHold, SlotWish, hold, hold_slot, release_hold,
};
pub use hold_token::HoldToken;
pub use hours::{DayTime, Hours, Opening, OpeningPeriod, Zone};
pub use no_shows::{MarkRequest, Marked, mark_no_shows};
pub use policy::{Percent, Policy, WholeMinutes};
pub use slots::{Slot, SlotLength, Wanted, free_slots};
pub use station_hours::{SetStationHours, StationHours, set_station_hours};
pub use track::{Tracked, track};
