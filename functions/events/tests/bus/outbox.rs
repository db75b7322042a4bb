//! The outbox, killed at every step between a write and its mark.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{Outbox, OutboxPlace, Statement};

use crate::aws::{Aws, events_at};
use crate::fuse::{Blow, Fuse};
use crate::world::{World, database_at};

/// Three events and their state, in one statement.
fn write(key: i64) -> Statement {
    let statement = Statement::new(
        "WITH made AS (INSERT INTO things (key) VALUES (:key::bigint) ON CONFLICT DO NOTHING RETURNING key)
         SELECT jsonb_build_object('outcome', count(*), 'events', jsonb_agg(
             emit(:event_type::text, 1, 'test', gen_random_uuid(), now(), jsonb_build_object('key', key, 'part', part))
         )) FROM made, generate_series(1, 3) AS part",
    );
    statement.bind("key", key).bind("event_type", "THING")
}

#[tokio::test]
async fn a_write_killed_at_any_step_loses_and_invents_no_event() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    let heard = aws.bus("bus").await;
    world.run("CREATE TABLE things (key bigint PRIMARY KEY)").await;

    // Statement, publish, mark: six places to die at, and one run that lives; who dies tries again.
    let (mut key, mut killed) = (0, 0);
    for _ in 0..5 {
        for call in 0..4 {
            for blow in [Blow::Before, Blow::After] {
                key += 1;
                let fuse = Fuse::at(call, blow);
                let (door, bus) = tokio::join!(fuse.door(&world.door_url), fuse.door(&aws.url));
                let outbox = Outbox::new(database_at(&door), events_at(&bus), "bus");
                if fuse.watch(outbox.write::<i64>(write(key))).await.is_none() {
                    killed += 1;
                    // What came of it nobody knows; every other one is asked for again, and has one effect.
                    if key % 2 == 0 {
                        world.outbox(&aws.url).write::<i64>(write(key)).await.unwrap();
                    }
                }
            }
        }
    }
    assert_eq!(killed, 5 * 6);

    // The relay dies at each of its own steps, too: read, publish, mark.
    for call in 0..3 {
        for blow in [Blow::Before, Blow::After] {
            let fuse = Fuse::at(call, blow);
            let (door, bus) = tokio::join!(fuse.door(&world.door_url), fuse.door(&aws.url));
            let outbox = Outbox::new(database_at(&door), events_at(&bus), "bus");
            assert!(fuse.watch(outbox.relay(0, 4, &OutboxPlace::default())).await.is_none());
        }
    }
    let outbox = world.outbox(&aws.url);
    while outbox.relay(0, 100, &OutboxPlace::default()).await.unwrap().found > 0 {}

    let ids = |events: Vec<Value>| -> BTreeSet<String> {
        events.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let written = ids(world.all("SELECT event_id FROM outbox").await);
    let events = aws.heard(&heard).await;
    let told = ids(events.iter().map(|event| event["eventId"].clone()).collect());
    assert_eq!(told, written, "nothing lost, nothing invented");
    assert!(events.len() > told.len(), "some of it twice: that is the price");

    // Each thing told of in three parts, and none that there is not.
    let parts = "SELECT jsonb_build_array(key, count(DISTINCT payload->>'part')) FROM things
                 LEFT JOIN outbox ON payload->'key' = to_jsonb(key) GROUP BY key";
    let things = world.all(parts).await;
    assert!(things.iter().all(|thing| thing[1] == json!(3)), "{things:?}");
    let strangers = "SELECT count(*) FROM outbox WHERE NOT EXISTS (SELECT FROM things WHERE to_jsonb(key) = payload->'key')";
    assert_eq!(world.one(strangers).await, json!(0));
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, json!(0));
}
