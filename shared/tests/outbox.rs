//! The outbox on a real PostgreSQL, before a bus that takes what it is told to take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_eventbridge::config::{Credentials, SharedCredentialsProvider};
use axum::extract::State;
use axum::{Json, Router};
use scratch::{CLUSTER, DataApi, Postgres, SECRET};
use serde_json::{Value, json};
use shared::{Backlog, Database, Outbox, OutboxPlace, Relayed, Statement};

const SCHEMA: &str = include_str!("../../functions/migrate/migrations/0001_outbox.sql");

/// What came in, by type, and the one type that is refused.
#[derive(Default)]
struct Bus {
    taken: Mutex<Vec<String>>,
    refused: Mutex<&'static str>,
}

async fn put_events(State(bus): State<Arc<Bus>>, body: axum::body::Bytes) -> Json<Value> {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let refused = *bus.refused.lock().unwrap();
    let answer = |entry: &Value| {
        let event_type = entry["DetailType"].as_str().unwrap();
        if event_type == refused {
            return json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "not this one" });
        }
        bus.taken.lock().unwrap().push(event_type.to_owned());
        json!({ "EventId": "1" })
    };
    let entries: Vec<Value> = request["Entries"].as_array().unwrap().iter().map(answer).collect();
    let failed = entries.iter().filter(|entry| entry.get("ErrorCode").is_some()).count();
    Json(json!({ "FailedEntryCount": failed, "Entries": entries }))
}

struct World {
    _postgres: Postgres,
    _door: DataApi,
    database: Database,
    config: SdkConfig,
    bus: Arc<Bus>,
    bus_url: String,
}

impl World {
    async fn new() -> Self {
        let postgres = Postgres::with_schema([SCHEMA], env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "a", "b", None, None, "test",
            )))
            .build();
        let client = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let client = aws_sdk_rdsdata::Client::from_conf(client);
        let database = Database::new(client, CLUSTER, SECRET, "postgres");
        let bus = Arc::new(Bus::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bus_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(put_events).with_state(Arc::clone(&bus));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { _postgres: postgres, _door: door, database, config, bus, bus_url }
    }

    fn outbox(&self, bus_url: &str) -> Outbox {
        let client = aws_sdk_eventbridge::config::Builder::from(&self.config)
            .endpoint_url(bus_url)
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build();
        Outbox::new(self.database.clone(), aws_sdk_eventbridge::Client::from_conf(client), "bus")
    }
}

fn two_events() -> Statement {
    Statement::new(
        "SELECT jsonb_build_object('outcome', 'done', 'events', jsonb_build_array(
             emit('SESSION_ENDED', 1, 'test', gen_random_uuid(), now(), '{}'),
             emit('INVOICE_GENERATED', 1, 'test', gen_random_uuid(), now(), '{}')))",
    )
}

#[tokio::test]
async fn what_the_bus_does_not_take_waits_and_is_counted_until_it_does() {
    let world = World::new().await;
    let unreachable = world.outbox("http://127.0.0.1:1");
    let outbox = world.outbox(&world.bus_url);
    assert_eq!(outbox.backlog().await.unwrap(), Backlog { unsent: 0, oldest_age_seconds: 0 });

    // The write counts, whatever becomes of its events.
    let outcome: Option<String> = unreachable.write(two_events()).await.unwrap();
    assert_eq!(outcome.as_deref(), Some("done"));
    assert_eq!(unreachable.backlog().await.unwrap().unsent, 2);
    let older =
        "UPDATE outbox SET created_at = now() - interval '90 seconds' WHERE event_type = 'SESSION_ENDED'";
    world.database.rows::<Value>(Statement::new(older)).await.unwrap();
    let backlog = unreachable.backlog().await.unwrap();
    assert!((90..=95).contains(&backlog.oldest_age_seconds), "{backlog:?}");

    // Half of them, then the rest, each once.
    *world.bus.refused.lock().unwrap() = "SESSION_ENDED";
    let relay = async |outbox: &Outbox| outbox.relay(0, 10, &OutboxPlace::default()).await.unwrap();
    let Relayed { found, published, next } = relay(&outbox).await;
    assert_eq!((found, published), (2, 1));
    let beyond = outbox.relay(0, 10, &next.unwrap()).await.unwrap();
    assert_eq!(beyond, Relayed { found: 0, published: 0, next: None });
    let unanswered = relay(&unreachable).await;
    assert_eq!(unanswered, Relayed { found: 1, published: 0, next: None });
    assert_eq!(outbox.backlog().await.unwrap().unsent, 1);
    *world.bus.refused.lock().unwrap() = "";
    assert_eq!(relay(&outbox).await.published, 1);
    assert_eq!(relay(&outbox).await, Relayed { found: 0, published: 0, next: None });
    assert_eq!(*world.bus.taken.lock().unwrap(), ["INVOICE_GENERATED", "SESSION_ENDED"]);

    // Published at once, the relay has nothing to do.
    outbox.write::<String>(two_events()).await.unwrap();
    assert_eq!(outbox.backlog().await.unwrap(), Backlog { unsent: 0, oldest_age_seconds: 0 });
}
