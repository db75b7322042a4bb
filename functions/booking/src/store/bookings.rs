//! `bookings` in PostgreSQL; every write is one function of migration 0015 or 0019.

use payment::{Begun, PaymentMethod, card_limits};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    BookingId, CorrelationId, Database, DatabaseError, Failure, InvoiceId, Money, Outbox, PaymentId,
    RefundId, SessionId, Statement, Timestamp, UserId,
};
use uuid::Uuid;

use crate::booking::{Booking, BookingStatus};
use crate::booking_list::BookingKey;
use crate::hold::Hold;
use crate::hold_token::HoldToken;
use crate::policy::Policy;

/// A request to make a hold a booking.
pub(crate) struct Asked<'a> {
    pub(crate) driver: UserId,
    pub(crate) token: &'a HoldToken,
    /// None: the statement looks for it among those in the database.
    pub(crate) hold: Option<&'a Hold>,
    /// None: the wallet pays.
    pub(crate) method: Option<&'a PaymentMethod>,
}

/// What came of it.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    /// Now, or by the same hold earlier.
    Booked {
        booking: Box<Booking>,
        /// The card's, while there is one to charge.
        payment: Option<Box<Begun>>,
    },
    NoAccount,
    /// It is another's.
    NoHold,
    /// The database has none of that name.
    UnknownHold,
    HoldExpired,
    SlotTaken,
    TooManyBookings,
    InsufficientFunds,
    CurrencyMismatch,
    CardAmountTooSmall,
    CardAmountTooFine,
}

pub(crate) async fn confirm(
    outbox: &Outbox,
    asked: Asked<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Outcome, Failure> {
    let write = Statement::new(
        "SELECT confirm_booking(:new_ids::jsonb, :driver::uuid, :token::text, :hold::jsonb, :method::text,
                                :limits::jsonb, :now::timestamptz, :correlation_id::uuid)",
    );
    let new_ids = json!({
        "booking": BookingId::new(),
        "invoice": InvoiceId::new(),
        "entry": Uuid::now_v7(),
        "payment": PaymentId::new(),
    });
    let hold = asked.hold.map(serde_json::to_value).transpose().map_err(Failure::fault)?;
    let write = write
        .bind("new_ids", new_ids)
        .bind("driver", asked.driver)
        .bind("token", asked.token.as_str())
        .bind("hold", hold)
        .bind("method", asked.method.map(PaymentMethod::as_str))
        .bind("limits", card_limits())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("confirm_booking gave no row"))
}

/// What came of cancelling.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Cancelling {
    Cancelled {
        booking: Box<Booking>,
        /// By this very call.
        #[serde(default)]
        freed: bool,
    },
    BookingBegun,
    PaymentPending,
}

/// None for what is not the driver's. `part` of the price is given back, if there is one.
pub(crate) async fn cancel(
    outbox: &Outbox,
    booking: BookingId,
    driver: UserId,
    part: Option<Money>,
    now: Timestamp,
) -> Result<Option<Cancelling>, DatabaseError> {
    let write = Statement::new(
        "SELECT * FROM cancel_booking(:booking::uuid, :driver::uuid, :part::numeric, :new_ids::jsonb,
                                      :now::timestamptz)",
    );
    let new_ids =
        json!({ "refund": RefundId::new(), "creditNote": InvoiceId::new(), "entry": Uuid::now_v7() });
    let write = write
        .bind("booking", booking)
        .bind("driver", driver)
        .bind("part", part.map(Money::amount))
        .bind("new_ids", new_ids)
        .bind("now", now);
    outbox.write(write).await
}

/// One booking; of `owner` if that is told.
pub(crate) async fn booking(
    database: &Database,
    booking: BookingId,
    owner: Option<UserId>,
) -> Result<Option<Booking>, DatabaseError> {
    let find = Statement::read(
        "SELECT booking_document(bookings) FROM bookings
         WHERE id = :booking::uuid AND (:owner::uuid IS NULL OR user_id = :owner::uuid)",
    );
    database.row(find.bind("booking", booking).bind("owner", owner)).await
}

