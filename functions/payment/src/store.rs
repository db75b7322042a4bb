//! Payments and refunds in PostgreSQL; every write is one function of migration 0012 or 0018.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    CorrelationId, Database, DatabaseError, Failure, InvoiceId, Outbox, PaymentId, Reason, RefundId,
    Statement, Timestamp, UserId,
};
use uuid::Uuid;

use crate::by_hand::RefundSettlement;
use crate::payment::{PaymentStatus, Record};
use crate::refund::{RefundRecord, RefundReport};
use crate::tokens::{EventRef, IntentRef, RefundRef};
use crate::webhook::{About, Hint};

/// What beginning a payment came to.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Beginning {
    /// Now, or by the same request earlier.
    Begun {
        payment: Box<Record>,
    },
    NoAccount,
    NoInvoice,
    NothingDue,
    PaymentPending,
    InsufficientFunds,
    CurrencyMismatch,
    CardAmountTooSmall,
    CardAmountTooFine,
    KeyReused,
}

/// A request to pay: what its key stands for.
pub(crate) struct Asked<'a> {
    pub(crate) payer: UserId,
    pub(crate) request: Value,
    pub(crate) key: &'a str,
}

pub(crate) async fn begin(
    outbox: &Outbox,
    asked: Asked<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Beginning, Failure> {
    let write = Statement::new(
        "SELECT begin_payment(:payment::uuid, :payer::uuid, :asked::jsonb, :key::text, :limits::jsonb, :entry::uuid,
                              :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("payment", PaymentId::new())
        .bind("payer", asked.payer)
        .bind("asked", asked.request)
        .bind("key", asked.key)
        .bind("limits", crate::limits::limits())
        .bind("entry", Uuid::now_v7())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("begin_payment gave no row"))
}

/// The payment after it; the intent it names is the one to go on with.
pub(crate) async fn record_intent(
    database: &Database,
    payment: PaymentId,
    intent: &IntentRef,
    now: Timestamp,
) -> Result<Record, Failure> {
    let write = Statement::new("SELECT record_intent(:payment::uuid, :intent::text, :now::timestamptz)");
    let write = write.bind("payment", payment).bind("intent", intent.as_str()).bind("now", now);
    database.row(write).await?.ok_or_else(|| Failure::fault("record_intent gave no row"))
}

/// Without an intent: gives up a payment that has none.
pub(crate) async fn settle(
    outbox: &Outbox,
    payment: PaymentId,
    intent: Option<&IntentRef>,
    report: PaymentStatus,
    code: Option<&str>,
    now: Timestamp,
) -> Result<Record, Failure> {
    let report = match report {
        PaymentStatus::Pending => "PENDING",
        PaymentStatus::RequiresAction => "REQUIRES_ACTION",
        PaymentStatus::Succeeded => "SUCCEEDED",
        PaymentStatus::Failed => "FAILED",
    };
    let write = Statement::new(
        "SELECT settle_payment(:payment::uuid, :intent::text, :report::text, :code::text, :new_ids::jsonb,
                               :now::timestamptz)",
    );
    let new_ids = json!({
        "entry": Uuid::now_v7(),
        "invoice": InvoiceId::new(),
        "refund": RefundId::new(),
        "creditNote": InvoiceId::new(),
    });
    let write = write
        .bind("payment", payment)
        .bind("intent", intent.map(IntentRef::as_str))
        .bind("report", report)
        .bind("code", code)
        .bind("new_ids", new_ids)
        .bind("now", now);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("settle_payment gave no row"))
}

/// One payment; of `owner` if that is told.
pub(crate) async fn payment(
    database: &Database,
    payment: PaymentId,
    owner: Option<UserId>,
) -> Result<Option<Record>, DatabaseError> {
    let find = Statement::read(
        "SELECT payment_document(payments) FROM payments
         WHERE id = :payment::uuid AND (:owner::uuid IS NULL OR user_id = :owner::uuid)",
    );
    database.row(find.bind("payment", payment).bind("owner", owner)).await
}

/// Open payments that nobody asked the provider about for two minutes, longest first, to be asked about now.
pub(crate) async fn claim_payments(
    database: &Database,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Record>, DatabaseError> {
    let claim = Statement::new(
        "UPDATE payments SET looked_at = :now::timestamptz
         WHERE id IN (
             SELECT id FROM payments
             WHERE status IN ('PENDING', 'REQUIRES_ACTION') AND looked_at <= :now::timestamptz - interval '2 minutes'
             ORDER BY looked_at LIMIT :limit::bigint FOR NO KEY UPDATE SKIP LOCKED
         )
         RETURNING payment_document(payments)",
    );
    database.rows(claim.bind("now", now).bind("limit", limit)).await
}

/// What beginning a refund came to.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RefundBeginning {
    /// Now, or by the same request earlier.
    Begun {
        refund: RefundRecord,
    },
    NoInvoice,
    NothingToRefund,
    RefundTooLarge,
    TooFine,
    CurrencyMismatch,
    AccountDeleted,
    PaymentPending,
    KeyReused,
}

/// A request to refund: what its key stands for.
pub(crate) struct RefundAsked<'a> {
    pub(crate) operator: UserId,
    pub(crate) request: Value,
    pub(crate) key: &'a str,
}

pub(crate) async fn begin_refund(
    outbox: &Outbox,
    asked: RefundAsked<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<RefundBeginning, Failure> {
    let write = Statement::new(
        "SELECT begin_refund(:new_ids::jsonb, :operator::uuid, :asked::jsonb, :key::text, :now::timestamptz,
                             :correlation_id::uuid)",
    );
    let new_ids =
        json!({ "refund": RefundId::new(), "creditNote": InvoiceId::new(), "entry": Uuid::now_v7() });
    let write = write
        .bind("new_ids", new_ids)
        .bind("operator", asked.operator)
        .bind("asked", asked.request)
        .bind("key", asked.key)
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("begin_refund gave no row"))
}

