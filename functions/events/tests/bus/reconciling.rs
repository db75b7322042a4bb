//! `reconcile-dlq`.

use aws_sdk_sqs::Client;
use chrono::{TimeDelta, Utc};
use events::{DeadLetterQueues, QueuePair, ReconcileReport, reconcile};
use serde_json::{Value, json};
use shared::{CorrelationId, Failure, Invocation, Outbox};
use uuid::Uuid;

use crate::aws::{Aws, events_at, sqs_at};
use crate::fuse::{Blow, Fuse};
use crate::world::{World, database_at, invocation};

/// `{consumer: {deadLetters, source}}` of queues that did not exist yet.
pub(crate) async fn queues(aws: &Aws, consumers: &[&str]) -> DeadLetterQueues {
    let mut queues = DeadLetterQueues(std::collections::BTreeMap::new());
    for consumer in consumers {
        let (dead_letters, source) =
            (aws.queue(&format!("{consumer}-dead")).await, aws.queue(consumer).await);
        queues.0.insert((*consumer).to_owned(), QueuePair { dead_letters, source });
    }
    queues
}

/// A `SESSION_ENDED` as EventBridge puts it into a queue.
pub(crate) fn session_ended(session: Uuid, correlation: CorrelationId) -> String {
    json!({
        "version": "0", "detail-type": "SESSION_ENDED", "source": "session-service",
        "detail": {
            "eventId": Uuid::new_v4(), "eventType": "SESSION_ENDED", "version": 1,
            "timestamp": "2026-02-21T14:31:02.345Z", "source": "session-service", "correlationId": correlation,
            "sessionId": session, "userId": Uuid::new_v4(), "stationId": Uuid::new_v4(), "status": "COMPLETED",
            "energyKwh": 22.4, "endedAt": "2026-02-21T14:31:00.000Z", "durationMinutes": 58,
        },
    })
    .to_string()
}

