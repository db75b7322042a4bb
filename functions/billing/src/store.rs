//! Invoices and wallets in PostgreSQL; the two writes are functions of migration 0008.

use chrono::NaiveDate;
use serde::{Serialize, Serializer};
use shared::{
    CorrelationId, Database, DatabaseError, Failure, InvoiceId, Money, Outbox, SessionId, Statement,
    Timestamp, UserId,
};

use crate::bill::{Bill, Billable, Billed};
use crate::credit::{Credit, CreditOutcome};
use crate::invoices::{Invoice, InvoiceStatus};

/// The tables keep four decimals of everything; people are told those that the currency has.
pub(crate) fn to_the_smallest_coin<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    money.rounded().serialize(serializer)
}

pub(crate) async fn billable(
    database: &Database,
    session: SessionId,
) -> Result<Option<Billable>, DatabaseError> {
    let find = Statement::new(
        "SELECT jsonb_build_object(
             'userId', session.user_id,
             'isCompleted', session.status = 'COMPLETED',
             'energy', session.energy_kwh::text,
             'startedAt', rfc3339(COALESCE(session.start_time, session.created_at)),
             'endedAt', rfc3339(COALESCE(session.end_time, session.start_time, session.created_at)),
             'tariff', (
                 SELECT jsonb_build_object(
                     'id', id, 'currency', currency, 'perKwh', per_kwh::text, 'perMinute', per_minute::text,
                     'startFee', start_fee::text
                 )
                 FROM tariffs
                 WHERE (station_id = session.station_id OR station_id IS NULL)
                     AND valid_from <= COALESCE(session.start_time, session.created_at)
                     AND (valid_to IS NULL OR valid_to > COALESCE(session.start_time, session.created_at))
                 ORDER BY station_id IS NULL, valid_from DESC, id
                 LIMIT 1
             )
         )
         FROM sessions AS session WHERE id = :session::uuid",
    );
    database.row(find.bind("session", session)).await
}

pub(crate) async fn bill(
    outbox: &Outbox,
    bill: &Bill<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Billed, Failure> {
    let write = Statement::new(
        "SELECT bill_session(:session::uuid, :invoice::uuid, :entry::uuid, :tariff::uuid, :total::numeric,
                             :currency::text, :energy::numeric, :due::date, :now::timestamptz,
                             :correlation_id::uuid)",
    );
    let write = write
        .bind("session", bill.session)
        .bind("invoice", bill.invoice)
        .bind("entry", bill.entry)
        .bind("tariff", bill.tariff.id.0)
        .bind("total", bill.total.amount())
        .bind("currency", bill.total.currency())
        .bind("energy", bill.energy.0)
        .bind("due", bill.due.to_string())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("bill_session gave no row"))
}

/// Newest first; one that is owed after its due date is overdue.
pub(crate) async fn invoices(
    database: &Database,
    user: UserId,
    status: Option<InvoiceStatus>,
    after: Option<InvoiceId>,
    limit: i64,
    today: NaiveDate,
) -> Result<Vec<Invoice>, DatabaseError> {
    let list = Statement::new(
        "SELECT jsonb_build_object(
             'id', id,
             'sessionId', session_id,
             'amount', jsonb_build_object('amount', amount::text, 'currency', currency),
             'energyKWh', energy_kwh::text,
             'dueDate', due_date,
             'status', shown,
             'createdAt', rfc3339(created_at)
         )
         FROM (
             SELECT *, CASE WHEN status = 'PENDING' AND due_date < :today::date THEN 'OVERDUE' ELSE status END AS shown
             FROM invoices WHERE user_id = :user::uuid
         ) AS invoice
         WHERE (:status::text IS NULL OR shown = :status::text) AND (:after::uuid IS NULL OR id < :after::uuid)
         ORDER BY id DESC LIMIT :limit::bigint",
    );
    let list = list
        .bind("user", user)
        .bind("today", today.to_string())
        .bind("status", status.map(InvoiceStatus::name))
        .bind("after", after)
        .bind("limit", limit);
    database.rows(list).await
}

pub(crate) async fn credit(
    database: &Database,
    credit: &Credit<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<CreditOutcome, Failure> {
    let write = Statement::new(
        "SELECT credit_wallet(:entry::uuid, :user::uuid, :amount::numeric, :currency::text, :reason::text,
                              :operator::uuid, :key::text, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("entry", credit.entry)
        .bind("user", credit.user)
        .bind("amount", credit.money.amount())
        .bind("currency", credit.money.currency())
        .bind("reason", credit.reason)
        .bind("operator", credit.operator)
        .bind("key", credit.idempotency_key)
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    database.row(write).await?.ok_or_else(|| Failure::fault("credit_wallet gave no row"))
}
