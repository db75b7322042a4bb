//! Flat rates in a real database: begun once, paid for by the month, and over when they should be.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{Invocation, PlanId, Timestamp, UserId};
use support::{World, arguments, at, driver, operator, refusal};
use tariff::{
    PlanSubscription, Renewed, SubscriptionStatus, cancel_subscription, my_subscription, plans,
    renew_subscriptions, retire_plan,
};

fn now() -> Timestamp {
    at("2026-11-21T12:00:00.123456Z")
}

async fn mine(world: &World, id: UserId, now: Timestamp) -> Option<PlanSubscription> {
    my_subscription(world.database(), &driver(id, now)).await.unwrap()
}

async fn cancel(world: &World, id: UserId, now: Timestamp) -> PlanSubscription {
    cancel_subscription(world.database(), &driver(id, now)).await.unwrap()
}

async fn retire(world: &World, plan: PlanId, now: Timestamp) -> tariff::Plan {
    let json = json!({ "id": plan, "reason": "old" });
    retire_plan(world.database(), &operator(now), arguments(json)).await.unwrap()
}

/// Pays all that a driver owes, from nowhere.
async fn pay(world: &World, id: UserId, now: Timestamp) {
    world
        .run(&format!(
            "SELECT pay_invoice(id, amount - paid_amount, 'CARD', '{now}', gen_random_uuid()) FROM invoices
             WHERE user_id = '{id}' AND status IN ('PENDING', 'OVERDUE')"
        ))
        .await;
}

/// `start end included used` of each period, with the invoice's amount and status.
async fn periods(world: &World, id: UserId) -> Value {
    world
        .one(&format!(
            "SELECT COALESCE(jsonb_agg(concat_ws(' ', to_char(starts_at, 'MM-DD'), to_char(ends_at, 'MM-DD'),
                 trim_scale(included_kwh), trim_scale(amount), invoices.status) ORDER BY starts_at), '[]')
             FROM subscription_periods AS period
             JOIN subscriptions ON subscriptions.id = period.subscription_id
             JOIN invoices ON invoices.id = period.invoice_id AND invoices.subscription_period_id = period.id
                 AND invoices.subscription_id = period.subscription_id AND invoices.kind = 'SUBSCRIPTION'
                 AND invoices.plan_id = subscriptions.plan_id
             WHERE subscriptions.user_id = '{id}'"
        ))
        .await
}

fn renewed(renewed: usize, past_due: usize, ended: usize) -> Renewed {
    Renewed { renewed, past_due, ended, left: 0 }
}

