//! `Mutation.replayDeadLetters`.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::TimeDelta;
use events::{DeadLetterQueues, ReplayDeadLetters, ReplayReport, reconcile, replay};
use serde_json::{Value, json};
use shared::{Caller, CorrelationId, Failure};
use uuid::Uuid;

use crate::aws::{Aws, sqs_at};
use crate::fuse::{Blow, Fuse};
use crate::reconciling::{queues, session_ended};
use crate::world::{World, database_at, driver, invocation, operator};

struct Desk {
    world: World,
    aws: Aws,
    queues: DeadLetterQueues,
}

impl Desk {
    /// With that many dead letters of `bill-session`, the bodies given.
    async fn with(count: usize) -> (Self, BTreeSet<String>) {
        let (world, aws) = tokio::join!(World::new(), Aws::start());
        aws.bus("bus").await;
        let queues = queues(&aws, &["bill-session", "notify"]).await;
        let desk = Self { world, aws, queues };
        let bodies: BTreeSet<_> =
            (0..count).map(|_| session_ended(Uuid::new_v4(), CorrelationId::new())).collect();
        for body in &bodies {
            desk.die("bill-session", body).await;
        }
        desk.reconcile().await;
        (desk, bodies)
    }

    async fn die(&self, consumer: &str, body: &str) {
        self.aws.send(&self.queues.0[consumer].dead_letters, body).await;
    }

    /// Through a door at which queues are not waited for.
    async fn reconcile(&self) {
        let sqs = sqs_at(&Fuse::never().door(&self.aws.url).await);
        let outbox = self.world.outbox(&self.aws.url);
        assert!(reconcile(&outbox, &sqs, &self.queues, invocation()).await.unwrap().finished);
    }

    async fn replay(&self, caller: &Caller, input: Value) -> Result<ReplayReport, Failure> {
        let Self { world, aws, queues } = self;
        replay(&world.database, &aws.sqs, queues, caller, arguments(input)).await
    }

    async fn delivered(&self, consumer: &str) -> Vec<String> {
        self.aws.drain(&self.queues.0[consumer].source).await
    }

    async fn open(&self) -> Value {
        self.world.one("SELECT count(*) FROM dead_letters WHERE status = 'OPEN'").await
    }
}

fn arguments(mut input: Value) -> ReplayDeadLetters {
    let fields = input.as_object_mut().unwrap();
    fields.entry("filter").or_insert(json!({}));
    fields.entry("reason").or_insert(json!("the tariff is back"));
    shared::read_fields(json!({ "input": input })).unwrap()
}

#[tokio::test]
async fn a_dry_run_tells_and_a_replay_sends_every_byte_and_leaves_an_audit_row() {
    let (desk, mut bodies) = Desk::with(3).await;
    let long = format!("{{\"text\": \"{}\"}}", "\\\"ü€".repeat(35_000));
    for body in ["no JSON at all <&>\t\"", &long] {
        desk.die("bill-session", body).await;
        bodies.insert(body.to_owned());
    }
    desk.reconcile().await;

    // Nothing is sent unless it is said.
    let caller = operator();
    let report = desk.replay(&caller, json!({})).await.unwrap();
    assert!(report.dry_run);
    assert_eq!((report.matched, report.replayed, report.remaining, report.letters.len()), (5, 0, 5, 5));
    assert!(desk.delivered("bill-session").await.is_empty());
    assert_eq!(desk.open().await, json!(5));
    assert_eq!(desk.world.one("SELECT count(*) FROM audit_log WHERE actor_id IS NOT NULL").await, json!(0));

    let report = desk.replay(&caller, json!({ "dryRun": false })).await.unwrap();
    assert!(!report.dry_run);
    assert_eq!((report.matched, report.replayed, report.remaining, report.letters.len()), (5, 5, 0, 5));
    assert!(report.letters.iter().all(|letter| letter.replayed_at.is_some()));
    let delivered = desk.delivered("bill-session").await;
    assert_eq!(delivered.len(), 5);
    assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), bodies);
    let audited = desk
        .world
        .all("SELECT jsonb_build_array(actor_id, reason, correlation_id) FROM audit_log WHERE action = 'DEAD_LETTER_REPLAYED'")
        .await;
    let row = json!([caller.user().unwrap().id, "the tariff is back", caller.correlation_id]);
    assert_eq!(audited, vec![row; 5]);

    // What was sent is not sent again; if it dies again it is another dead letter.
    let report = desk.replay(&caller, json!({ "dryRun": false })).await.unwrap();
    assert_eq!((report.matched, report.replayed, report.remaining), (0, 0, 0));
    desk.die("bill-session", bodies.first().unwrap()).await;
    desk.reconcile().await;
    assert_eq!(desk.open().await, json!(1));
}

