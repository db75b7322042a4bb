//! What events leave in a real Redis, in whatever order they come.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use events::{News, refresh};
use redis::Commands;
use scratch::Redis;
use serde_json::{Value, json};
use shared::{Cache, CorrelationId, Envelope, EventId, Events, Failure, Timestamp};

const STATION: &str = "48f8fb15-814d-4e9d-97e1-d2caea2a162f";
const OTHER: &str = "0b1732fa-631a-4952-b6d6-2d586ed9dbf8";

fn event(event_type: &str, second: u32, fields: Value) -> Envelope<News> {
    Envelope {
        event_id: EventId::new(),
        event_type: event_type.into(),
        version: 1,
        timestamp: format!("2026-02-21T14:31:{second:02}Z").parse().unwrap(),
        source: "test".into(),
        correlation_id: CorrelationId::new(),
        payload: News::read(event_type, fields).unwrap().unwrap(),
    }
}

fn now() -> Timestamp {
    "2026-02-21T14:32:00Z".parse().unwrap()
}

fn connector(status: &str, at: u32, told_at: u32) -> Envelope<News> {
    event(
        "CONNECTOR_STATUS_CHANGED",
        told_at,
        json!({
            "stationId": STATION, "connectorId": OTHER, "status": status, "errorCode": null,
            "chargerId": null, "previousStatus": if status == "UNKNOWN" { json!(null) } else { json!("UNKNOWN") },
            "at": format!("2026-02-21T14:31:{at:02}.000Z"),
        }),
    )
}

fn session(event_type: &str, status: &str, second: u32) -> Envelope<News> {
    event(
        event_type,
        second,
        json!({
            "sessionId": OTHER, "userId": OTHER, "stationId": STATION, "connectorId": OTHER, "status": status,
            "energyKwh": 1.5, "tariffId": null, "createdAt": "2026-02-21T14:30:00.000Z",
            "updatedAt": format!("2026-02-21T14:31:{second:02}.000Z"),
        }),
    )
}

#[tokio::test]
async fn the_newest_event_decides_whenever_it_comes() {
    let redis = Redis::start().await;
    let cache = Cache::new(redis.url());
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut subscriber = client.get_connection().unwrap();
    let mut told = subscriber.as_pubsub();
    told.subscribe("invalidate").unwrap();

    // A connector's status, by the charger's clock; the station's detail and calendar are forgotten.
    let (status_key, detail_key) =
        (format!("station:{STATION}:connectors:{OTHER}"), format!("station:{STATION}:detail"));
    let calendar_key = format!("station:{STATION}:availability");
    let _: () = connection.mset(&[(&detail_key, "old"), (&calendar_key, "old")]).unwrap();
    // Set up by our clock, which is ahead of the reporter's.
    for late in [
        connector("UNKNOWN", 25, 25),
        connector("CHARGING", 20, 30),
        connector("PREPARING", 10, 40),
        connector("CHARGING", 20, 30),
        connector("UNKNOWN", 25, 25),
    ] {
        refresh(&cache, late, now()).await.unwrap();
    }
    let kept: Vec<Option<String>> =
        connection.hmget(&status_key, &["status", "updatedAt", "errorCode"][..]).unwrap();
    assert_eq!(kept, [Some("CHARGING".into()), Some("2026-02-21T14:31:20.000Z".into()), None]);
    let lifetime: i64 = connection.ttl(&status_key).unwrap();
    assert!((3500..=3600).contains(&lifetime));
    assert_eq!(connection.exists::<_, i64>(&[&detail_key, &calendar_key]).unwrap(), 0);
    let message: String = told.get_message().unwrap().get_payload().unwrap();
    assert_eq!(message, json!({ "keys": [status_key] }).to_string());

    // An open session is kept as the API shows it; once it is over nothing that is older brings it back.
    let session_key = format!("session:{OTHER}");
    refresh(&cache, session("SESSION_STARTED", "IN_PROGRESS", 1), now()).await.unwrap();
    let kept: String = connection.get(&session_key).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["id"], &kept["status"]), (&json!(OTHER), &json!("IN_PROGRESS")));
    refresh(&cache, session("SESSION_ENDED", "COMPLETED", 5), now()).await.unwrap();
    refresh(&cache, session("SESSION_UPDATED", "IN_PROGRESS", 4), now()).await.unwrap();
    assert!(!connection.exists::<_, bool>(&session_key).unwrap());

    // The calendar knows who charges, not how much.
    for (event_type, status, is_kept) in [
        ("SESSION_UPDATED", "STARTING", false),
        ("SESSION_STARTED", "IN_PROGRESS", false),
        ("SESSION_UPDATED", "IN_PROGRESS", true),
        ("SESSION_ENDED", "COMPLETED", false),
    ] {
        let _: () = connection.set(&calendar_key, "old").unwrap();
        refresh(&cache, session(event_type, status, 6), now()).await.unwrap();
        assert_eq!(connection.exists::<_, bool>(&calendar_key).unwrap(), is_kept, "{event_type}");
    }
    refresh(&cache, session("SESSION_ENDED", "COMPLETED", 7), now()).await.unwrap();

    // An hour later nobody knows any more that it is over: what comes so late is not kept.
    let _: () = connection.del(format!("{session_key}:age")).unwrap();
    let much_later = now() + chrono::TimeDelta::hours(1);
    refresh(&cache, session("SESSION_UPDATED", "IN_PROGRESS", 4), much_later).await.unwrap();
    assert!(!connection.exists::<_, bool>(&session_key).unwrap());

    // Each synchronisation of the mirror leaves the lists behind.
    for generation in 1..=2 {
        refresh(&cache, event("OCM_SYNC_COMPLETED", 0, json!({})), now()).await.unwrap();
        assert_eq!(connection.get::<_, i64>("stations:generation").unwrap(), generation);
    }

    // Without Redis the message goes back to its queue.
    drop(told);
    drop(redis);
    let failure = refresh(&cache, connector("AVAILABLE", 50, 50), now()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)));
}