fn schema(event_type: &str) -> jsonschema::Validator {
    let path = format!("{}/../../events/schemas/{event_type}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[tokio::test]
async fn a_dead_letter_is_kept_with_its_audit_row_and_told_of_and_gone_from_its_queue() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    let heard = aws.bus("bus").await;
    let queues = queues(&aws, &["bill-session", "refresh-cache"]).await;
    let [bill, refresh] = ["bill-session", "refresh-cache"].map(|name| queues.0[name].clone());

    // One that its consumer could not take three times, and that the queue then put aside by itself.
    let (session, correlation) = (Uuid::new_v4(), CorrelationId::new());
    aws.redrive(&bill.source, &bill.dead_letters, 3).await;
    aws.send(&bill.source, &session_ended(session, correlation)).await;
    for _ in 0..=3 {
        aws.sqs.receive_message().queue_url(&bill.source).send().await.unwrap();
    }
    // And some that are not what the consumer was meant to get, one of them long.
    let long =
        format!("{{\"detail\": {{\"eventType\": \"LONG\", \"text\": \"{}\"}}}}", "\\\"ü€".repeat(35_000));
    let odd =
        ["no JSON at all <&>\t\"", "[]", r#"{"detail":{"eventType":"SESSION_ENDED","sessionId":7}}"#, &long];
    for body in odd {
        aws.send(&bill.dead_letters, body).await;
    }
    let elsewhere = session_ended(Uuid::new_v4(), CorrelationId::new());
    aws.send(&refresh.dead_letters, &elsewhere).await;

    let outbox = world.outbox(&aws.url);
    let report = reconcile(&outbox, &aws.sqs, &queues, invocation()).await.unwrap();
    let kept = [("bill-session".to_owned(), 5), ("refresh-cache".to_owned(), 1)].into();
    assert_eq!(report, ReconcileReport { kept, compensated: 1, finished: true });

    // All of each body, and what it says of itself.
    let bodies = world.all("SELECT body FROM dead_letters").await;
    for body in odd.into_iter().chain([elsewhere.as_str()]) {
        assert!(bodies.contains(&json!(body)), "{}", &body[..20]);
    }
    let letter = world
        .one("SELECT to_jsonb(d) FROM dead_letters d WHERE consumer = 'bill-session' AND event_type = 'SESSION_ENDED' AND event_id IS NOT NULL")
        .await;
    assert_eq!(
        (&letter["correlation_id"], &letter["receive_count"], &letter["status"]),
        (&json!(correlation), &json!(3), &json!("OPEN"))
    );
    let sent_at = world.one("SELECT bool_and(sent_at BETWEEN found_at - interval '1 minute' AND found_at + interval '1 s') FROM dead_letters").await;
    assert_eq!(sent_at, json!(true));
    assert_eq!(world.one("SELECT count(*) FROM dead_letters WHERE event_type IS NULL").await, json!(2));

    // An audit row each, by nobody, under the request that the event stems from.
    let audited = world.all("SELECT subject FROM audit_log WHERE action = 'DEAD_LETTER_FOUND' AND actor_id IS NULL ORDER BY 1").await;
    let letters = world.all("SELECT id::text FROM dead_letters ORDER BY 1").await;
    assert_eq!(audited, letters);
    let row = format!(
        "SELECT correlation_id FROM audit_log WHERE subject = {}",
        letter["id"].to_string().replace('"', "'")
    );
    assert_eq!(world.one(&row).await, json!(correlation));

    // The compensating event, on the bus, as its schema says.
    let events = aws.heard(&heard).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    schema("SESSION_BILLING_FAILED").validate(event).unwrap();
    assert_eq!(
        (&event["eventType"], &event["sessionId"], &event["correlationId"], &event["deadLetterId"]),
        (&json!("SESSION_BILLING_FAILED"), &json!(session), &json!(correlation), &letter["id"])
    );
    assert_eq!(event["failedEventId"], letter["event_id"]);

    for queue in [&bill.dead_letters, &refresh.dead_letters, &bill.source] {
        assert_eq!(aws.count(queue).await, 0);
    }
    let report = reconcile(&outbox, &aws.sqs, &queues, invocation()).await.unwrap();
    assert_eq!(report, ReconcileReport { finished: true, ..ReconcileReport::default() });
}

#[tokio::test]
async fn a_run_killed_at_any_call_loses_and_doubles_nothing() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    aws.bus("bus").await;
    let queues = queues(&aws, &["bill-session"]).await;
    let dead = queues.0["bill-session"].dead_letters.clone();

    let (mut sent, mut killed) = (0, 0);
    for blow in [Blow::Before, Blow::After] {
        for call in 0.. {
            for _ in 0..2 {
                aws.send(&dead, &session_ended(Uuid::new_v4(), CorrelationId::new())).await;
                sent += 1;
            }
            let fuse = Fuse::at(call, blow);
            let (door, aws_door) = tokio::join!(fuse.door(&world.door_url), fuse.door(&aws.url));
            let outbox = Outbox::new(database_at(&door), events_at(&aws_door), "bus");
            let sqs = sqs_at(&aws_door);
            match fuse.watch(reconcile(&outbox, &sqs, &queues, invocation())).await {
                None => killed += 1,
                Some(report) => {
                    assert!(report.unwrap().finished);
                    break;
                }
            }
        }
    }
    // Each call was a place to die at: receive, keep and publish and mark of each letter, delete, receive once more.
    assert!(killed >= 2 * 8, "{killed}");

    assert_eq!(aws.count(&dead).await, 0);
    for (what, sql) in [
        ("letters", "SELECT count(*) FROM dead_letters"),
        ("bodies", "SELECT count(DISTINCT body) FROM dead_letters"),
        ("audit rows", "SELECT count(DISTINCT subject) FROM audit_log"),
        ("audit rows in all", "SELECT count(*) FROM audit_log"),
        ("events", "SELECT count(DISTINCT payload->>'deadLetterId') FROM outbox"),
        ("events in all", "SELECT count(*) FROM outbox"),
    ] {
        assert_eq!(world.one(sql).await, json!(sent), "{what}");
    }
    // What was written and not published is the relay's.
    let outbox = world.outbox(&aws.url);
    outbox.relay(0, 1000, &shared::OutboxPlace::default()).await.unwrap();
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, json!(0));
}

#[tokio::test]
async fn what_cannot_be_dealt_with_fails_the_run_after_all_else_is_done() {
    let (world, aws) = tokio::join!(World::new(), Aws::start());
    aws.bus("bus").await;
    let mut queues = queues(&aws, &["bill-session", "notify"]).await;
    aws.send(&queues.0["notify"].dead_letters, "anything").await;
    queues.0.get_mut("bill-session").unwrap().dead_letters.push_str("-that-is-not-there");
    let outbox = world.outbox(&aws.url);

    let failure = reconcile(&outbox, &aws.sqs, &queues, invocation()).await.unwrap_err();
    assert!(matches!(failure, Failure::Fault(_)), "{failure:?}");
    assert_eq!(world.one("SELECT count(*) FROM dead_letters WHERE consumer = 'notify'").await, json!(1));

    // Without time nothing is begun, and the report says that there is more.
    let invocation = Invocation { at: Utc::now(), deadline: Utc::now() + TimeDelta::seconds(1) };
    let report = reconcile(&outbox, &aws.sqs, &queues, invocation).await.unwrap();
    assert!(!report.finished);

    // Without a database every message stays where it is.
    aws.send(&queues.0["notify"].dead_letters, "another").await;
    queues.0.remove("bill-session");
    let nowhere = Outbox::new(database_at("http://127.0.0.1:9"), events_at(&aws.url), "bus");
    let sqs: &Client = &aws.sqs;
    let failure = reconcile(&nowhere, sqs, &queues, self::invocation()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    assert_eq!(aws.count(&queues.0["notify"].dead_letters).await, 1);
}