#[tokio::test]
async fn only_what_fits_the_filter_is_sent_and_only_by_operators() {
    let (desk, bodies) = Desk::with(2).await;
    desk.die("notify", r#"{"detail":{"eventType":"PAYMENT_FAILED"}}"#).await;
    desk.reconcile().await;
    let ids = desk.world.all("SELECT id FROM dead_letters WHERE consumer = 'bill-session'").await;
    desk.world
        .run("UPDATE dead_letters SET found_at = found_at - interval '2 days' WHERE consumer = 'notify'")
        .await;
    let yesterday = chrono::Utc::now() - TimeDelta::days(1);

    let caller = operator();
    for (filter, matched) in [
        (json!({ "consumer": "notify" }), 1),
        (json!({ "eventType": "SESSION_ENDED" }), 2),
        (json!({ "from": yesterday }), 2),
        (json!({ "to": yesterday }), 1),
        (json!({ "from": yesterday, "to": yesterday }), 0),
        (json!({ "ids": [ids[0]] }), 1),
        (json!({ "ids": [] }), 0),
        (json!({ "ids": ids, "consumer": "notify" }), 0),
    ] {
        let report = desk.replay(&caller, json!({ "filter": filter })).await.unwrap();
        assert_eq!((report.matched, report.letters.len()), (matched, matched), "{filter}");
    }
    let failure = desk.replay(&caller, json!({ "filter": { "consumer": "nobody" } })).await.unwrap_err();
    assert!(matches!(failure, Failure::Invalid { field, .. } if field == "input.filter.consumer"));
    let failure = desk.replay(&driver(), json!({ "dryRun": false })).await.unwrap_err();
    assert!(matches!(failure, Failure::Forbidden(_)));

    let input = json!({ "filter": { "ids": [ids[0]] }, "dryRun": false });
    assert_eq!(desk.replay(&caller, input).await.unwrap().replayed, 1);
    let delivered = desk.delivered("bill-session").await;
    assert!(delivered.len() == 1 && bodies.contains(&delivered[0]));
    assert!(desk.delivered("notify").await.is_empty());

    // A letter of a consumer that is no more stays where it is.
    desk.world.run("UPDATE dead_letters SET consumer = 'gone' WHERE consumer = 'notify'").await;
    let input = json!({ "filter": { "to": yesterday }, "dryRun": false });
    let report = desk.replay(&caller, input).await.unwrap();
    assert_eq!((report.matched, report.replayed, report.remaining), (1, 0, 1));
}

#[tokio::test]
async fn a_replay_keeps_its_rate_and_its_limit_and_tells_what_is_left() {
    let (desk, _) = Desk::with(7).await;
    let started = Instant::now();
    let input = json!({ "dryRun": false, "rate": 2, "limit": 5 });
    let report = desk.replay(&operator(), input).await.unwrap();
    // Two, two, one: a second after the first and after the second.
    assert!(started.elapsed().as_millis() >= 2000, "{:?}", started.elapsed());
    assert_eq!((report.matched, report.replayed, report.remaining), (7, 5, 2));
    assert_eq!(desk.delivered("bill-session").await.len(), 5);
}

#[tokio::test]
async fn two_replays_at_once_send_each_letter_once() {
    let (desk, bodies) = Desk::with(40).await;
    let (one, other) = (operator(), operator());
    let input = || json!({ "dryRun": false, "rate": 7 });
    let (one, other) = tokio::join!(desk.replay(&one, input()), desk.replay(&other, input()));
    assert_eq!(one.unwrap().replayed + other.unwrap().replayed, 40);
    let delivered = desk.delivered("bill-session").await;
    assert_eq!(delivered.len(), 40);
    assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), bodies);
    let rows = desk
        .world
        .one("SELECT count(DISTINCT subject) FROM audit_log WHERE action = 'DEAD_LETTER_REPLAYED'")
        .await;
    assert_eq!(rows, json!(40));
}

#[tokio::test]
async fn a_replay_killed_at_any_call_leaves_every_letter_sent_or_open() {
    let (desk, bodies) = Desk::with(2).await;
    let (mut delivered, mut killed) = (Vec::new(), 0);
    // An operator who tries again after each death, a minute later each time.
    let mut at = chrono::Utc::now();
    for (call, blow) in (0..).flat_map(|call| [(call, Blow::Before), (call, Blow::After)]) {
        let fuse = Fuse::at(call, blow);
        let (door, aws_door) = tokio::join!(fuse.door(&desk.world.door_url), fuse.door(&desk.aws.url));
        let (database, sqs) = (database_at(&door), sqs_at(&aws_door));
        let caller = Caller { at, ..operator() };
        let run = replay(&database, &sqs, &desk.queues, &caller, arguments(json!({ "dryRun": false })));
        let outcome = fuse.watch(run).await;
        delivered.extend(desk.delivered("bill-session").await);
        match outcome {
            None => killed += 1,
            Some(report) => {
                assert_eq!(report.unwrap().remaining, 0);
                break;
            }
        }
        // Until the dead one's lease runs out nobody sends what it claimed.
        let soon = Caller { at: at + TimeDelta::seconds(59), ..operator() };
        let claimed =
            desk.world.one("SELECT count(*) FROM dead_letters WHERE claimed_until IS NOT NULL").await;
        if claimed == json!(2) {
            let report = desk.replay(&soon, json!({ "dryRun": false })).await.unwrap();
            assert_eq!((report.replayed, report.remaining), (0, 2));
        }
        at += TimeDelta::seconds(61);
    }
    // Count, claim, send, mark.
    assert!(killed >= 4, "{killed}");
    assert_eq!(desk.open().await, json!(0));
    assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), bodies);
    let rows = desk.world.all("SELECT subject FROM audit_log WHERE action = 'DEAD_LETTER_REPLAYED'").await;
    assert_eq!(rows.len(), 2, "one a letter, however often it was sent");
}

#[tokio::test]
async fn a_letter_that_its_queue_does_not_take_stays_open() {
    let (mut desk, _) = Desk::with(2).await;
    desk.queues.0.get_mut("bill-session").unwrap().source.push_str("-that-is-not-there");
    let failure = desk.replay(&operator(), json!({ "dryRun": false })).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    assert_eq!(desk.open().await, json!(2));
    let rows = "SELECT count(*) FROM audit_log WHERE action = 'DEAD_LETTER_REPLAYED'";
    assert_eq!(desk.world.one(rows).await, json!(0));
}
