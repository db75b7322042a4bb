//! `purge-outbox`.

use chrono::{TimeDelta, Utc};
use events::{PurgeReport, purge};
use serde_json::json;
use shared::Invocation;

use crate::world::{World, invocation};

#[tokio::test]
async fn what_is_done_with_goes_after_ninety_days_and_nothing_else_ever() {
    let world = World::new().await;
    // More than a statement takes, each with its age and whether it was published.
    world
        .run(
            "INSERT INTO outbox (event_id, event_type, version, source, correlation_id, payload, created_at, published_at)
             SELECT gen_random_uuid(), kind, 1, 'test', gen_random_uuid(), '{}', now() - age, now() - published
             FROM (VALUES ('OLD', interval '91 days', interval '91 days', 2500), ('LATE', '200 days', '89 days', 3),
                          ('STUCK', '1 year', NULL, 4), ('NEW', '1 day', '1 day', 5)) AS kinds (kind, age, published, count),
                  generate_series(1, count);
             INSERT INTO notifications (event_id, channel, user_id, created_at)
             SELECT gen_random_uuid(), 'PUSH', gen_random_uuid(), now() - make_interval(days => days)
             FROM (VALUES (91), (92), (89)) AS ages (days);
             INSERT INTO dead_letters (id, consumer, body, receive_count, sent_at, found_at, status)
             SELECT gen_random_uuid(), 'notify', '', 1, now() - interval '1 year', now() - interval '1 year', status
             FROM unnest('{OPEN,REPLAYED}'::text[]) AS status;
             INSERT INTO audit_log (at, action, subject, correlation_id)
             VALUES (now() - interval '1 year', 'A', 's', gen_random_uuid())",
        )
        .await;

    let no_time = Invocation { at: Utc::now(), deadline: Utc::now() + TimeDelta::seconds(1) };
    let report = purge(&world.database, no_time).await.unwrap();
    assert_eq!(report, PurgeReport { events: 0, notifications: 0, finished: false });

    let report = purge(&world.database, invocation()).await.unwrap();
    assert_eq!(report, PurgeReport { events: 2500, notifications: 2, finished: true });
    let left = "SELECT jsonb_object_agg(event_type, count) FROM
                (SELECT event_type, count(*) FROM outbox GROUP BY 1) AS counts";
    assert_eq!(world.one(left).await, json!({ "LATE": 3, "STUCK": 4, "NEW": 5 }));
    for (table, left) in [("notifications", 1), ("dead_letters", 2), ("audit_log", 1)] {
        assert_eq!(world.one(&format!("SELECT count(*) FROM {table}")).await, json!(left), "{table}");
    }
    let report = purge(&world.database, invocation()).await.unwrap();
    assert_eq!(report, PurgeReport { events: 0, notifications: 0, finished: true });
}