#[tokio::test]
async fn a_flat_rate_begins_in_proportion_and_covers_at_once() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let id = world.driver("100", "EUR").await;
    assert_eq!(mine(&world, id, now()).await, None);

    let begun = world.subscribe(id, plan.id, "first", now()).await.unwrap();
    assert_eq!(begun.status, SubscriptionStatus::Active);
    assert_eq!(
        (begun.period_start, begun.period_end),
        (at("2026-11-21T12:00:00.123Z"), at("2026-12-01T00:00:00Z"))
    );
    assert_eq!((begun.included.to_string(), begun.used.to_string()), ("100 kWh".into(), "0 kWh".into()));
    assert_eq!(begun.plan, plan);
    assert_eq!(mine(&world, id, now()).await.as_ref(), Some(&begun));
    assert_eq!(periods(&world, id).await, json!(["11-21 12-01 100 16.33 PAID"]));
    assert_eq!(world.balance(id).await, "83.67");
    assert_eq!(world.events(id).await, ["PAYMENT_COMPLETED", "SUBSCRIPTION_STARTED"]);
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, json!(0));

    // From its first moment to the last before its end.
    let coverage = world.coverage(id, "2026-11-21T12:00:00.123Z").await;
    assert_eq!(serde_json::from_value::<tariff::Coverage>(coverage.clone()).unwrap().plan_id, plan.id);
    assert_eq!((&coverage["remainingKwh"], &coverage["perKwhBeyond"]), (&json!("100"), &json!("0.39")));
    assert_eq!(world.coverage(id, "2026-11-21T12:00:00.122Z").await, Value::Null);
    assert_ne!(world.coverage(id, "2026-11-30T23:59:59.999Z").await, Value::Null);
    assert_eq!(world.coverage(id, "2026-12-01T00:00:00Z").await, Value::Null);
    assert_eq!(world.coverage(world.driver("0", "EUR").await, "2026-11-22T00:00:00Z").await, Value::Null);

    // Energy is counted to the last watt-hour of the fair use, and no further.
    let period = coverage["periodId"].as_str().unwrap();
    world.run(&format!("SELECT use_subscription('{period}', 60.5)")).await;
    assert_eq!(world.coverage(id, "2026-11-22T00:00:00Z").await["remainingKwh"], json!("39.5"));
    world
        .run(&format!(
            "DO $$ BEGIN PERFORM use_subscription('{period}', 39.6); RAISE 'counted';
             EXCEPTION WHEN serialization_failure THEN NULL; END $$"
        ))
        .await;
    world.run(&format!("SELECT use_subscription('{period}', 39.5)")).await;
    assert_eq!(mine(&world, id, now()).await.unwrap().used.to_string(), "100 kWh");
    assert_eq!(world.coverage(id, "2026-11-22T00:00:00Z").await["remainingKwh"], json!("0"));
}

#[tokio::test]
async fn a_request_that_comes_often_begins_one_flat_rate() {
    let world = World::new().await;
    let (plan, other) = (world.plan(now()).await, world.plan(now()).await);
    let id = world.driver("100", "EUR").await;
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (world, plan) = (world.clone(), plan.id);
        racing.spawn(async move { world.subscribe(id, plan, "one", now()).await.unwrap() });
    }
    let answers = racing.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.balance(id).await, "83.67");
    assert_eq!(world.events(id).await.len(), 2);

    assert_eq!(refusal(world.subscribe(id, other.id, "one", now()).await), "Conflict IDEMPOTENCY_KEY_REUSED");
    assert_eq!(refusal(world.subscribe(id, plan.id, "two", now()).await), "Conflict ALREADY_SUBSCRIBED");
    // The same key is another driver's own.
    let second = world.driver("100", "EUR").await;
    assert_ne!(world.subscribe(second, other.id, "one", now()).await.unwrap().id, answers[0].id);

    // Two keys at once: one begins.
    let third = world.driver("0", "EUR").await;
    let (one, two) = tokio::join!(
        world.subscribe(third, plan.id, "a", now()),
        world.subscribe(third, plan.id, "b", now())
    );
    assert_eq!([&one, &two].iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = if one.is_ok() { two } else { one };
    assert_eq!(refusal(refused), "Conflict ALREADY_SUBSCRIBED");
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let id = world.driver("100", "EUR").await;
    assert_eq!(
        refusal(world.subscribe(id, PlanId::new(), "k", now()).await),
        "NotFound there is no such plan"
    );
    let abroad = world.driver("100", "CHF").await;
    assert_eq!(refusal(world.subscribe(abroad, plan.id, "k", now()).await), "Conflict CURRENCY_MISMATCH");
    assert_eq!(
        refusal(world.subscribe(UserId::new(), plan.id, "k", now()).await),
        "NotFound there is no such user"
    );
    let nothing = cancel_subscription(world.database(), &driver(id, now())).await;
    assert_eq!(refusal(nothing), "NotFound there is no such subscription");

    // Off the offer: not shown, not sold; once is enough.
    assert_eq!(plans(world.database()).await.unwrap(), std::slice::from_ref(&plan));
    let retired = retire(&world, plan.id, now()).await;
    assert_eq!(retire(&world, plan.id, at("2026-11-22T00:00:00Z")).await, retired);
    assert!(plans(world.database()).await.unwrap().is_empty());
    assert_eq!(refusal(world.subscribe(id, plan.id, "k", now()).await), "Conflict PLAN_RETIRED");
    assert_eq!(
        world
            .one("SELECT count(*) FROM audit_log WHERE action LIKE 'PLAN%' AND reason IN ('test', 'old')")
            .await,
        json!(2)
    );
    assert_eq!(world.one("SELECT count(*) FROM subscriptions").await, json!(0));
    assert_eq!(world.one("SELECT count(*) FROM invoices").await, json!(0));
    assert_eq!(world.balance(id).await, "100.00");

    let json = json!({ "id": plan.id, "reason": "mine" });
    let refused = retire_plan(world.database(), &driver(id, now()), arguments(json)).await;
    assert!(refusal(refused).starts_with("Forbidden"));
}

