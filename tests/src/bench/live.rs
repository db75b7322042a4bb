//! From a charger's report of a status to those who look at the station: a frame of the live feed, and GraphQL's
//! `onStationUpdated`.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::processor::{Cost, Meter};
use super::sample::Sample;
use super::service;
use crate::Result;
use crate::accounts::Account;
use crate::journey::Site;
use crate::ocpp_socket::OcppSocket;
use crate::realtime::Subscription;
use crate::stack::Stack;

const PATIENCE: Duration = Duration::from_secs(30);
const WATCH: &str = "subscription($id: ID!) { onStationUpdated(stationId: $id) { connectorId status } }";

/// What the pushes came to.
pub struct Pushed {
    /// Until the live feed's frame.
    pub feed: Sample,
    /// Until the subscription's event.
    pub subscription: Sample,
    /// What one cost.
    pub cost: Cost,
}

/// So many changes of one connector, one after another, each timed from the charger's frame on.
pub async fn measure(stack: &Stack, driver: &Account, site: &Site, changes: usize) -> Result<Pushed> {
    let mut charger = OcppSocket::connect(stack, &site.charge_point, "ocpp1.6").await?;
    charger
        .call("BootNotification", json!({ "chargePointVendor": "Bench", "chargePointModel": "One" }))
        .await?;
    let mut feed = Feed::open(stack, driver, &site.station).await?;
    let watched = json!({ "id": site.station });
    let mut subscription = Subscription::start(&stack.realtime_url, &driver.token, WATCH, watched).await?;
    let mut pushed = Pushed {
        feed: Sample::default(),
        subscription: Sample::default(),
        cost: Cost { functions: [].into(), postgres_ms: 0.0, redis_ms: 0.0 },
    };
    service::quiet(stack).await?;
    let mut before = Meter::read(stack).await?;
    // The first ones wake the functions up.
    for turn in 0..changes + 4 {
        if turn == 4 {
            before = Meter::read(stack).await?;
        }
        let (told, in_feed, in_graphql) = if turn % 2 == 0 {
            ("Unavailable", "MAINTENANCE", "UNAVAILABLE")
        } else {
            ("Available", "AVAILABLE", "AVAILABLE")
        };
        let status = json!({
            "connectorId": 1, "errorCode": "NoError", "status": told, "timestamp": chrono::Utc::now().to_rfc3339(),
        });
        let sent = Instant::now();
        let (answered, of_feed, of_subscription) = tokio::join!(
            charger.call("StatusNotification", status),
            async {
                feed.until(|frame| {
                    frame["event"] == "station_update" && frame["data"]["data"]["status"] == in_feed
                })
                .await?;
                Ok::<_, crate::Error>(sent.elapsed())
            },
            async {
                while subscription.next().await?["onStationUpdated"]["status"] != in_graphql {}
                Ok::<_, crate::Error>(sent.elapsed())
            },
        );
        answered?;
        let (of_feed, of_subscription) = (of_feed?, of_subscription?);
        if turn >= 4 {
            pushed.feed.add(of_feed);
            pushed.subscription.add(of_subscription);
        }
    }
    service::quiet(stack).await?;
    pushed.cost = Meter::read(stack).await?.since(&before, stack, changes);
    Ok(pushed)
}

/// An open socket of the live feed.
pub struct Feed(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Feed {
    /// Opened by `driver`, who has subscribed to `station`.
    pub async fn open(stack: &Stack, driver: &Account, station: &str) -> Result<Self> {
        let root = stack.ocpp_url.trim_end_matches("ocpp/");
        let (socket, _) =
            tokio_tungstenite::connect_async(format!("{root}live?token={}", driver.token)).await?;
        let mut feed = Self(socket);
        feed.subscribe(station).await?;
        Ok(feed)
    }

    /// Asks for a station's updates, and waits for the answer.
    pub async fn subscribe(&mut self, station: &str) -> Result<()> {
        let wish = json!({ "event": "subscribe_station", "data": { "stationId": station } });
        self.0.send(Message::text(wish.to_string())).await?;
        self.until(|frame| frame["event"] == "subscribed" && frame["data"]["stationId"] == station).await
    }

    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .map_err(|_| format!("waited {PATIENCE:?} in vain for a frame"))?
                .ok_or("the socket closed")??;
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            if frame["event"] == "error" {
                return Err(format!("the feed refuses: {frame}").into());
            }
            if wanted(&frame) {
                return Ok(());
            }
        }
    }
}
