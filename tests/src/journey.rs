//! One driver charges one car: the whole path, through the front doors, step by step. The demo tells it to a
//! person; the end-to-end test checks what it comes to.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::Account;
use crate::charge_point::ChargePoint;
use crate::realtime::Subscription;
use crate::stack::Stack;
use crate::{Result, bus, wait};

/// What a charger's password is, here.
pub const CHARGER_PASSWORD: &str = "a-charger-password";
/// How many times faster than the clock the demo's cars charge.
const SPEED: u32 = 120;
/// The energy after which the driver has enough, in kWh.
const ENOUGH_KWH: f64 = 1.0;

/// The longest a step is waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Told each step as it happens.
pub type Tell<'a> = &'a mut dyn FnMut(String);

/// An exact amount, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Money {
    /// Decimal.
    pub amount: Decimal,
    /// ISO 4217.
    pub currency: String,
}

/// A station with one charger that is registered and not yet running.
#[derive(Debug, Clone)]
pub struct Site {
    /// The station's id.
    pub station: String,
    /// Its name.
    pub name: String,
    /// What the charger dials in as.
    pub charge_point: String,
    /// The charger's first connector.
    pub connector: String,
}

/// What a charge came to.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The session's id.
    pub session: String,
    /// The states that the subscription showed, repeats left out.
    pub states: Vec<String>,
    /// What the session says was charged, in kWh.
    pub energy_kwh: f64,
    /// What the charger's own meter says, in Wh.
    pub metered_wh: f64,
    /// What was billed.
    pub invoice: Money,
    /// `PAID` or `PENDING`.
    pub invoice_status: String,
    /// The wallet before.
    pub before: Money,
    /// The wallet after.
    pub after: Money,
}

/// Mirrors OpenChargeMap if that was not done yet, and tells how many stations there are. Several may ask at once.
pub async fn mirror(stack: &Stack, tell: Tell<'_>) -> Result<i64> {
    let completed = "SELECT count(*) FROM outbox WHERE event_type = 'OCM_SYNC_COMPLETED'";
    let limit = Duration::from_secs(100);
    wait::until("the mirror to be complete", limit, async || {
        if stack.count(completed).await? > 0 {
            return Ok(Some(()));
        }
        match stack.invoke("sync-ocm", &json!({})).await {
            Ok(report) => tell(format!("OpenChargeMap mirrored: {report}")),
            // Somebody else is at it: the function runs once at a time.
            Err(error) if error.to_string().contains("HTTP 429") => {}
            Err(error) => return Err(error),
        }
        Ok(None)
    })
    .await?;
    // Who asked too early had an empty list cached, which the event of the completed run makes stale.
    let query = "{ nearbyStations(latitude: 52.52, longitude: 13.405, radiusKm: 100) { edges { cursor } } }";
    wait::until("stations near Berlin", limit, async || {
        let near: Value = stack.public().field(query, json!({})).await?;
        Ok(near["edges"].as_array().filter(|edges| !edges.is_empty()).map(drop))
    })
    .await?;
    stack.count("SELECT count(*) FROM stations").await
}

/// Finds a mirrored station near Berlin, and registers a charger with one connector there.
pub async fn site(stack: &Stack, operator: &Account, tell: Tell<'_>) -> Result<Site> {
    let query = "query { nearbyStations(latitude: 52.52, longitude: 13.405, radiusKm: 100, first: 5) {
        edges { distanceKm node { id name address connectors { type powerKW } } } } }";
    let near: Value = stack.public().field(query, json!({})).await?;
    let edges = near["edges"].as_array().ok_or("no stations near Berlin")?;
    for edge in edges {
        let node = &edge["node"];
        tell(format!(
            "  {:>6.2} km  {}",
            edge["distanceKm"].as_f64().unwrap_or_default(),
            node["name"].as_str().unwrap_or("")
        ));
    }
    let node = &edges.first().ok_or("no stations near Berlin")?["node"];
    let station = node["id"].as_str().ok_or("a station without id")?.to_owned();
    let charge_point = format!("CP-{}", &Uuid::new_v4().simple().to_string()[..12].to_uppercase());
    let register =
        "mutation($input: RegisterChargerInput!) { registerCharger(input: $input) { id connectors { id } } }";
    let input = json!({
        "stationId": station,
        "chargePointId": charge_point,
        "password": CHARGER_PASSWORD,
        "connectors": [{ "number": 1, "type": "CCS (Type 2)", "powerKW": 22.0 }],
    });
    let charger: Value = operator.client.field(register, json!({ "input": input })).await?;
    let connector = charger["connectors"][0]["id"].as_str().ok_or("no connector")?.to_owned();
    tell(format!("charger {charge_point} registered"));
    Ok(Site { station, name: node["name"].as_str().unwrap_or_default().to_owned(), charge_point, connector })
}

