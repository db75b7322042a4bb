//! An event's whole way: from the statement that ends a session to the one that has billed it. Both moments are the
//! database's own; between them are the outbox, the bus, the queue and the consumer.

use std::time::Duration;

use serde_json::{Value, json};

use super::sample::Sample;
use crate::accounts::Account;
use crate::journey::Site;
use crate::ocpp_socket::OcppSocket;
use crate::stack::Stack;
use crate::{Result, wait};

/// `times` sessions of one charger, each started by the driver's tag and stopped, one after another.
pub async fn measure(stack: &Stack, driver: &Account, site: &Site, times: u32) -> Result<Sample> {
    let tag: String = {
        let rows = stack.sql(&format!("SELECT id_tag FROM users WHERE id = '{}'", driver.id)).await?;
        rows.first().ok_or("no driver")?.try_get(0)?
    };
    let mut charger = OcppSocket::connect(stack, &site.charge_point, "ocpp1.6").await?;
    let vendor = json!({ "chargePointVendor": "Bench", "chargePointModel": "One" });
    charger.call("BootNotification", vendor).await?;
    let since = format!(
        "SELECT count(*) FROM invoices JOIN sessions ON sessions.id = invoices.session_id
         WHERE sessions.connector_id = '{}'",
        site.connector
    );
    let before = stack.count(&since).await?;
    for turn in 0..i64::from(times) {
        let begun = json!({ "connectorId": 1, "idTag": tag, "meterStart": turn, "timestamp": now() });
        let transaction = charger.call("StartTransaction", begun).await?["transactionId"].clone();
        let end = json!({ "transactionId": transaction, "meterStop": turn + 100, "timestamp": now() });
        charger.call("StopTransaction", end).await?;
        wait::until("the invoice", Duration::from_secs(30), async || {
            Ok((stack.count(&since).await? > before + turn).then_some(()))
        })
        .await?;
    }
    let delays = stack
        .sql(&format!(
            "SELECT extract(epoch FROM billed.created_at - ended.created_at)::float8
             FROM outbox AS ended
             JOIN outbox AS billed ON billed.payload->>'sessionId' = ended.payload->>'sessionId'
                 AND billed.event_type IN ('PAYMENT_COMPLETED', 'INVOICE_GENERATED')
             WHERE ended.event_type = 'SESSION_ENDED' AND ended.payload->>'connectorId' = '{}'
             ORDER BY ended.created_at DESC LIMIT {times}",
            site.connector
        ))
        .await?;
    let mut sample = Sample::default();
    for row in delays {
        sample.add(Duration::from_secs_f64(row.try_get::<_, f64>(0)?.max(0.0)));
    }
    Ok(sample)
}

fn now() -> Value {
    json!(chrono::Utc::now().to_rfc3339())
}
