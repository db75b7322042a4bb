//! What operators read: dead letters, the trail of a request, the audit log.

use events::{AuditLog, DeadLetter, EventTrail, ListDeadLetters, audit_log, dead_letters, event_trail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::{Caller, CorrelationId, Cursor, Failure, Page};
use uuid::Uuid;

use crate::world::{World, driver, operator};

fn read<A: DeserializeOwned>(arguments: Value) -> A {
    shared::read_fields(arguments).unwrap()
}

/// All pages of a list, by the arguments of its first.
async fn pages<N>(list: impl AsyncFn(Value) -> Result<Page<N>, Failure>, mut arguments: Value) -> Vec<N> {
    let mut nodes = Vec::new();
    loop {
        let page = list(arguments.clone()).await.unwrap();
        nodes.extend(page.edges.into_iter().map(|edge| edge.node));
        let Some(cursor) = page.page_info.end_cursor.filter(|_| page.page_info.has_next_page) else {
            return nodes;
        };
        arguments["after"] = json!(cursor);
    }
}

fn anonymous() -> Caller {
    Caller { user: None, ..operator() }
}

#[tokio::test]
async fn dead_letters_are_paged_newest_first_and_filtered() {
    let world = World::new().await;
    // Seven at three moments; every other one replayed.
    world
        .run(
            "INSERT INTO dead_letters (id, consumer, event_type, body, receive_count, sent_at, found_at, status)
             SELECT gen_random_uuid(), CASE WHEN n < 5 THEN 'bill-session' ELSE 'notify' END, 'T' || n % 2, n::text, 5,
                    now(), timestamptz '2026-02-21 12:00Z' + make_interval(secs => n / 3),
                    CASE WHEN n % 2 = 0 THEN 'OPEN' ELSE 'REPLAYED' END
             FROM generate_series(0, 6) AS n",
        )
        .await;
    let caller = operator();
    let list =
        async |arguments| dead_letters(&world.database, &caller, read::<ListDeadLetters>(arguments)).await;
    for first in [1, 2, 3, 100] {
        let found = pages(&list, json!({ "first": first })).await;
        assert_eq!(found.len(), 7);
        let order: Vec<_> = found.iter().map(|letter| (letter.found_at, letter.id)).collect();
        assert!(order.is_sorted_by(|one, next| one > next), "{order:?}");
    }
    let bodies = async |arguments| {
        let mut bodies: Vec<_> =
            pages(&list, arguments).await.into_iter().map(|letter: DeadLetter| letter.body).collect();
        bodies.sort();
        bodies.concat()
    };
    assert_eq!(bodies(json!({ "status": "OPEN", "first": 1 })).await, "0246");
    assert_eq!(bodies(json!({ "filter": { "consumer": "notify" } })).await, "56");
    assert_eq!(bodies(json!({ "filter": { "eventType": "T1", "consumer": "bill-session" } })).await, "13");
    let (from, to) = ("2026-02-21T12:00:01Z", "2026-02-21T12:00:02Z");
    assert_eq!(bodies(json!({ "filter": { "from": from, "to": to } })).await, "345");

    for (caller, expected) in [(driver(), "Forbidden"), (anonymous(), "Unauthenticated")] {
        let failure = dead_letters(&world.database, &caller, read(json!({}))).await.unwrap_err();
        assert_eq!(failure.error_type(), expected);
    }
    let arguments = json!({ "after": Cursor::of(&"another list's").unwrap() });
    assert_eq!(list(arguments).await.unwrap_err().error_type(), "Invalid");
}

#[tokio::test]
async fn a_page_of_the_longest_bodies_fits_into_an_answer() {
    let world = World::new().await;
    // The longest that is shown whole, and bodies of which every byte becomes six of JSON.
    world
        .run(
            "INSERT INTO dead_letters (id, consumer, body, receive_count, sent_at, found_at)
             SELECT gen_random_uuid(), 'notify',
                    CASE WHEN n < 60 THEN repeat('x', 7998) ELSE repeat(E'\\x01', 200000) END, 5, now(), timestamptz '2026-02-21 12:00Z'
             FROM generate_series(0, 120) AS n",
        )
        .await;
    let caller = operator();
    let list =
        async |arguments| dead_letters(&world.database, &caller, read::<ListDeadLetters>(arguments)).await;
    let found = pages(&list, json!({ "first": 100 })).await;
    assert_eq!(found.len(), 121);
    assert_eq!(found.iter().filter(|letter| letter.body.len() == 7998).count(), 60);
    assert_eq!(found.iter().filter(|letter| letter.body.ends_with("\u{1}…")).count(), 61);
}

#[tokio::test]
async fn a_trail_is_the_events_of_one_request_in_their_order() {
    let world = World::new().await;
    let (request, other) = (CorrelationId::new(), CorrelationId::new());
    let emitted = |name: &str, correlation: CorrelationId, fields: &str| {
        format!("emit('{name}', 1, 'test', '{correlation}', '2026-02-21T12:00:00.5Z', {fields})")
    };
    // Five of one statement, and so of one moment.
    let one: Vec<_> = (0..5).map(|n| emitted(&format!("E{n}"), request, "'{\"n\": 1}'")).collect();
    world.run(&format!("SELECT {}", one.join(", "))).await;
    world.run(&format!("SELECT {}", emitted("OTHER", other, "'{}'"))).await;
    let long = "jsonb_build_object('text', repeat('\"', 70000))";
    world.run(&format!("SELECT {}", emitted("E5", request, long))).await;
    world.run("UPDATE outbox SET published_at = '2026-02-21T12:00:01Z' WHERE event_type = 'E0'").await;

    let caller = operator();
    let list = async |arguments| event_trail(&world.database, &caller, read::<EventTrail>(arguments)).await;
    for first in [1, 2, 100] {
        let found = pages(&list, json!({ "correlationId": request, "first": first })).await;
        let types: Vec<_> = found.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["E0", "E1", "E2", "E3", "E4", "E5"]);
        let published: Vec<_> = found.iter().map(|event| event.published_at.is_some()).collect();
        assert_eq!(published, [true, false, false, false, false, false]);
        let payload: Value = serde_json::from_str(&found[0].payload).unwrap();
        assert_eq!((&payload["n"], &payload["eventType"]), (&json!(1), &json!("E0")));
        let omitted: Value = serde_json::from_str(&found[5].payload).unwrap();
        assert_eq!((&omitted["omitted"], &omitted["eventType"]), (&json!(true), &json!("E5")));
    }
    let shown = serde_json::to_value(list(json!({ "correlationId": request })).await.unwrap()).unwrap();
    assert_eq!(shown["edges"][0]["node"]["timestamp"], "2026-02-21T12:00:00.500Z");
    assert!(shown["edges"][0]["node"].get("position").is_none());
    assert!(pages(&list, json!({ "correlationId": Uuid::new_v4() })).await.is_empty());

    for (caller, expected) in [(driver(), "Forbidden"), (anonymous(), "Unauthenticated")] {
        let arguments = read(json!({ "correlationId": request }));
        assert_eq!(
            event_trail(&world.database, &caller, arguments).await.unwrap_err().error_type(),
            expected
        );
    }
}

