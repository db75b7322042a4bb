//! Stations as `/v1` tells them, and what becomes of searches when a store is gone: real processes on real stores.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../rest/tests/told/mod.rs"]
mod contract;
mod support;

use std::time::{Duration, Instant};

use redis::Commands;
use scratch::until;
use serde_json::{Value, json};
use support::{Answer, World};
use tests::ocm_server::Catalogue;

const AUSTIN: &str = "latitude=30.2672&longitude=-97.7431&radiusKm=5";
/// Where no test has looked before.
const ELSEWHERE: &str = "latitude=30.3072&longitude=-97.7431&radiusKm=5";

async fn world() -> World {
    let world = World::beside(Catalogue::austin().unwrap()).await;
    assert_eq!(world.invoke("sync-ocm", &json!({})).await["finished"], true);
    world
}

async fn list(world: &World, query: &str) -> Answer {
    world.rest("rest-list-stations", &json!({}), query).await
}

async fn get(world: &World, id: &Value) -> Answer {
    world.rest("rest-get-station", &json!({ "id": id }), "").await
}

async fn nearby(world: &World, latitude: f64) -> Value {
    let arguments = json!({ "latitude": latitude, "longitude": -97.7431, "radiusKm": 5, "first": 100 });
    world.query("nearby-stations", "nearbyStations", arguments).await
}

/// The answer's data or error, if it has that status and is as the contract says.
fn told(path: &str, answer: Answer, status: u64) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    let schema = contract::schema(&format!("GET {path}"), u16::try_from(status).unwrap());
    assert!(schema.is_valid(&answer.body), "{:?}: {}", schema.validate(&answer.body), answer.body);
    let Value::Object(mut body) = answer.body else { unreachable!() };
    body.remove(if status == 200 { "data" } else { "error" }).unwrap()
}

fn listed(answer: Answer) -> Value {
    told("/v1/stations", answer, 200)
}

#[tokio::test]
async fn a_web_client_finds_stations_and_looks_at_one() {
    let mut world = world().await;
    let all = listed(list(&world, &format!("{AUSTIN}&limit=100")).await);
    let stations = all["stations"].as_array().unwrap();
    assert!(stations.len() > 60, "{all}");
    let graphql = nearby(&world, 30.2672).await;
    for (station, edge) in stations.iter().zip(graphql["edges"].as_array().unwrap()) {
        assert_eq!((&station["id"], &station["distanceKm"]), (&edge["node"]["id"], &edge["distanceKm"]));
    }
    pages_are_the_list(&world, stations).await;
    refuses_what_makes_no_sense(&world).await;
    let mut first = stations[0].clone();
    first.as_object_mut().unwrap().remove("distanceKm");
    assert_eq!(told("/v1/stations/{id}", get(&world, &first["id"]).await, 200), first);
    tells_a_vendors_connectors(&mut world, &first["id"]).await;
}

