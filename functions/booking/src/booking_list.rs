//! A driver's bookings, latest start first: in pages for the app, by offset for `/v1`.

use rest::{Limit, Offset};
use serde::{Deserialize, Serialize};
use shared::{BookingId, Caller, Cursor, Database, Failure, First, Page, Timestamp};

use crate::booking::{Booking, BookingStatus, BookingSummary};
use crate::store::bookings as store;

/// Arguments of `Query.myBookings`.
#[derive(Debug, Deserialize)]
pub struct MyBookings {
    status: Option<BookingStatus>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// Query parameters of `GET /v1/bookings`.
#[derive(Debug, Deserialize)]
pub struct ListBookings {
    status: Option<BookingStatus>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
}

/// A part of a driver's bookings.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BookingList {
    bookings: Vec<BookingSummary>,
    /// How many there are, beyond this part as well.
    total: u64,
    /// As asked.
    limit: Limit,
    /// As asked.
    offset: Offset,
}

/// A position in the list.
pub(crate) type BookingKey = (Timestamp, BookingId);

/// The caller's own bookings; all, or those of a status.
pub async fn my_bookings(
    database: &Database,
    caller: &Caller,
    MyBookings { status, first, after }: MyBookings,
) -> Result<Page<Booking>, Failure> {
    let driver = caller.user()?.id;
    let first = first.unwrap_or_default();
    let after = after.as_ref().map(Cursor::key::<BookingKey>).transpose()?;
    let rows = store::page(database, driver, status, after, first.with_lookahead()).await?;
    Page::of(first, rows, |booking| (booking.start_ts, booking.id))
}

/// The same list, by offset.
pub async fn list_bookings(
    database: &Database,
    caller: &Caller,
    ListBookings { status, limit, offset }: ListBookings,
) -> Result<BookingList, Failure> {
    let driver = caller.user()?.id;
    let rows = store::slice(database, driver, status, limit.get(), offset.get()).await?;
    let total = rows.first().map_or(0, |row| row.total);
    let bookings = rows.into_iter().filter_map(|row| row.booking).map(BookingSummary::from).collect();
    Ok(BookingList { bookings, total, limit, offset })
}
