//! What else is asked all day, and what each of it costs: the app's reads by GraphQL, chargers' messages, the live feed.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::figure::{Figure, Tell};
use super::live::Feed;
use super::load::{self, Post};
use super::processor::Meter;
use super::service::{self, Costs};
use super::{billed, push};
use crate::Result;
use crate::accounts::Account;
use crate::journey::Site;
use crate::ocpp_socket::OcppSocket;
use crate::stack::Stack;

/// Requests a second while a read is measured.
const READS: f64 = 200.0;
const MESSAGES: usize = 300;
const SESSIONS: u32 = 50;

/// All of it.
pub async fn measure(
    stack: &Stack,
    driver: &Account,
    site: &Site,
    time: Duration,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    let one =
        "query($id: ID!) { getStation(id: $id) { id name status connectors { id type powerKW status } } }";
    read(stack, "graphql-get-station", one, json!({ "id": site.station }), time, costs, tell).await?;
    let near = "{ nearbyStations(latitude: 52.52, longitude: 13.405, radiusKm: 10, first: 20) {
        edges { distanceKm node { id name status connectors { type powerKW } } } } }";
    read(stack, "graphql-nearby", near, Value::Null, time, costs, tell).await?;
    heartbeats(stack, site, costs, tell).await?;
    feed(stack, driver, site, costs, tell).await?;

    let before = started(stack).await?;
    push::measure(stack, driver, site, u32::try_from(MESSAGES)?).await?;
    ended(stack, &before, "ocpp-meter-values", MESSAGES, costs, tell).await?;
    let before = started(stack).await?;
    billed::measure(stack, driver, site, SESSIONS).await?;
    ended(stack, &before, "charge", SESSIONS as usize, costs, tell).await
}

async fn read(
    stack: &Stack,
    name: &str,
    query: &str,
    variables: Value,
    time: Duration,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    let post = Post {
        url: stack.graphql_url.clone(),
        headers: vec![("x-api-key".into(), stack.api_key.clone())],
        body: Bytes::from(json!({ "query": query, "variables": variables }).to_string()),
    };
    load::flood(&post, 4, Duration::from_secs(1)).await?;
    let before = started(stack).await?;
    let paced = load::pace(&post, 8, READS, time).await?;
    if let Some(failure) = paced.failure {
        return Err(format!("{name}: {failure}").into());
    }
    ended(stack, &before, name, paced.delays.count(), costs, tell).await
}

async fn heartbeats(stack: &Stack, site: &Site, costs: &mut Costs, tell: Tell<'_>) -> Result<()> {
    let mut charger = OcppSocket::connect(stack, &site.charge_point, "ocpp1.6").await?;
    charger
        .call("BootNotification", json!({ "chargePointVendor": "Bench", "chargePointModel": "One" }))
        .await?;
    let before = started(stack).await?;
    for _ in 0..MESSAGES {
        charger.call("Heartbeat", json!({})).await?;
    }
    ended(stack, &before, "ocpp-heartbeat", MESSAGES, costs, tell).await
}

async fn feed(stack: &Stack, driver: &Account, site: &Site, costs: &mut Costs, tell: Tell<'_>) -> Result<()> {
    let mut feed = Feed::open(stack, driver, &site.station).await?;
    let before = started(stack).await?;
    for _ in 0..MESSAGES {
        feed.subscribe(&site.station).await?;
    }
    ended(stack, &before, "live-subscribe", MESSAGES, costs, tell).await
}

async fn started(stack: &Stack) -> Result<Meter> {
    service::quiet(stack).await?;
    Meter::read(stack).await
}

async fn ended(
    stack: &Stack,
    before: &Meter,
    name: &str,
    operations: usize,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    service::quiet(stack).await?;
    let cost = Meter::read(stack).await?.since(before, stack, operations);
    tell(Figure::reported(format!("{name}, measured"), operations as f64, "times"));
    service::tell_cost(&cost, tell);
    costs.insert(name.to_owned(), cost);
    Ok(())
}