#[tokio::test]
async fn the_audit_log_is_read_newest_first_by_subject_and_actor() {
    let world = World::new().await;
    let (ada, bob) = (Uuid::new_v4(), Uuid::new_v4());
    world
        .run(&format!(
            "INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
             SELECT now(), CASE n % 3 WHEN 0 THEN '{ada}'::uuid WHEN 1 THEN '{bob}'::uuid END, 'A' || n,
                    CASE WHEN n < 4 THEN 'one' ELSE 'two' END, NULL, gen_random_uuid()
             FROM generate_series(0, 8) AS n"
        ))
        .await;
    let caller = operator();
    let list = async |arguments| audit_log(&world.database, &caller, read::<AuditLog>(arguments)).await;
    let actions = async |arguments| {
        let actions: Vec<_> = pages(&list, arguments).await.into_iter().map(|entry| entry.action).collect();
        actions.join(" ")
    };
    assert_eq!(actions(json!({ "first": 2 })).await, "A8 A7 A6 A5 A4 A3 A2 A1 A0");
    assert_eq!(actions(json!({ "subject": "one", "first": 1 })).await, "A3 A2 A1 A0");
    assert_eq!(actions(json!({ "actorId": ada })).await, "A6 A3 A0");
    assert_eq!(actions(json!({ "actorId": bob, "subject": "two" })).await, "A7 A4");
    assert_eq!(actions(json!({ "subject": "three" })).await, "");

    for (caller, expected) in [(driver(), "Forbidden"), (anonymous(), "Unauthenticated")] {
        let failure = audit_log(&world.database, &caller, read(json!({}))).await.unwrap_err();
        assert_eq!(failure.error_type(), expected);
    }
}
