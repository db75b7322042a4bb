//! Invoices and wallets in PostgreSQL; the writes are functions of migrations 0009 to 0011.

use serde::{Serialize, Serializer};
use shared::{
    Caller, CorrelationId, Database, DatabaseError, Failure, InvoiceId, Money, Outbox, SessionId, Statement,
    Timestamp, UserId,
};

use crate::facts::Priced;
use crate::invoices::{Invoice, InvoiceKey, InvoiceStatus, ListInvoices};
use crate::link::CustomerShown;
use crate::overdue::Batch;
use crate::page::Printable;
use crate::wallet::{Adjusted, Adjustment, WalletEntry};

/// The tables keep four decimals of everything; people are told those that the currency has.
pub(crate) fn to_the_smallest_coin<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    money.rounded().serialize(serializer)
}

/// What `bill_session` takes; the session alone asks what is true of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    session_id: SessionId,
    kind: &'static str,
    reason: String,
    #[serde(flatten)]
    priced: Option<&'a Priced>,
}

/// Bills `session` if what `priced` was worked out from is true; without it, asks what is. Its one row is what
/// [`Outbox::write`] reads.
pub fn bill_statement(
    session: SessionId,
    priced: Option<&Priced>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Statement, Failure> {
    let reason = format!("charging session {session}");
    let bill = Bill { session_id: session, kind: "SESSION", reason, priced };
    let write = Statement::new("SELECT bill_session(:bill::jsonb, :now::timestamptz, :correlation_id::uuid)");
    Ok(write
        .bind("bill", serde_json::to_value(&bill).map_err(Failure::fault)?)
        .bind("now", now)
        .bind("correlation_id", correlation_id))
}

/// Newest first.
pub(crate) async fn invoices(
    database: &Database,
    owner: UserId,
    asked: &ListInvoices,
    after: Option<InvoiceKey>,
    limit: i64,
) -> Result<Vec<Invoice>, DatabaseError> {
    let list = Statement::read(
        "SELECT invoice_document(invoices) FROM invoices
         WHERE user_id = :owner::uuid
             AND (:status::text IS NULL OR status = :status::text)
             AND created_at >= COALESCE(:from::timestamptz, '-infinity')
             AND created_at < COALESCE(:to::timestamptz, 'infinity')
             AND (created_at, id) < (COALESCE(:after_at::timestamptz, 'infinity'),
                                     COALESCE(:after_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY created_at DESC, id DESC LIMIT :limit::bigint",
    );
    let list = list
        .bind("owner", owner)
        .bind("status", asked.status.map(InvoiceStatus::name))
        .bind("from", asked.from)
        .bind("to", asked.to)
        .bind("after_at", after.map(|(at, _)| at))
        .bind("after_id", after.map(|(_, id)| id))
        .bind("limit", limit);
    database.rows(list).await
}

/// One invoice, if it is `owner`'s; none: whoever's it is.
pub(crate) async fn invoice(
    database: &Database,
    id: InvoiceId,
    owner: Option<UserId>,
) -> Result<Option<Invoice>, DatabaseError> {
    let find = Statement::read(
        "SELECT invoice_document(invoices) FROM invoices
         WHERE id = :id::uuid AND (:owner::uuid IS NULL OR user_id = :owner::uuid)",
    );
    database.row(find.bind("id", id).bind("owner", owner)).await
}

/// Whose invoice it is that `viewer` is given a link to, if it is `owner`'s; none: whoever's it is. Notes whoever asks
/// for somebody else's.
pub(crate) async fn invoice_to_link(
    database: &Database,
    id: InvoiceId,
    owner: Option<UserId>,
    viewer: UserId,
    caller: &Caller,
) -> Result<Option<UserId>, DatabaseError> {
    let find = Statement::new(
        "WITH found AS (
             SELECT id, user_id FROM invoices
             WHERE id = :id::uuid AND (:owner::uuid IS NULL OR user_id = :owner::uuid)
         ), audited AS (
             INSERT INTO audit_log (at, actor_id, action, subject, correlation_id)
             SELECT :now::timestamptz, :viewer::uuid, 'INVOICE_PAGE_LINKED', id::text, :correlation_id::uuid
             FROM found WHERE user_id <> :viewer::uuid
         )
         SELECT to_jsonb(user_id) FROM found",
    );
    let find = find
        .bind("id", id)
        .bind("owner", owner)
        .bind("viewer", viewer)
        .bind("now", caller.at)
        .bind("correlation_id", caller.correlation_id);
    database.row(find).await
}

/// One invoice with what else is printed; of the customer nothing is read that is not shown.
pub(crate) async fn printable(
    database: &Database,
    id: InvoiceId,
    customer: CustomerShown,
) -> Result<Option<Printable>, DatabaseError> {
    let find = Statement::read(
        "SELECT jsonb_build_object(
             'invoice', invoice_document(invoices),
             'suppliedAt', COALESCE(
                 (SELECT rfc3339(COALESCE(end_time, start_time)) FROM sessions WHERE sessions.id = invoices.session_id),
                 (SELECT rfc3339(start_ts) FROM bookings WHERE bookings.id = invoices.booking_id)
             ),
             'method', invoices.method,
             'paidAt', rfc3339(invoices.paid_at),
             'paid', jsonb_build_object('amount', invoices.paid_amount::text, 'currency', invoices.currency),
             'customer', CASE
                 WHEN :withheld::boolean THEN jsonb_build_object('is', 'WITHHELD')
                 WHEN users.deleted_at IS NOT NULL THEN jsonb_build_object('is', 'DELETED')
                 ELSE jsonb_build_object('is', 'KNOWN', 'name', users.name, 'email', users.email)
             END,
             'corrects', (SELECT number FROM invoices AS original WHERE original.id = invoices.corrects_invoice_id),
             'creditNotes', COALESCE((
                 SELECT jsonb_agg(jsonb_build_object(
                     'number', note.number,
                     'amount', jsonb_build_object('amount', note.amount::text, 'currency', note.currency)
                 ) ORDER BY note.created_at, note.id)
                 FROM invoices AS note WHERE note.corrects_invoice_id = invoices.id
             ), '[]')
         )
         FROM invoices JOIN users ON users.id = invoices.user_id WHERE invoices.id = :id::uuid",
    );
    database.row(find.bind("id", id).bind("withheld", customer == CustomerShown::Withheld)).await
}

pub(crate) async fn mark_overdue(
    outbox: &Outbox,
    at_most: i64,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Batch, Failure> {
    let mark =
        Statement::new("SELECT mark_overdue(:at_most::integer, :now::timestamptz, :correlation_id::uuid)");
    let mark = mark.bind("at_most", at_most).bind("now", now).bind("correlation_id", correlation_id);
    outbox.write(mark).await?.ok_or_else(|| Failure::fault("mark_overdue gave no row"))
}

/// Newest first.
pub(crate) async fn wallet_entries(
    database: &Database,
    owner: UserId,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<WalletEntry>, DatabaseError> {
    let list = Statement::read(
        "SELECT wallet_entry_document(wallet_entries) FROM wallet_entries
         WHERE user_id = :owner::uuid AND position < COALESCE(:after::bigint, 9223372036854775807)
         ORDER BY position DESC LIMIT :limit::bigint",
    );
    database.rows(list.bind("owner", owner).bind("after", after).bind("limit", limit)).await
}

pub(crate) async fn adjust(
    database: &Database,
    adjustment: &Adjustment<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Adjusted, Failure> {
    let write = Statement::new(
        "SELECT adjust_wallet(:entry::uuid, :user::uuid, :change::numeric, :currency::text, :reason::text,
                              :operator::uuid, :key::text, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("entry", adjustment.entry)
        .bind("user", adjustment.user)
        .bind("change", adjustment.change.amount())
        .bind("currency", adjustment.change.currency())
        .bind("reason", adjustment.reason)
        .bind("operator", adjustment.operator)
        .bind("key", adjustment.idempotency_key)
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    database.row(write).await?.ok_or_else(|| Failure::fault("adjust_wallet gave no row"))
}