#[tokio::test]
async fn a_month_turns_once_however_many_see_to_it() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let mut drivers = Vec::new();
    for _ in 0..120 {
        let id = world.driver("100", "EUR").await;
        world.subscribe(id, plan.id, "k", now()).await.unwrap();
        drivers.push(id);
    }
    retire(&world, plan.id, now()).await;
    assert_eq!(world.renew(at("2026-11-30T23:49:59Z")).await, Renewed::default());

    // Just before the turn, three at once; who has a retired flat rate keeps it.
    let turn = at("2026-11-30T23:55:00Z");
    let (one, two, three) = tokio::join!(world.renew(turn), world.renew(turn), world.renew(turn));
    assert_eq!(one.renewed + two.renewed + three.renewed, 120);
    assert_eq!(world.renew(at("2026-12-01T00:55:00Z")).await, Renewed::default());
    for id in &drivers[..3] {
        let both = json!(["11-21 12-01 100 16.33 PAID", "12-01 01-01 300 49 PAID"]);
        assert_eq!(periods(&world, *id).await, both);
        assert_eq!(world.balance(*id).await, "34.67");
        let events =
            ["PAYMENT_COMPLETED", "SUBSCRIPTION_STARTED", "PAYMENT_COMPLETED", "SUBSCRIPTION_RENEWED"];
        assert_eq!(world.events(*id).await, events);
        assert_ne!(world.coverage(*id, "2026-12-01T00:00:00Z").await, Value::Null);
        // Begun ahead, but not shown before its time.
        assert_eq!(mine(&world, *id, turn).await.unwrap().included.to_string(), "100 kWh");
        assert_eq!(
            mine(&world, *id, at("2026-12-01T00:00:00Z")).await.unwrap().included.to_string(),
            "300 kWh"
        );
    }
    assert_eq!(world.one("SELECT count(*) FROM subscription_periods").await, json!(240));
    assert_eq!(world.one("SELECT count(DISTINCT number) FROM invoices").await, json!(240));

    // A run without time begins no second batch; the next one does the rest.
    let no_time = Invocation { at: at("2026-12-31T23:55:00Z"), deadline: Timestamp::UNIX_EPOCH };
    assert_eq!(renew_subscriptions(&world.outbox, no_time).await.unwrap(), renewed(100, 0, 0));
    assert_eq!(world.renew(at("2027-01-01T00:00:00Z")).await, renewed(20, 0, 0));
}

