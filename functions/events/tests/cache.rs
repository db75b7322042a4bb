//! What events leave in a real Redis, in whatever order they come.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use events::{News, refresh};
use redis::{Commands, Connection};
use serde_json::{Value, json};
use shared::{Cache, CorrelationId, Envelope, EventId, Events, Failure};

struct Redis {
    process: Child,
    url: String,
    connection: Connection,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("redis://127.0.0.1:{port}");
        let client = redis::Client::open(url.as_str()).unwrap();
        let connection = loop {
            match client.get_connection() {
                Ok(connection) => break connection,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        Self { process, url, connection }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

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

fn connector(status: &str, at: u32, told_at: u32) -> Envelope<News> {
    event(
        "CONNECTOR_STATUS_CHANGED",
        told_at,
        json!({
            "stationId": STATION, "connectorId": OTHER, "status": status, "errorCode": null,
            "at": format!("2026-02-21T14:31:{at:02}.000Z"),
        }),
    )
}

fn session(event_type: &str, status: &str, second: u32) -> Envelope<News> {
    event(
        event_type,
        second,
        json!({ "sessionId": OTHER, "userId": OTHER, "stationId": STATION, "status": status, "energyKwh": 1.5 }),
    )
}

#[tokio::test]
async fn the_newest_event_decides_whenever_it_comes() {
    let mut redis = Redis::start();
    let cache = Cache::new(redis.url.clone());
    let mut subscriber = redis::Client::open(redis.url.as_str()).unwrap().get_connection().unwrap();
    let mut told = subscriber.as_pubsub();
    told.subscribe("invalidate").unwrap();

    // A connector's status, by the charger's clock; the station's detail is forgotten.
    let (status_key, detail_key) =
        (format!("station:{STATION}:connectors:{OTHER}"), format!("station:{STATION}:detail"));
    let _: () = redis.connection.set(&detail_key, "old").unwrap();
    for late in [connector("CHARGING", 20, 30), connector("PREPARING", 10, 40), connector("CHARGING", 20, 30)]
    {
        refresh(&cache, late).await.unwrap();
    }
    let kept: Vec<Option<String>> =
        redis.connection.hmget(&status_key, &["status", "updatedAt", "errorCode"][..]).unwrap();
    assert_eq!(kept, [Some("CHARGING".into()), Some("2026-02-21T14:31:20.000Z".into()), None]);
    let lifetime: i64 = redis.connection.ttl(&status_key).unwrap();
    assert!((3500..=3600).contains(&lifetime));
    assert!(!redis.connection.exists::<_, bool>(&detail_key).unwrap());
    let message: String = told.get_message().unwrap().get_payload().unwrap();
    assert_eq!(message, json!({ "keys": [status_key] }).to_string());

    // An open session is kept; once it is over nothing brings it back, not even news of the same moment.
    let session_key = format!("session:{OTHER}");
    refresh(&cache, session("SESSION_STARTED", "IN_PROGRESS", 1)).await.unwrap();
    let kept: String = redis.connection.get(&session_key).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap()["status"], "IN_PROGRESS");
    refresh(&cache, session("SESSION_ENDED", "COMPLETED", 5)).await.unwrap();
    refresh(&cache, session("SESSION_UPDATED", "IN_PROGRESS", 5)).await.unwrap();
    refresh(&cache, session("SESSION_UPDATED", "IN_PROGRESS", 4)).await.unwrap();
    assert!(!redis.connection.exists::<_, bool>(&session_key).unwrap());

    // Each synchronisation of the mirror leaves the lists behind.
    for generation in 1..=2 {
        refresh(&cache, event("OCM_SYNC_COMPLETED", 0, json!({}))).await.unwrap();
        assert_eq!(redis.connection.get::<_, i64>("stations:generation").unwrap(), generation);
    }

    // Without Redis the message goes back to its queue.
    drop(told);
    drop(redis);
    let failure = refresh(&cache, connector("AVAILABLE", 50, 50)).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)));
}
