//! What clients say, and what is kept of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use live::{MOST_STATIONS, disconnect};
use serde_json::{Value, json};
use support::{World, message, wish};
use uuid::Uuid;

#[tokio::test]
async fn both_wishes_may_be_repeated() {
    let world = World::new().await;
    let [socket] = world.open("s", 1).await.try_into().unwrap();
    let station = Uuid::now_v7();
    let before = world.rows().await;
    for _ in 0..3 {
        let answer = world.subscribe(&socket, station).await;
        assert_eq!(answer, json!({"event": "subscribed", "data": {"stationId": station}}));
    }
    assert_eq!(world.rows().await.len(), before.len() + 1);
    for _ in 0..3 {
        let answer = world.told(&socket, &wish("unsubscribe_station", station)).await;
        assert_eq!(answer, json!({"event": "unsubscribed", "data": {"stationId": station}}));
    }
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn a_connection_has_fifty_stations_at_most_however_it_asks() {
    let world = World::new().await;
    let [socket, other] = world.open("s", 2).await.try_into().unwrap();
    let stations: Vec<_> = (0..MOST_STATIONS + 12).map(|_| Uuid::now_v7()).collect();
    let answers = join_all(stations.iter().map(|station| world.subscribe(&socket, *station))).await;
    let is_full = |answer: &&Value| answer["data"]["code"] == "LIMIT";
    assert_eq!(answers.iter().filter(is_full).count(), 12);
    let (refused, taken): (Vec<_>, Vec<_>) =
        stations.iter().zip(&answers).partition(|(_, answer)| is_full(answer));
    assert_eq!(refused[0].1["event"], "error");
    assert_eq!(refused[0].1["data"]["field"], Value::Null);
    let subscriptions = world.rows().await.into_iter().filter(|(pk, _)| pk.starts_with("station#")).count();
    assert_eq!(subscriptions, MOST_STATIONS);

    // What it has, it may ask for again; another has room of its own; and what is given up is room.
    assert_eq!(world.subscribe(&socket, *taken[0].0).await["event"], "subscribed");
    assert_eq!(world.subscribe(&other, *refused[0].0).await["event"], "subscribed");
    world.told(&socket, &wish("unsubscribe_station", *taken[0].0)).await;
    assert_eq!(world.subscribe(&socket, *refused[0].0).await["event"], "subscribed");
    assert_eq!(world.subscribe(&socket, *taken[0].0).await["data"]["code"], "LIMIT");

    // It goes with all that is its own and nothing of the other's.
    disconnect(&world.table(), &message(&socket, "")).await.unwrap();
    let rows = world.rows().await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.contains(&(format!("station#{}", refused[0].0), other.clone())));
}

#[tokio::test]
async fn anything_else_is_answered_with_what_is_wrong() {
    let world = World::new().await;
    let [socket] = world.open("s", 1).await.try_into().unwrap();
    let before = world.rows().await;
    for (text, field) in [
        ("", Value::Null),
        ("{", Value::Null),
        (r#"{"event": "ping", "data": {}}"#, json!("event")),
        (r#"{"event": "subscribe_station", "data": {"stationId": "'; DROP"}}"#, json!("data.stationId")),
    ] {
        let answer = world.told(&socket, text).await;
        assert_eq!(
            (&answer["event"], &answer["data"]["code"]),
            (&json!("error"), &json!("INVALID")),
            "{text}"
        );
        assert_eq!(answer["data"]["field"], field, "{answer}");
    }
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn a_socket_that_we_do_not_know_is_hung_up() {
    let world = World::new().await;
    for event in ["subscribe_station", "unsubscribe_station"] {
        world.gateway.open_socket("s=");
        let answer = world.say("s=", &wish(event, Uuid::now_v7())).await;
        assert_eq!((answer.status_code, answer.body), (410, None));
        assert!(!world.gateway.has("s="));
        // Closed by now, too.
        assert_eq!(world.say("s=", &wish(event, Uuid::now_v7())).await.status_code, 410);
    }
    assert!(world.rows().await.is_empty());
}
