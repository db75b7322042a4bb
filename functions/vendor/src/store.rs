//! Vendors in PostgreSQL; the writes are functions of migrations 0016 and 0017.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    Caller, Database, DatabaseError, Failure, Outbox, Reason, SessionId, Statement, StationId, Timestamp,
    UserId, VendorId,
};

use crate::process::Outcome;
use crate::{KeyId, Keys, Report, Vendor, VendorName};

pub(crate) async fn is_name_taken(database: &Database, name: &VendorName) -> Result<bool, DatabaseError> {
    let find = Statement::read("SELECT to_jsonb(true) FROM vendors WHERE name_folded = :folded::text");
    Ok(database.row::<bool>(find.bind("folded", name.folded())).await?.is_some())
}

/// The new vendor; none when its name is another's.
pub(crate) async fn register(
    database: &Database,
    id: VendorId,
    name: &VendorName,
    key: KeyId,
    operator: UserId,
    caller: &Caller,
) -> Result<Option<Vendor>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Registering {
        Vendor(Vendor),
        #[serde(rename = "refusal")]
        Refused(#[expect(dead_code, reason = "there is one only")] String),
    }
    let write = Statement::new(
        "SELECT register_vendor(:id::uuid, :name::text, :folded::text, :key::uuid, :operator::uuid,
                                :correlation::uuid, :now::timestamptz)",
    )
    .bind("id", id)
    .bind("name", name.as_str())
    .bind("folded", name.folded())
    .bind("key", key.uuid())
    .bind("operator", operator)
    .bind("correlation", caller.correlation_id)
    .bind("now", caller.at);
    match database.row(write).await?.ok_or_else(|| Failure::fault("register_vendor gave no row"))? {
        Registering::Vendor(vendor) => Ok(Some(vendor)),
        Registering::Refused(_) => Ok(None),
    }
}

/// The last known revision of the vendor's secret; none for an unknown vendor.
pub(crate) async fn note_rotation(
    database: &Database,
    vendor: VendorId,
    operator: UserId,
    reason: &Reason,
    caller: &Caller,
) -> Result<Option<i64>, DatabaseError> {
    let note = Statement::new(
        "SELECT note_key_rotation(:vendor::uuid, :operator::uuid, :reason::text, :correlation::uuid,
                                  :now::timestamptz)",
    )
    .bind("vendor", vendor)
    .bind("operator", operator)
    .bind("reason", reason.as_str())
    .bind("correlation", caller.correlation_id)
    .bind("now", caller.at);
    database.row(note).await
}

/// The vendor as it is then; none for an unknown one. Of the keys all but the secrets.
pub(crate) async fn keep_keys(
    database: &Database,
    vendor: VendorId,
    keys: &Keys,
    now: Timestamp,
) -> Result<Option<Vendor>, DatabaseError> {
    let told: Vec<_> = keys
        .keys
        .iter()
        .map(|key| json!({ "id": key.id, "createdAt": key.created_at, "expiresAt": key.expires_at }))
        .collect();
    let keep = Statement::new(
        "SELECT keep_vendor_keys(:vendor::uuid, :revision::bigint, :keys::jsonb, :now::timestamptz)",
    )
    .bind("vendor", vendor)
    .bind("revision", keys.revision)
    .bind("keys", Value::from(told))
    .bind("now", now);
    database.row(keep).await
}

/// Newest first.
pub(crate) async fn vendors(
    database: &Database,
    after: Option<VendorId>,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Vendor>, DatabaseError> {
    let list = Statement::read(
        "SELECT vendor_document(vendors, :now::timestamptz) FROM vendors
         WHERE id < COALESCE(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         ORDER BY id DESC LIMIT :limit::bigint",
    );
    database.rows(list.bind("after", after).bind("limit", limit).bind("now", now)).await
}

/// How many of them are new.
pub(crate) async fn register_connectors(
    outbox: &Outbox,
    vendor: VendorId,
    station: StationId,
    connectors: Value,
    operator: UserId,
    caller: &Caller,
) -> Result<u32, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Registering {
        Added(u32),
        Refusal(Refusal),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Refusal {
        NoVendor,
        NoStation,
        Elsewhere,
        NumberTaken,
    }
    let write = Statement::new(
        "SELECT register_vendor_connectors(:vendor::uuid, :station::uuid, :connectors::jsonb, :operator::uuid,
                                           :correlation::uuid, :now::timestamptz)",
    )
    .bind("vendor", vendor)
    .bind("station", station)
    .bind("connectors", connectors)
    .bind("operator", operator)
    .bind("correlation", caller.correlation_id)
    .bind("now", caller.at);
    let registering = outbox.write(write).await?;
    match registering.ok_or_else(|| Failure::fault("register_vendor_connectors gave no row"))? {
        Registering::Added(count) => Ok(count),
        Registering::Refusal(Refusal::NoVendor) => Err(Failure::NotFound("vendor")),
        Registering::Refusal(Refusal::NoStation) => Err(Failure::NotFound("station")),
        Registering::Refusal(Refusal::Elsewhere) => Err(Failure::conflict(
            "VENDOR_CONNECTOR_ELSEWHERE",
            "the vendor has one of these at another station",
        )),
        Registering::Refusal(Refusal::NumberTaken) => Err(Failure::conflict(
            "CONNECTOR_NUMBER_TAKEN",
            "another connector of the vendor has one of these numbers at the station",
        )),
    }
}

/// The vendor's connectors of those names, as GraphQL `Connector`s in the order of `wanted`, each a row: a hundred of
/// them are too much for one.
pub(crate) async fn connectors(
    database: &Database,
    vendor: VendorId,
    wanted: Value,
) -> Result<Vec<Value>, DatabaseError> {
    let list = Statement::read(
        "SELECT jsonb_build_object(
             'id', id, 'connectorNumber', connector_number::text, 'type', connector_type, 'powerKW', power_kw,
             'quantity', 1, 'status', status, 'updatedAt', rfc3339(updated_at)
         )
         FROM jsonb_array_elements(:wanted::jsonb) WITH ORDINALITY AS listed (item, place)
         JOIN connectors ON vendor_id = :vendor::uuid AND vendor_connector_id = item->>'vendorConnectorId'
         ORDER BY place",
    );
    database.rows(list.bind("wanted", wanted).bind("vendor", vendor)).await
}

/// `fields` are what the report tells, as `take_vendor_report` reads them.
pub(crate) async fn take_report(
    outbox: &Outbox,
    report: &Report,
    fields: Value,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let take = Statement::new(
        "SELECT take_vendor_report(:vendor::uuid, :webhook::text, :kind::text, :at::timestamptz, :body::jsonb,
                                   :session::uuid, :correlation::uuid, :now::timestamptz)",
    )
    .bind("vendor", report.vendor_id)
    .bind("webhook", report.webhook_id.as_str())
    .bind("kind", report.told.kind().name())
    .bind("at", report.occurred_at)
    .bind("body", fields)
    .bind("session", SessionId::new())
    .bind("correlation", report.correlation_id)
    .bind("now", now);
    outbox.write(take).await?.ok_or_else(|| Failure::fault("take_vendor_report gave no row"))
}
