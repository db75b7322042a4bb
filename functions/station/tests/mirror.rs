//! From OpenChargeMap to the app's answer: the three functions as real processes on real stores.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use redis::Commands;
use serde_json::{Value, json};
use support::World;

const REAL: i64 = 3834 + 684 - 5;
const AUSTIN: (f64, f64) = (30.2672, -97.7431);

fn around_austin(more: &Value) -> Value {
    let mut arguments = json!({ "latitude": AUSTIN.0, "longitude": AUSTIN.1 });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

async fn nearby(world: &World, more: Value) -> Value {
    world.query("nearby-stations", "nearbyStations", around_austin(&more)).await
}

async fn count(world: &World, sql: &str) -> i64 {
    world.sql.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_driver_finds_what_openchargemap_has_and_what_we_control() {
    let mut world = World::new().await;

    mirrors_everything_once(&world).await;
    let edges = finds_by_distance_in_pages(&world).await;
    refuses_what_makes_no_sense(&world).await;
    shows_one_as_the_search_did(&world, &edges[0]["node"]).await;
    judges_a_controlled_station_by_its_connectors(&mut world, edges[0]["node"]["id"].as_str().unwrap()).await;
    shows_a_site_of_many_connectors(&mut world, edges[2]["node"]["id"].as_str().unwrap()).await;
    leaves_out_what_was_delisted(&mut world, &edges[1]["node"]).await;
}

/// Everything once, told of by one event that fits its schema; the second time nothing is different.
async fn mirrors_everything_once(world: &World) {
    let report = world.invoke("sync-ocm", &json!({})).await;
    assert_eq!(
        report,
        json!({ "finished": true, "pages": report["pages"], "processed": REAL, "updated": REAL, "failed": 0 })
    );
    assert_eq!(count(world, "SELECT count(*) FROM stations").await, REAL);
    let connections =
        "SELECT count(*) FROM connections c JOIN stations s ON s.id = c.station_id WHERE s.ocm_id = 2399";
    assert_eq!(count(world, connections).await, 3);
    let events = world.published();
    let schema = include_str!("../../../events/schemas/OCM_SYNC_COMPLETED.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    assert_eq!(events.len(), 1);
    schema.validate(&events[0]).unwrap();
    assert_eq!((&events[0]["processed"], &events[0]["source"]), (&json!(REAL), &json!("ocm-sync-worker")));
    assert_eq!(count(world, "SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 0);

    let report = world.invoke("sync-ocm", &json!({ "full": true })).await;
    assert_eq!((&report["processed"], &report["updated"]), (&json!(REAL), &json!(0)));
    assert_eq!(count(world, "SELECT count(DISTINCT updated_at) FROM stations").await, 1);
}

/// From the stores and from the cache alike.
async fn finds_by_distance_in_pages(world: &World) -> Vec<Value> {
    let whole = nearby(world, json!({ "radiusKm": 5, "first": 100 })).await;
    let edges = whole["edges"].as_array().unwrap();
    assert!(edges.len() > 60, "{whole}");
    let distances: Vec<f64> = edges.iter().map(|edge| edge["distanceKm"].as_f64().unwrap()).collect();
    assert!(distances.is_sorted() && distances.iter().all(|km| *km <= 5.0));
    let mut paged = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = nearby(world, json!({ "radiusKm": 5, "first": 17, "after": after })).await;
        paged.extend(page["edges"].as_array().unwrap().clone());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false || paged.len() >= edges.len() {
            break;
        }
    }
    assert_eq!(&paged[..edges.len()], edges);
    let sample = include_str!("../../../events/nearby-stations.json");
    let sample = world.invoke("nearby-stations", &serde_json::from_str(sample).unwrap()).await;
    assert_eq!(sample["edges"].as_array().unwrap().len(), 10, "{sample}");
    edges.clone()
}

async fn refuses_what_makes_no_sense(world: &World) {
    let none = nearby(world, json!({ "status": "REMOVED" })).await;
    assert_eq!(none["edges"], json!([]));
    let bad = nearby(world, json!({ "radiusKm": 500 })).await;
    assert_eq!((&bad["errorType"], &bad["errorInfo"]["field"]), (&json!("Invalid"), &json!("radiusKm")));
    let bad = nearby(world, json!({ "after": "nonsense" })).await;
    assert_eq!((&bad["errorType"], &bad["errorInfo"]["field"]), (&json!("Invalid"), &json!("after")));
}

async fn shows_one_as_the_search_did(world: &World, node: &Value) {
    let get = json!({ "id": node["id"] });
    assert_eq!(world.query("get-station", "getStation", get.clone()).await, *node);
    assert_eq!((&node["controlled"], &node["connectors"][0]["status"]), (&json!(false), &json!("UNKNOWN")));
    assert!(node["attribution"].as_str().unwrap().contains("Open Charge Map"));
    let unknown = json!({ "id": "00000000-0000-4000-8000-00000000dead" });
    let unknown = world.query("get-station", "getStation", unknown).await;
    assert_eq!(unknown["errorType"], "NotFound");
    let bad = world.query("get-station", "getStation", json!({ "id": "1; DROP TABLE stations" })).await;
    assert_eq!((&bad["errorType"], &bad["errorInfo"]["field"]), (&json!("Invalid"), &json!("id")));
}

/// In searches, and live: what was reported last counts.
async fn judges_a_controlled_station_by_its_connectors(world: &mut World, station: &str) {
    let get = json!({ "id": station });
    world.sql.batch_execute(&format!(
        "INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
         VALUES ('00000000-0000-4000-8000-0000000000c1', 'CP-1', '{station}', '', now());
         INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, status, status_at, updated_at)
         VALUES ('00000000-0000-4000-8000-0000000000d1', '{station}', '00000000-0000-4000-8000-0000000000c1', 1,
                 'MCS', 1200, 'AVAILABLE', '2026-02-21T14:00:00Z', '2026-02-21T14:00:00Z');"
    )).await.unwrap();
    let _: i64 = world.redis.del(format!("station:{station}:detail")).unwrap();
    let megawatt = nearby(world, json!({ "connectorType": "mcs", "minPowerKW": 1000 })).await;
    assert_eq!(megawatt["edges"].as_array().unwrap().len(), 1, "{megawatt}");
    let connector = &megawatt["edges"][0]["node"]["connectors"][0];
    assert_eq!((&connector["connectorNumber"], &connector["status"]), (&json!("1"), &json!("AVAILABLE")));
    let live = format!("station:{station}:connectors:00000000-0000-4000-8000-0000000000d1");
    let report = [("status", "CHARGING"), ("updatedAt", "2026-02-21T14:05:00.000Z")];
    let _: () = world.redis.hset_multiple(&live, &report).unwrap();
    let shown = world.query("get-station", "getStation", get.clone()).await;
    assert_eq!((&shown["connectors"][0]["status"], &shown["controlled"]), (&json!("CHARGING"), &json!(true)));
    let report = [("status", "FAULTED"), ("updatedAt", "2026-02-21T13:59:00.000Z")];
    let _: () = world.redis.hset_multiple(&live, &report).unwrap();
    let shown = world.query("get-station", "getStation", get.clone()).await;
    assert_eq!(shown["connectors"][0]["status"], "AVAILABLE", "an older report does not count");
}

/// All of them, though they are more than one row of the Data API holds.
async fn shows_a_site_of_many_connectors(world: &mut World, station: &str) {
    let charger = "00000000-0000-4000-8000-0000000000c2";
    world
        .sql
        .batch_execute(&format!(
            "INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
             VALUES ('{charger}', 'CP-2', '{station}', '', now());
             INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
             SELECT gen_random_uuid(), '{station}', '{charger}', number, 'CCS (Type 2)', 50, now()
             FROM generate_series(1, 450) AS number"
        ))
        .await
        .unwrap();
    let _: i64 = world.redis.del(format!("station:{station}:detail")).unwrap();
    let shown = world.query("get-station", "getStation", json!({ "id": station })).await;
    let numbers: Vec<_> =
        shown["connectors"].as_array().unwrap().iter().map(|it| it["connectorNumber"].clone()).collect();
    assert_eq!(numbers, (1..=450).map(|number| json!(number.to_string())).collect::<Vec<_>>());
    let _: i64 = world.redis.del(format!("station:{station}:detail")).unwrap();
    let near = nearby(world, json!({ "radiusKm": 5, "first": 3, "minPowerKW": 50 })).await;
    assert!(near["edges"].as_array().is_some_and(|edges| !edges.is_empty()), "{near}");
}

/// With the next generation of lists.
async fn leaves_out_what_was_delisted(world: &mut World, gone: &Value) {
    let mut poi =
        tests::ocm_server::real_pois().unwrap().into_iter().rfind(|poi| poi["ID"] == gone["ocmId"]).unwrap();
    poi["SubmissionStatusTypeID"] = json!(1000);
    poi["SubmissionStatus"] = json!({ "ID": 1000, "Title": "Delisted", "IsLive": false });
    poi["DateLastStatusUpdate"] = json!(chrono::Utc::now().to_rfc3339());
    assert!(world.ocm.put(poi));
    let report = world.invoke("sync-ocm", &json!({})).await;
    assert_eq!((&report["finished"], &report["updated"]), (&json!(true), &json!(1)));
    let _: i64 = world.redis.incr("stations:generation", 1).unwrap();
    let page = nearby(world, json!({ "radiusKm": 5, "first": 2 })).await;
    assert_ne!(page["edges"][1]["node"]["id"], gone["id"]);
    let gone = world.query("get-station", "getStation", json!({ "id": gone["id"] })).await;
    assert_eq!(gone["status"], "REMOVED");
}
