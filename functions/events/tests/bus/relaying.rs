//! `relay-outbox` and what the bus refuses: it stays, and keeps nothing else back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use events::{RelayReport, relay};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::world::{World, invocation};

type Requests = Arc<Mutex<Vec<Vec<Value>>>>;

/// A bus as strict as AWS's in front of one that is not: 256 KB a request, or none of it is taken. Keeps the events of
/// each request, taken or not.
async fn strict(upstream: &str) -> (String, Requests) {
    let requests = Requests::default();
    let (keep, upstream, client) = (Arc::clone(&requests), upstream.to_owned(), reqwest::Client::new());
    let pass = move |headers: HeaderMap, body: Bytes| async move {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let entries = request["Entries"].as_array().unwrap();
        let fields =
            entries.iter().flat_map(|entry| ["Source", "DetailType", "Detail"].map(|field| &entry[field]));
        let size: usize = fields.map(|field| field.as_str().unwrap().len()).sum();
        let detail = |entry: &Value| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        keep.lock().unwrap().push(entries.iter().map(detail).collect());
        if size >= 256_000 {
            let message = "Total size of the entries in the request is over the limit.";
            let refusal = json!({ "__type": "ValidationException", "message": message }).to_string();
            return (StatusCode::BAD_REQUEST, refusal).into_response();
        }
        let mut passed = client.post(upstream).body(body);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
            passed = passed.header(name, value);
        }
        let answer = passed.send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap()).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    (url, requests)
}

/// Events of that type and source, each with its number and with that many of `character`, a minute ago.
fn events(event_type: &str, source: &str, count: usize, character: char, length: usize) -> String {
    format!(
        "WITH made AS (
             SELECT emit('{event_type}', 1, '{source}', gen_random_uuid(), now(),
                 jsonb_build_object('number', number, 'text', repeat('{character}', {length})))
             FROM generate_series(1, {count}) AS number
         ) SELECT count(*) FROM made;
         UPDATE outbox SET created_at = now() - interval '1 minute' WHERE created_at > now() - interval '1 minute'"
    )
}

const UNSENT: &str = "SELECT jsonb_object_agg(event_type, count) FROM
    (SELECT event_type, count(*) FROM outbox WHERE published_at IS NULL GROUP BY 1) AS counts";

#[tokio::test]
async fn refused_events_starve_no_newer_ones() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    let heard = aws.bus("bus").await;
    let outbox = world.outbox(&aws.url);

    // Nobody may use a source of AWS's: two rounds of what the bus never takes, older than the rest.
    world.run(&events("REFUSED", "aws.test", 210, 'x', 1)).await;
    world.run(&events("FINE", "test", 30, 'x', 1)).await;
    let failure = relay(&outbox, invocation()).await.unwrap_err();
    assert!(failure.causes().contains("210 stay unpublished, 30 were relayed"), "{}", failure.causes());
    assert_eq!(world.one(UNSENT).await, json!({ "REFUSED": 210 }));
    assert_eq!(aws.heard(&heard).await.len(), 30);

    // Fewer than a round has fail no run that goes on past them.
    world.run("DELETE FROM outbox WHERE position > 10").await;
    world.run(&events("FINE", "test", 100, 'x', 1)).await;
    assert_eq!(relay(&outbox, invocation()).await.unwrap(), RelayReport { relayed: 100 });
    assert_eq!(world.one(UNSENT).await, json!({ "REFUSED": 10 }));
    assert_eq!(aws.heard(&heard).await.len(), 100);

    // Once nothing else is due, they alone fail it again.
    assert!(relay(&outbox, invocation()).await.is_err());
}

#[tokio::test]
async fn a_large_event_is_refused_alone_and_none_is_too_large_for_a_read() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    let heard = aws.bus("bus").await;
    let (strict, requests) = strict(&aws.url).await;
    let outbox = world.outbox(&strict);

    // More than an answer of the database's door may have, and events larger than its rows; some that the bus
    // refuses, some that nobody can even read, each between others.
    for (event_type, count, character, length) in [
        ("SMALL", 7, 'x', 10),
        ("REFUSED", 2, 'x', 300_000),
        ("LONG", 5, '€', 40_000),
        ("UNREADABLE", 1, 'x', 2_000_000),
        ("MIDDLE", 60, '"', 15_000),
        ("LARGE", 2, 'x', 250_000),
        ("SMALL", 40, 'x', 10),
    ] {
        world.run(&events(event_type, "test", count, character, length)).await;
    }
    assert_eq!(relay_past_refusals(&outbox).await, 7 + 5 + 60 + 2 + 40);
    assert_eq!(world.one(UNSENT).await, json!({ "REFUSED": 2, "UNREADABLE": 1 }));

    // Each once, and as it was written.
    let written = "SELECT jsonb_build_array(event_id, md5(payload->>'text')) FROM outbox
                   WHERE published_at IS NOT NULL ORDER BY position";
    let told = aws.heard(&heard).await;
    assert_eq!(told.len(), 114);
    let mut taken: Vec<Vec<Value>> = requests.lock().unwrap().clone();
    taken.retain(|request| {
        let refused = request.iter().any(|event| event["eventType"] == "REFUSED");
        assert!(!refused || request.len() == 1, "refused alone");
        !refused
    });
    let sent: Vec<&Value> = taken.iter().flatten().map(|event| &event["eventId"]).collect();
    let written: Vec<Value> = world.all(written).await;
    assert_eq!(sent, written.iter().map(|row| &row[0]).collect::<Vec<_>>(), "in order");
    for event in &told {
        let (text, length) = match event["eventType"].as_str().unwrap() {
            "LONG" => ("€", 40_000),
            "MIDDLE" => ("\"", 15_000),
            "LARGE" => ("x", 250_000),
            _ => ("x", 10),
        };
        assert!(event["text"].as_str().unwrap() == text.repeat(length), "{}", event["eventType"]);
    }
    // Small ones still go ten at a time.
    assert!(taken.iter().filter(|request| request.len() == 10).count() >= 3 && taken.len() < 40);
}

/// How many a run relayed that may have failed for what was refused.
async fn relay_past_refusals(outbox: &shared::Outbox) -> usize {
    match relay(outbox, invocation()).await {
        Ok(report) => report.relayed,
        Err(failure) => {
            let causes = failure.causes();
            let relayed = causes.split(", ").nth(1).and_then(|rest| rest.split(' ').next());
            relayed.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{causes}"))
        }
    }
}