#[tokio::test]
async fn what_is_cancelled_ends_with_its_period_and_makes_room() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let id = world.driver("100", "EUR").await;
    world.subscribe(id, plan.id, "k", now()).await.unwrap();
    let cancelled = cancel(&world, id, at("2026-11-22T00:00:00Z")).await;
    assert_eq!(cancelled.status, SubscriptionStatus::Cancelled);
    assert_eq!(cancel(&world, id, at("2026-11-23T00:00:00Z")).await, cancelled);
    // Still paid for.
    assert_ne!(world.coverage(id, "2026-11-30T23:00:00Z").await, Value::Null);
    assert_eq!(refusal(world.subscribe(id, plan.id, "again", now()).await), "Conflict ALREADY_SUBSCRIBED");

    assert_eq!(world.renew(at("2026-11-30T23:55:00Z")).await, Renewed::default());
    assert_eq!(world.renew(at("2026-12-01T00:55:00Z")).await, renewed(0, 0, 1));
    assert_eq!(mine(&world, id, at("2026-12-01T01:00:00Z")).await, None);
    let ended = world.one(&format!("SELECT ended_at FROM subscriptions WHERE user_id = '{id}'")).await;
    assert_eq!(ended, json!("2026-12-01T00:00:00+00:00"));
    assert_eq!(world.events(id).await, ["PAYMENT_COMPLETED", "SUBSCRIPTION_STARTED", "SUBSCRIPTION_ENDED"]);
    // A session of the last evening is billed after the end, and still covered.
    assert_ne!(world.coverage(id, "2026-11-30T23:00:00Z").await, Value::Null);
    assert_eq!(world.balance(id).await, "83.67");

    // The old key still gives the old answer; a new one begins anew.
    let old = world.subscribe(id, plan.id, "k", at("2026-12-02T00:00:00Z")).await.unwrap();
    assert_eq!((old.id, old.status), (cancelled.id, SubscriptionStatus::Ended));
    let new = world.subscribe(id, plan.id, "new", at("2026-12-02T00:00:00Z")).await.unwrap();
    assert_ne!(new.id, old.id);
}

#[tokio::test]
async fn what_is_not_paid_for_covers_nothing_waits_a_month_and_ends() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let begun = at("2026-11-05T12:00:00Z");
    let (payer, debtor) = (world.driver("0", "EUR").await, world.driver("0", "EUR").await);
    for id in [payer, debtor] {
        world.subscribe(id, plan.id, "k", begun).await.unwrap();
        assert_eq!(world.events(id).await, ["INVOICE_GENERATED", "SUBSCRIPTION_STARTED"]);
        // Due on the 19th: until then it covers.
        assert_ne!(world.coverage(id, "2026-11-19T23:59:59Z").await, Value::Null);
        assert_eq!(world.coverage(id, "2026-11-20T00:00:00Z").await, Value::Null);
        assert_eq!(
            mine(&world, id, at("2026-11-19T12:00:00Z")).await.unwrap().status,
            SubscriptionStatus::Active
        );
        assert_eq!(
            mine(&world, id, at("2026-11-20T12:00:00Z")).await.unwrap().status,
            SubscriptionStatus::PastDue
        );
    }
    // Called overdue by billing, it is no other.
    world.run(&format!("UPDATE invoices SET status = 'OVERDUE' WHERE user_id = '{debtor}'")).await;
    assert_ne!(world.coverage(debtor, "2026-11-19T23:59:59Z").await, Value::Null);
    assert_eq!(world.coverage(debtor, "2026-11-20T00:00:00Z").await, Value::Null);

    // The month turns without them, each hour anew, and nothing more is owed.
    assert_eq!(world.renew(at("2026-11-30T23:55:00Z")).await, renewed(0, 2, 0));
    assert_eq!(world.renew(at("2026-12-01T00:00:00Z")).await, Renewed::default());
    assert_eq!(world.renew(at("2026-12-01T00:55:00Z")).await, renewed(0, 2, 0));
    assert_eq!(
        mine(&world, payer, at("2026-12-01T01:00:00Z")).await.unwrap().status,
        SubscriptionStatus::PastDue
    );
    assert_eq!(periods(&world, debtor).await.as_array().unwrap().len(), 1);

    // Paid on the eleventh: on from there, by the days that are left.
    let paid = at("2026-12-11T09:30:00Z");
    pay(&world, payer, paid).await;
    assert_eq!(world.renew(at("2026-12-11T09:55:00Z")).await, renewed(1, 1, 0));
    let back = mine(&world, payer, at("2026-12-11T10:00:00Z")).await.unwrap();
    assert_eq!((back.status, back.period_start), (SubscriptionStatus::Active, at("2026-12-11T09:55:00Z")));
    assert_eq!(periods(&world, payer).await[1], "12-11 01-01 203.2258 33.19 PENDING");
    assert_ne!(world.coverage(payer, "2026-12-11T12:00:00Z").await, Value::Null);

    // Not paid for a month: over.
    assert_eq!(world.renew(at("2027-01-01T00:55:00Z")).await, renewed(0, 1, 1));
    assert_eq!(
        world.events(debtor).await,
        ["INVOICE_GENERATED", "SUBSCRIPTION_STARTED", "SUBSCRIPTION_ENDED"]
    );
    assert_eq!(mine(&world, debtor, at("2027-01-01T01:00:00Z")).await, None);
}