/// The refund, if nobody began to speak with the provider about it in the last minute: then it is the caller's to do. It
/// is HELD no longer, until the provider has answered: an operator could give to the wallet what the card gets now.
pub(crate) async fn claim_refund(
    database: &Database,
    refund: RefundId,
    now: Timestamp,
) -> Result<Option<RefundRecord>, DatabaseError> {
    let claim = Statement::new(
        "UPDATE refunds SET status = 'PENDING', looked_at = :now::timestamptz
         WHERE id = :refund::uuid AND status IN ('PENDING', 'HELD') AND looked_at <= :now::timestamptz - interval '1 minute'
         RETURNING refund_document(refunds)",
    );
    database.row(claim.bind("refund", refund).bind("now", now)).await
}

/// Open refunds that nobody spoke with the provider about for two minutes (a day, where an operator may decide), longest
/// first: they are the caller's to do.
pub(crate) async fn claim_refunds(
    database: &Database,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<RefundRecord>, DatabaseError> {
    let claim = Statement::new(
        "UPDATE refunds SET status = 'PENDING', looked_at = :now::timestamptz
         WHERE id IN (
             SELECT id FROM refunds
             WHERE status IN ('PENDING', 'HELD') AND looked_at <= :now::timestamptz
                 - CASE status WHEN 'PENDING' THEN interval '2 minutes' ELSE interval '1 day' END
             ORDER BY looked_at LIMIT :limit::bigint FOR NO KEY UPDATE SKIP LOCKED
         )
         RETURNING refund_document(refunds)",
    );
    database.rows(claim.bind("now", now).bind("limit", limit)).await
}

pub(crate) async fn settle_refund(
    outbox: &Outbox,
    refund: RefundId,
    provider_ref: Option<&RefundRef>,
    report: RefundReport,
    code: Option<&str>,
    now: Timestamp,
) -> Result<RefundRecord, Failure> {
    let write = Statement::new(
        "SELECT settle_refund(:refund::uuid, :provider_ref::text, :report::text, :code::text, :entry::uuid,
                              :now::timestamptz)",
    );
    let write = write
        .bind("refund", refund)
        .bind("provider_ref", provider_ref.map(RefundRef::as_str))
        .bind("report", report.name())
        .bind("code", code)
        .bind("entry", Uuid::now_v7())
        .bind("now", now);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("settle_refund gave no row"))
}

/// What an operator makes of a refund that is held.
pub(crate) struct ByHand {
    pub(crate) refund_id: RefundId,
    pub(crate) operator: UserId,
    pub(crate) settlement: RefundSettlement,
    pub(crate) reason: Reason,
}

/// What came of that.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SettledByHand {
    /// Now, or by the same word earlier.
    Settled {
        refund: RefundRecord,
    },
    NoRefund,
    NotHeld,
    CurrencyMismatch,
    AccountDeleted,
}

pub(crate) async fn settle_by_hand(
    outbox: &Outbox,
    by_hand: &ByHand,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<SettledByHand, Failure> {
    let write = Statement::new(
        "SELECT settle_refund_by_hand(:refund::uuid, :operator::uuid, :settlement::text, :reason::text,
                                      :entry::uuid, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("refund", by_hand.refund_id)
        .bind("operator", by_hand.operator)
        .bind("settlement", by_hand.settlement.name())
        .bind("reason", by_hand.reason.as_str())
        .bind("entry", Uuid::now_v7())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("settle_refund_by_hand gave no row"))
}

/// What we have of that which the provider tells about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    /// Acted on already.
    pub(crate) is_known: bool,
    pub(crate) payment: Option<Record>,
    pub(crate) refund: Option<RefundRecord>,
}

pub(crate) async fn told(database: &Database, hint: &Hint) -> Result<Told, Failure> {
    let find = Statement::read(
        "SELECT jsonb_build_object(
             'isKnown', EXISTS (SELECT FROM provider_events WHERE id = :event::text),
             'payment', (SELECT payment_document(payments) FROM payments WHERE provider_ref = :intent::text),
             'refund', (SELECT refund_document(refunds) FROM refunds WHERE provider_ref = :refund::text)
         )",
    );
    let (intent, refund) = match &hint.about {
        About::Intent(intent) => (Some(intent.as_str()), None),
        About::Refund(refund) => (None, Some(refund.as_str())),
    };
    let find = find.bind("event", hint.event_id.as_str()).bind("intent", intent).bind("refund", refund);
    database.row(find).await?.ok_or_else(|| Failure::fault("an expression gave no row"))
}

/// Notes that what an event told was acted on.
pub(crate) async fn note(
    database: &Database,
    event: &EventRef,
    event_type: &str,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let note = Statement::new(
        "INSERT INTO provider_events (id, type, received_at) VALUES (:event::text, :type::text, :now::timestamptz)
         ON CONFLICT (id) DO NOTHING",
    );
    let note = note.bind("event", event.as_str()).bind("type", event_type).bind("now", now);
    database.rows::<Value>(note).await.map(drop)
}

/// Forgets events of more than a month ago; the provider repeats none that old.
pub(crate) async fn forget_events(database: &Database, now: Timestamp) -> Result<(), DatabaseError> {
    let forget = Statement::new(
        "DELETE FROM provider_events WHERE received_at < :now::timestamptz - interval '31 days'",
    );
    database.rows::<Value>(forget.bind("now", now)).await.map(drop)
}
