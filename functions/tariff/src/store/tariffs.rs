//! The price list.

use shared::{
    Caller, Database, DatabaseError, Failure, Reason, Statement, StationId, TariffId, Timestamp, UserId,
};

use crate::estimate::Terms;
use crate::price::Tariff;
use crate::price_list::CreateOutcome;

/// By what a session is billed that `driver` starts there then.
pub(crate) async fn terms(
    database: &Database,
    station: StationId,
    driver: UserId,
    at: Timestamp,
) -> Result<Terms, Failure> {
    let find = Statement::read(
        "SELECT jsonb_build_object(
             'stationExists', EXISTS (SELECT FROM stations WHERE id = :station::uuid),
             'tariff', (
                 SELECT tariff_document(tariffs) FROM tariffs
                 WHERE id = (SELECT tariff_at(:station::uuid, :at::timestamptz))
             ),
             'coverage', subscription_coverage(:driver::uuid, :at::timestamptz)
         )",
    );
    let find = find.bind("station", station).bind("driver", driver).bind("at", at);
    database.row(find).await?.ok_or_else(|| Failure::fault("no terms"))
}

/// The last written first.
pub(crate) async fn tariffs(
    database: &Database,
    station: Option<StationId>,
    operator: Option<String>,
    after: Option<TariffId>,
    limit: i64,
) -> Result<Vec<Tariff>, DatabaseError> {
    let is_of_some = station.is_some() || operator.is_some();
    let list = if is_of_some {
        let list = Statement::read(
            "SELECT tariff_document(tariffs) FROM tariffs
             WHERE scope = tariff_scope(:station::uuid, :operator::text)
                 AND (:after::uuid IS NULL OR id < :after::uuid)
             ORDER BY id DESC LIMIT :limit::bigint",
        );
        list.bind("station", station).bind("operator", operator)
    } else {
        Statement::read(
            "SELECT tariff_document(tariffs) FROM tariffs WHERE :after::uuid IS NULL OR id < :after::uuid
             ORDER BY id DESC LIMIT :limit::bigint",
        )
    };
    database.rows(list.bind("after", after).bind("limit", limit)).await
}

pub(crate) async fn create_tariff(
    database: &Database,
    tariff: &Tariff,
    operator: UserId,
    reason: &Reason,
    caller: &Caller,
) -> Result<CreateOutcome, Failure> {
    let write = Statement::new(
        "SELECT create_tariff(:tariff::jsonb, :operator::uuid, :reason::text, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("tariff", serde_json::to_value(tariff).map_err(Failure::fault)?)
        .bind("operator", operator)
        .bind("reason", reason.as_str())
        .bind("now", caller.at)
        .bind("correlation_id", caller.correlation_id);
    database.row(write).await?.ok_or_else(|| Failure::fault("create_tariff gave no row"))
}

/// None for an unknown one.
pub(crate) async fn end_tariff(
    database: &Database,
    tariff: TariffId,
    at: Timestamp,
    operator: UserId,
    reason: &Reason,
    caller: &Caller,
) -> Result<Option<Tariff>, DatabaseError> {
    let write = Statement::new(
        "SELECT * FROM end_tariff(:tariff::uuid, :at::timestamptz, :operator::uuid, :reason::text,
                                  :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("tariff", tariff)
        .bind("at", at)
        .bind("operator", operator)
        .bind("reason", reason.as_str())
        .bind("now", caller.at)
        .bind("correlation_id", caller.correlation_id);
    database.row(write).await
}