#[tokio::test]
async fn a_debt_within_its_time_does_not_stop_the_next_month() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let id = world.driver("0", "EUR").await;
    world.subscribe(id, plan.id, "k", at("2026-11-25T12:00:00Z")).await.unwrap();
    assert_eq!(world.renew(at("2026-11-30T23:55:00Z")).await, renewed(1, 0, 0));
    assert_eq!(
        periods(&world, id).await,
        json!(["11-25 12-01 60 9.8 PENDING", "12-01 01-01 300 49 PENDING"])
    );
    // Due fourteen days after the month began, not after it was billed.
    assert_ne!(world.coverage(id, "2026-12-15T12:00:00Z").await, Value::Null);
    assert_eq!(world.coverage(id, "2026-12-16T00:00:00Z").await, Value::Null);
}

#[tokio::test]
async fn an_account_that_goes_ends_its_flat_rate_at_once() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let (id, other) = (world.driver("100", "EUR").await, world.driver("100", "EUR").await);
    for id in [id, other] {
        world.subscribe(id, plan.id, "k", now()).await.unwrap();
    }
    for _ in 0..2 {
        world.run(&format!("SELECT end_subscriptions_of('{id}', '2026-11-25T00:00:00Z')")).await;
    }
    assert_eq!(mine(&world, id, now()).await, None);
    assert_eq!(world.events(id).await, ["PAYMENT_COMPLETED", "SUBSCRIPTION_STARTED", "SUBSCRIPTION_ENDED"]);
    assert_ne!(world.coverage(id, "2026-11-24T00:00:00Z").await, Value::Null);
    assert_eq!(world.coverage(id, "2026-11-25T00:00:00Z").await, Value::Null);
    assert_eq!(world.renew(at("2026-11-30T23:55:00Z")).await, renewed(1, 0, 0));
    assert!(mine(&world, other, now()).await.is_some());
}

#[tokio::test]
async fn one_that_cannot_be_turned_stops_no_other() {
    let world = World::new().await;
    let plan = world.plan(now()).await;
    let mut drivers = Vec::new();
    for _ in 0..3 {
        let id = world.driver("100", "EUR").await;
        world.subscribe(id, plan.id, "k", now()).await.unwrap();
        drivers.push(id);
    }
    world
        .run(&format!(
            "ALTER TABLE invoices ADD CONSTRAINT broken CHECK (user_id <> '{}') NOT VALID",
            drivers[0]
        ))
        .await;
    let run =
        Invocation { at: at("2026-11-30T23:55:00Z"), deadline: chrono::Utc::now() + TimeDelta::minutes(5) };
    let failed = renew_subscriptions(&world.outbox, run).await.unwrap_err();
    assert_eq!(failed.error_type(), "Fault");
    assert_eq!(world.one("SELECT count(*) FROM subscription_periods").await, json!(5));
    world.run("ALTER TABLE invoices DROP CONSTRAINT broken").await;
    assert_eq!(world.renew(at("2026-12-01T00:55:00Z")).await, renewed(1, 0, 0));
    assert_eq!(periods(&world, drivers[0]).await[1], "12-01 01-01 300 49 PAID");
}