/// The connector's status, as the app sees it.
pub async fn connector_status(stack: &Stack, site: &Site) -> Result<String> {
    let query = "query($id: ID!) { getStation(id: $id) { connectors { id status } } }";
    let station: Value = stack.public().field(query, json!({ "id": site.station })).await?;
    let connectors = station["connectors"].as_array().cloned().unwrap_or_default();
    let ours = connectors.iter().find(|connector| connector["id"] == json!(site.connector));
    Ok(ours.and_then(|connector| connector["status"].as_str()).unwrap_or("absent").to_owned())
}

/// Waits until the app sees the connector as free.
pub async fn connector_available(stack: &Stack, site: &Site) -> Result<()> {
    wait::until("the connector to be AVAILABLE", Duration::from_secs(20), async || {
        Ok((connector_status(stack, site).await? == "AVAILABLE").then_some(()))
    })
    .await
}

/// What is in the account's wallet.
pub async fn wallet(account: &Account) -> Result<Money> {
    let me: Value =
        account.client.field("query { me { walletBalance { amount currency } } }", json!({})).await?;
    Ok(serde_json::from_value(me["walletBalance"].clone())?)
}

/// Charges once: `version` is the OCPP version the charger speaks.
pub async fn charge(
    stack: &Stack,
    driver: &Account,
    site: &Site,
    version: &str,
    tell: Tell<'_>,
) -> Result<Charge> {
    let before = wallet(driver).await?;
    let mut charger = ChargePoint::start(stack, &site.charge_point, CHARGER_PASSWORD, version, SPEED)?;
    charger
        .step("boot", |step| step["event"] == "ready", |step| tell(format!("charger  {}", brief(step))))
        .await?;
    connector_available(stack, site).await?;
    tell("app      the connector is AVAILABLE".into());

    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id status } }";
    let input =
        json!({ "stationId": site.station, "connectorId": site.connector, "idempotencyKey": Uuid::new_v4() });
    let session: Value = driver.client.field(start, json!({ "input": input })).await?;
    let id = session["id"].as_str().ok_or("no session id")?.to_owned();
    tell(format!(
        "app      startSession: session {id} is {}",
        session["status"].as_str().unwrap_or_default()
    ));
    let watch = "subscription($id: ID!) { onSessionStatusChanged(sessionId: $id) { sessionId status energyKWh timestamp } }";
    let mut feed =
        Subscription::start(&stack.realtime_url, &driver.token, watch, json!({ "id": id })).await?;

    // The first state may have passed before the app could subscribe; the mutation's answer told it.
    let mut states = vec![session["status"].as_str().unwrap_or_default().to_owned()];
    let mut asked_to_end = false;
    let mut stopped = None;
    let energy_kwh = loop {
        let change = tokio::select! {
            change = feed.next() => change?["onSessionStatusChanged"].take(),
            step = charger.next() => {
                let step = step?;
                tell(format!("charger  {}", brief(&step)));
                if step["event"] == "stopped" {
                    stopped = Some(step);
                }
                continue;
            }
        };
        let (status, energy) =
            (change["status"].as_str().unwrap_or_default(), change["energyKWh"].as_f64().unwrap_or(0.0));
        tell(format!("app      subscription: {status:<11} {energy:>7.3} kWh"));
        if states.last().map(String::as_str) != Some(status) {
            states.push(status.to_owned());
        }
        match status {
            "COMPLETED" => break energy,
            "FAILED" | "CANCELLED" => return Err(format!("the session ended as {change}").into()),
            "IN_PROGRESS" if energy >= ENOUGH_KWH && !asked_to_end => {
                asked_to_end = true;
                let end = "mutation($id: ID!) { endSession(id: $id) { status } }";
                let ended: Value = driver.client.field(end, json!({ "id": id })).await?;
                tell(format!(
                    "app      endSession: the session is {}",
                    ended["status"].as_str().unwrap_or_default()
                ));
            }
            _ => {}
        }
    };
    let stopped = match stopped {
        Some(step) => step,
        None => {
            let seen = |step: &Value| tell(format!("charger  {}", brief(step)));
            charger.step("the stop", |step| step["event"] == "stopped", seen).await?
        }
    };

    let query = "query { listInvoices(first: 20) { edges { node { sessionId status amount { amount currency } } } } }";
    let invoice = wait::until("the invoice", LIMIT, async || {
        let invoices: Value = driver.client.field(query, json!({})).await?;
        let edges = invoices["edges"].as_array().cloned().unwrap_or_default();
        Ok(edges
            .into_iter()
            .map(|mut edge| edge["node"].take())
            .find(|invoice| invoice["sessionId"] == json!(id)))
    })
    .await?;
    tell(format!(
        "app      invoice: {} {}, {}",
        text(&invoice["amount"]["amount"]),
        text(&invoice["amount"]["currency"]),
        text(&invoice["status"])
    ));
    charger.stop().await?;
    let after = wallet(driver).await?;
    tell(format!(
        "app      wallet: {} - {} = {} {}",
        before.amount,
        text(&invoice["amount"]["amount"]),
        after.amount,
        after.currency
    ));
    Ok(Charge {
        session: id,
        states,
        energy_kwh,
        metered_wh: stopped["wh"].as_f64().unwrap_or_default(),
        invoice: serde_json::from_value(invoice["amount"].clone())?,
        invoice_status: text(&invoice["status"]).to_owned(),
        before,
        after,
    })
}