async fn pages_are_the_list(world: &World, stations: &[Value]) {
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = listed(list(world, &format!("{AUSTIN}&limit=17{cursor}")).await);
        paged.extend(page["stations"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged[..stations.len().min(paged.len())], *stations);
}

async fn refuses_what_makes_no_sense(world: &World) {
    for (query, field) in [
        ("latitude=30.2672", "longitude"),
        ("latitude=91&longitude=0", "latitude"),
        ("latitude=0&longitude=0&radiusKm=500", "radiusKm"),
        ("latitude=0&longitude=0&limit=0", "limit"),
        ("latitude=0&longitude=0&cursor=nonsense", "cursor"),
        ("latitude=0&longitude=0&status=FREE", "status"),
        ("latitude=0&longitude=0&latitude=1", "latitude"),
        ("latitude=0&longitude=0&near=me", "near"),
    ] {
        let error = told("/v1/stations", list(world, query).await, 400);
        assert_eq!((&error["code"], &error["field"]), (&json!("INVALID"), &json!(field)), "{query}");
    }
    let bad = told("/v1/stations/{id}", get(world, &json!("1; DROP TABLE stations")).await, 400);
    assert_eq!(bad["message"], "id: must be a UUID");
    let unknown = get(world, &json!("00000000-0000-4000-8000-00000000dead")).await;
    assert_eq!(told("/v1/stations/{id}", unknown, 404)["code"], "NOT_FOUND");
    for token in [None, Some("Bearer a.b.c")] {
        let stranger = world.rest_as(token, "rest-list-stations", &json!({}), AUSTIN).await;
        assert!(stranger.headers["www-authenticate"].as_str().unwrap().starts_with("Bearer"));
        assert_eq!(told("/v1/stations", stranger, 401)["code"], "UNAUTHENTICATED");
    }
}

/// Beside a mirrored station's own, in the words of `/v1`, and live.
async fn tells_a_vendors_connectors(world: &mut World, station: &Value) {
    let station = station.as_str().unwrap();
    let [vendor, connector] =
        ["00000000-0000-4000-8000-0000000000e1", "00000000-0000-4000-8000-0000000000f1"];
    world
        .sql
        .batch_execute(&format!(
            "INSERT INTO vendors (id, name, name_folded, created_at) VALUES ('{vendor}', 'Net', 'net', now());
             INSERT INTO connectors (id, station_id, vendor_id, vendor_connector_id, connector_number, connector_type,
                                     power_kw, status, status_at, updated_at)
             VALUES ('{connector}', '{station}', '{vendor}', 'vendor_123', 1, 'CCS (Type 2)', 150, 'CHARGING',
                     '2026-02-21T14:00:00Z', '2026-02-21T14:00:00Z')"
        ))
        .await
        .unwrap();
    let _: i64 = world.redis.del(format!("station:{station}:detail")).unwrap();
    let shown = told("/v1/stations/{id}", get(world, &json!(station)).await, 200);
    assert_eq!(
        shown["connectors"],
        json!([{
            "id": connector, "connectorNumber": "1", "connectorType": "CCS (Type 2)", "powerKw": 150.0,
            "status": "OCCUPIED", "updatedAt": "2026-02-21T14:00:00Z",
        }])
    );
    let report = [("status", "UNAVAILABLE"), ("updatedAt", "2026-02-21T14:05:00.000Z")];
    let _: () =
        world.redis.hset_multiple(format!("station:{station}:connectors:{connector}"), &report).unwrap();
    let shown = told("/v1/stations/{id}", get(world, &json!(station)).await, 200);
    assert_eq!(shown["connectors"][0]["status"], "MAINTENANCE");
    let graphql = world.query("get-station", "getStation", json!({ "id": station })).await;
    let connector = &graphql["connectors"][0];
    assert_eq!((&connector["status"], &graphql["controlled"]), (&json!("UNAVAILABLE"), &json!(false)));
}

#[tokio::test]
async fn the_last_list_is_told_with_its_age_while_the_mirror_is_gone() {
    let mut world = world().await;
    let fresh = nearby(&world, 30.2672).await;
    let as_of = moment(&fresh["asOf"]);
    assert!((chrono::Utc::now() - as_of).num_seconds() < 60, "{as_of}");

    world.mongo_server.stop();
    // Still cached: nobody notices.
    let cached = list(&world, AUSTIN).await;
    assert_eq!(cached.headers.get("age"), None);
    listed(cached);
    // A list of five minutes ago is no longer one; the last is of an hour ago.
    let _: i64 = world.redis.incr("stations:generation", 1).unwrap();
    grow_older(&mut world, 3600);
    let last = list(&world, AUSTIN).await;
    let age: i64 = last.headers["age"].as_str().unwrap().parse().unwrap();
    assert!((3600..3900).contains(&age), "{age}");
    assert_eq!(listed(last)["stations"][0]["id"], fresh["edges"][0]["node"]["id"]);
    let stale = nearby(&world, 30.2672).await;
    assert_eq!(stale["edges"], fresh["edges"]);
    assert_eq!((as_of - moment(&stale["asOf"])).num_seconds(), 3600);
    // Who has moved finds it as well, and needs not wait for the mirror.
    let asked = Instant::now();
    let moved = nearby(&world, 30.268).await;
    assert_eq!(moved["asOf"], stale["asOf"]);
    assert_ne!(moved["edges"][0]["distanceKm"], stale["edges"][0]["distanceKm"]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // Where nobody has looked, nothing is known.
    let unknown = list(&world, ELSEWHERE).await;
    assert!(unknown.headers["retry-after"].as_str().unwrap().parse::<u32>().is_ok());
    assert_eq!(told("/v1/stations", unknown, 503)["code"], "UNAVAILABLE");
    assert_eq!(nearby(&world, 30.3072).await["errorType"], "Unavailable");

    world.mongo_server.start().await;
    let back = until("the mirror to be asked again", async || {
        let answer = list(&world, ELSEWHERE).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(back.headers.get("age"), None);
    assert!(!listed(back)["stations"].as_array().unwrap().is_empty());
    let again = until("the mirror to be asked again", async || {
        let page = nearby(&world, 30.2672).await;
        (page["asOf"] != stale["asOf"]).then_some(page)
    })
    .await;
    assert!(moment(&again["asOf"]) > as_of);
    assert_eq!(again["edges"], fresh["edges"]);
}

#[tokio::test]
async fn a_mirror_that_hangs_costs_one_search_its_patience_and_no_other() {
    let mut world = world().await;
    let fresh = nearby(&world, 30.2672).await;
    let _: i64 = world.redis.incr("stations:generation", 1).unwrap();

    world.mongo_server.put_to_sleep();
    let asked = Instant::now();
    let waited = nearby(&world, 30.2672).await;
    assert_eq!((&waited["asOf"], &waited["edges"]), (&fresh["asOf"], &fresh["edges"]));
    // The function has ten seconds.
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
    let asked = Instant::now();
    assert_eq!(nearby(&world, 30.2672).await["asOf"], fresh["asOf"]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    world.mongo_server.wake();
    until("the mirror to be asked again", async || {
        (nearby(&world, 30.2672).await["asOf"] != fresh["asOf"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_everything_is_told_from_the_stores_and_remembered_again_after() {
    let mut world = world().await;
    let fresh = listed(list(&world, AUSTIN).await);
    let id = &fresh["stations"][0]["id"];
    let shown = told("/v1/stations/{id}", get(&world, id).await, 200);

    world.redis_server.stop();
    assert_eq!(listed(list(&world, AUSTIN).await), fresh);
    assert_eq!(told("/v1/stations/{id}", get(&world, id).await, 200), shown);

    world.redis_server.start().await;
    let client = redis::Client::open(world.redis_url()).unwrap();
    world.redis = client.get_connection().unwrap();
    until("the station to be remembered", async || {
        told("/v1/stations/{id}", get(&world, id).await, 200);
        let mut redis = client.get_connection().unwrap();
        redis.exists::<_, bool>(format!("station:{}:detail", id.as_str().unwrap())).unwrap().then_some(())
    })
    .await;
}

/// Makes the last lists that many seconds older.
fn grow_older(world: &mut World, seconds: i64) {
    let keys: Vec<String> = world.redis.keys("stations:last:*").unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    for key in keys {
        let lifetime: i64 = world.redis.ttl(&key).unwrap();
        assert!((80_000..=86_400).contains(&lifetime), "{lifetime}");
        let text: String = world.redis.get(&key).unwrap();
        let mut kept: Value = serde_json::from_str(&text).unwrap();
        kept["asOf"] = json!(moment(&kept["asOf"]) - chrono::TimeDelta::seconds(seconds));
        let _: () = world.redis.set(&key, kept.to_string()).unwrap();
    }
}

fn moment(value: &Value) -> shared::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}