/// Latest start first.
pub(crate) async fn page(
    database: &Database,
    owner: UserId,
    status: Option<BookingStatus>,
    after: Option<BookingKey>,
    limit: i64,
) -> Result<Vec<Booking>, DatabaseError> {
    let list = Statement::read(
        "SELECT booking_document(bookings) FROM bookings
         WHERE user_id = :owner::uuid AND (:status::text IS NULL OR status = :status::text)
             AND (start_ts, id) < (COALESCE(:after_at::timestamptz, 'infinity'),
                                   COALESCE(:after_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY start_ts DESC, id DESC LIMIT :limit::bigint",
    );
    let list = list
        .bind("owner", owner)
        .bind("status", status.map(BookingStatus::name))
        .bind("after_at", after.map(|(at, _)| at))
        .bind("after_id", after.map(|(_, id)| id))
        .bind("limit", limit);
    database.rows(list).await
}

/// One of a slice of a list; the only row of an empty slice has no booking.
#[derive(Deserialize)]
pub(crate) struct Listed {
    /// Of the whole list.
    pub(crate) total: u64,
    pub(crate) booking: Option<Booking>,
}

/// The same list, by offset.
pub(crate) async fn slice(
    database: &Database,
    owner: UserId,
    status: Option<BookingStatus>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Listed>, DatabaseError> {
    let list = Statement::read(
        "WITH listed AS (
             SELECT bookings AS booking, start_ts, id FROM bookings
             WHERE user_id = :owner::uuid AND (:status::text IS NULL OR status = :status::text)
         ), slice AS (
             SELECT * FROM listed ORDER BY start_ts DESC, id DESC LIMIT :limit::bigint OFFSET :offset::bigint
         )
         SELECT jsonb_build_object(
             'total', whole.total,
             'booking', CASE WHEN slice.id IS NOT NULL THEN booking_document(slice.booking) END
         )
         FROM (SELECT count(*) AS total FROM listed) AS whole LEFT JOIN slice ON true
         ORDER BY slice.start_ts DESC, slice.id DESC",
    );
    let list = list
        .bind("owner", owner)
        .bind("status", status.map(BookingStatus::name))
        .bind("limit", limit)
        .bind("offset", offset);
    database.rows(list).await
}

/// The bookings that follow the session, if they changed.
pub(crate) async fn track(
    database: &Database,
    session: SessionId,
    now: Timestamp,
) -> Result<Vec<Booking>, DatabaseError> {
    let write = Statement::new("SELECT * FROM track_booking(:session::uuid, :now::timestamptz)");
    database.rows(write.bind("session", session).bind("now", now)).await
}

/// How many bookings were told of.
pub(crate) async fn tell_due(outbox: &Outbox, at_most: i64, now: Timestamp) -> Result<usize, Failure> {
    #[derive(Deserialize)]
    struct Outcome {
        told: usize,
    }
    let write = Statement::new("SELECT tell_due_bookings(:at_most::integer, :now::timestamptz)");
    let told: Option<Outcome> = outbox.write(write.bind("at_most", at_most).bind("now", now)).await?;
    told.map(|outcome| outcome.told).ok_or_else(|| Failure::fault("tell_due_bookings gave no row"))
}

/// Bookings past their grace.
#[derive(Deserialize)]
pub(crate) struct Missed {
    /// Have a session.
    pub(crate) followed: usize,
    /// Have none.
    pub(crate) freed: Vec<Booking>,
    /// Have none, and stay as they are.
    pub(crate) failed: Vec<Stuck>,
}

/// A booking whose money cannot go back.
#[derive(Deserialize)]
pub(crate) struct Stuck {
    pub(crate) booking: BookingId,
    pub(crate) cause: String,
}

/// Those in `skipped` are left alone.
pub(crate) async fn mark(
    outbox: &Outbox,
    policy: &Policy,
    skipped: &[BookingId],
    at_most: i64,
    now: Timestamp,
) -> Result<Missed, Failure> {
    let write = Statement::new(
        "SELECT mark_no_shows(:at_most::integer, :grace::integer, :refund::integer, :skipped::jsonb,
                              :now::timestamptz)",
    );
    let write = write
        .bind("at_most", at_most)
        .bind("grace", policy.grace.get())
        .bind("refund", policy.no_show_refund.get())
        .bind("skipped", json!(skipped))
        .bind("now", now);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("mark_no_shows gave no row"))
}

/// What is over.
#[derive(Deserialize)]
pub(crate) struct Tidied {
    /// Lapsed holds.
    pub(crate) purged: usize,
    /// Bookings whose session is over.
    pub(crate) freed: Vec<Booking>,
}

pub(crate) async fn tidy(
    database: &Database,
    at_most: i64,
    most_holds: i64,
    now: Timestamp,
) -> Result<Tidied, Failure> {
    let write =
        Statement::new("SELECT tidy_bookings(:at_most::integer, :most_holds::integer, :now::timestamptz)");
    let write = write.bind("at_most", at_most).bind("most_holds", most_holds).bind("now", now);
    database.row(write).await?.ok_or_else(|| Failure::fault("tidy_bookings gave no row"))
}

/// Keeps what is told of a hold, unless it is known better.
pub(crate) async fn mirror(database: &Database, hold: &Hold) -> Result<(), Failure> {
    let write = Statement::new("SELECT 'true'::jsonb FROM mirror_hold(:hold::jsonb)");
    let hold = serde_json::to_value(hold).map_err(Failure::fault)?;
    database.rows::<Value>(write.bind("hold", hold)).await?;
    Ok(())
}