impl Charge {
    /// Fails unless everything agrees: the states, the meter, the invoice and the wallet to the cent.
    pub fn check(&self) -> Result<()> {
        if self.states != ["STARTING", "IN_PROGRESS", "STOPPING", "COMPLETED"] {
            return Err(format!("the subscription showed {:?}", self.states).into());
        }
        if (self.energy_kwh * 1000.0 - self.metered_wh).abs() > 0.5 {
            return Err(format!("billed {} kWh, metered {} Wh", self.energy_kwh, self.metered_wh).into());
        }
        let debit = if self.invoice_status == "PAID" { self.invoice.amount } else { Decimal::ZERO };
        if self.before.amount - debit != self.after.amount {
            return Err(format!("{:?} - {:?} is not {:?}", self.before, self.invoice, self.after).into());
        }
        Ok(())
    }
}

/// Waits until nothing is on its way: the outbox published, the queues drained. Dead letters are an error.
pub async fn settled(stack: &Stack, tell: Tell<'_>) -> Result<()> {
    wait::until("the outbox to be empty", LIMIT, async || {
        Ok((bus::unpublished(stack).await? == 0).then_some(()))
    })
    .await?;
    tell("bus      the outbox is empty".into());
    wait::until("the queues to drain", LIMIT, async || {
        Ok(bus::depths(stack)
            .await?
            .iter()
            .all(|depth| depth.messages == 0 || depth.queue.contains("DeadLetters"))
            .then_some(()))
    })
    .await?;
    let dead: Vec<_> =
        bus::dead_letters(stack).await?.into_iter().filter(|depth| depth.messages > 0).collect();
    if !dead.is_empty() {
        return Err(format!("dead letters: {dead:?}").into());
    }
    tell("bus      no dead letters".into());
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A step of the charger on one line, without what each repeats.
fn brief(step: &Value) -> String {
    let Some(fields) = step.as_object() else { return step.to_string() };
    let details = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "event" | "chargePoint" | "at"));
    let details: Vec<_> = details.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", text(&step["event"]), details.join(" "))
}
