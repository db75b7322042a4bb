//! From a state change at the charger to the driver's subscription: an OCPP frame in, a GraphQL event out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::sample::Sample;
use crate::accounts::Account;
use crate::journey::Site;
use crate::ocpp_socket::OcppSocket;
use crate::realtime::Subscription;
use crate::stack::Stack;
use crate::{Result, wait};

/// `changes` meter values of one session, each timed from the charger's frame to the driver's event.
pub async fn measure(stack: &Stack, driver: &Account, site: &Site, changes: u32) -> Result<Sample> {
    let mut charger = OcppSocket::connect(stack, &site.charge_point, "ocpp1.6").await?;
    let now = || chrono::Utc::now().to_rfc3339();
    charger
        .call("BootNotification", json!({ "chargePointVendor": "Bench", "chargePointModel": "One" }))
        .await?;
    charger
        .call(
            "StatusNotification",
            json!({ "connectorId": 1, "errorCode": "NoError", "status": "Available" }),
        )
        .await?;
    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id } }";
    let input = json!({ "stationId": site.station, "connectorId": site.connector });
    let session: Value = driver.client.field(start, json!({ "input": input })).await?;
    let remote = charger.accept_call("RemoteStartTransaction").await?;
    let watch = "subscription($id: ID!) { onSessionStatusChanged(sessionId: $id) { status energyKWh } }";
    let mut feed =
        Subscription::start(&stack.realtime_url, &driver.token, watch, json!({ "id": session["id"] }))
            .await?;
    let begun = json!({ "connectorId": 1, "idTag": remote["idTag"], "meterStart": 0, "timestamp": now() });
    let transaction = charger.call("StartTransaction", begun).await?["transactionId"].clone();
    wait_for(&mut feed, |change| change["status"] == "IN_PROGRESS").await?;
    let mut delays = Sample::default();
    for turn in 1..=changes {
        let energy = turn * 100;
        let values = json!([{ "timestamp": now(), "sampledValue": [{ "value": energy.to_string() }] }]);
        let sent = Instant::now();
        charger
            .call(
                "MeterValues",
                json!({ "connectorId": 1, "transactionId": transaction, "meterValue": values }),
            )
            .await?;
        let wanted = f64::from(energy) / 1000.0;
        wait_for(&mut feed, |change| {
            change["energyKWh"].as_f64().is_some_and(|found| (found - wanted).abs() < 1e-9)
        })
        .await?;
        delays.add(sent.elapsed());
    }
    let end = json!({ "transactionId": transaction, "meterStop": changes * 100, "timestamp": now() });
    charger.call("StopTransaction", end).await?;
    wait::until("the session to end", Duration::from_secs(10), async || {
        let change = feed.next().await?;
        Ok((change["onSessionStatusChanged"]["status"] == "COMPLETED").then_some(()))
    })
    .await?;
    Ok(delays)
}

async fn wait_for(feed: &mut Subscription, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    while !wanted(&feed.next().await?["onSessionStatusChanged"]) {}
    Ok(())
}
