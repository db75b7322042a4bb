//! The price list in a real database.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{Failure, Page, StationId, Timestamp, UserId};
use support::{DEFAULT_TARIFF, World, arguments, at, driver, operator, refusal};
use tariff::{Tariff, create_tariff, end_tariff, estimate_cost, get_tariff, list_tariffs};

fn now() -> Timestamp {
    at("2026-11-21T12:00:00.123456Z")
}

/// Creates a tariff of 1 EUR a kWh with these fields.
async fn create(world: &World, fields: &Value, now: Timestamp) -> Result<Tariff, Failure> {
    let mut input = json!({ "currency": "EUR", "perKWh": "1", "vatRate": "0.19", "reason": "New prices" });
    input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    create_tariff(world.database(), &operator(now), arguments(json!({ "input": input }))).await
}

async fn end(
    world: &World,
    tariff: &Tariff,
    when: Option<Timestamp>,
    now: Timestamp,
) -> Result<Tariff, Failure> {
    let json = json!({ "id": tariff.id, "at": when, "reason": "Old prices" });
    end_tariff(world.database(), &operator(now), arguments(json)).await
}

/// The price of a kWh there then.
async fn per_kwh(world: &World, station: StationId, when: Timestamp) -> String {
    let json = json!({ "stationId": station, "at": when });
    let tariff = get_tariff(world.database(), &driver(UserId::new(), now()), arguments(json)).await.unwrap();
    tariff.per_kwh.to_string()
}

async fn list(world: &World, json: Value) -> Result<Page<Tariff>, Failure> {
    list_tariffs(world.database(), &operator(now()), arguments(json)).await
}

#[tokio::test]
async fn the_most_specific_tariff_of_a_moment_holds() {
    let world = World::new().await;
    let (own, operated, other) = (
        world.station(Some("IONITY")).await,
        world.station(Some("Ionity ")).await,
        world.station(None).await,
    );

    // Everyone's, as it always was.
    let json = json!({ "stationId": other });
    let default = get_tariff(world.database(), &driver(UserId::new(), now()), arguments(json)).await.unwrap();
    assert_eq!(default.id.to_string(), DEFAULT_TARIFF);
    assert_eq!((default.per_kwh.to_string(), default.start_fee.to_string()), ("0.49".into(), "0.35".into()));
    assert_eq!(
        (default.vat_rate.to_string(), String::from(default.time_zone)),
        ("0.19".into(), "Europe/Berlin".into())
    );

    let tomorrow = now() + TimeDelta::days(1);
    create(&world, &json!({ "operator": " ionity", "perKWh": "0.59", "validFrom": tomorrow }), now())
        .await
        .unwrap();
    create(
        &world,
        &json!({ "stationId": own, "perKWh": "0.69", "validTo": tomorrow + TimeDelta::days(1) }),
        now(),
    )
    .await
    .unwrap();
    for (station, when, price) in [
        (own, now() - TimeDelta::seconds(1), "0.49"),
        (own, now(), "0.69"),
        (own, tomorrow, "0.69"),
        (own, tomorrow + TimeDelta::days(1), "0.59"),
        (operated, now(), "0.49"),
        (operated, tomorrow, "0.59"),
        (other, tomorrow, "0.49"),
    ] {
        assert_eq!(per_kwh(&world, station, when).await, price, "{station} {when}");
    }

    let nowhere = get_tariff(
        world.database(),
        &driver(UserId::new(), now()),
        arguments(json!({ "stationId": StationId::new() })),
    )
    .await;
    assert_eq!(refusal(nowhere), "NotFound there is no such station");
    let before = json!({ "stationId": own, "at": "2019-12-31T23:59:59Z" });
    let before = get_tariff(world.database(), &driver(UserId::new(), now()), arguments(before)).await;
    assert_eq!(refusal(before), "NotFound there is no such tariff");
}

#[tokio::test]
async fn two_tariffs_for_the_same_never_hold_at_the_same_time() {
    let world = World::new().await;
    let station = world.station(None).await;
    let first = create(&world, &json!({ "stationId": station }), now()).await.unwrap();
    for fields in [
        json!({ "stationId": station }),
        json!({ "stationId": station, "validFrom": "2030-01-01T00:00:00Z" }),
        json!({ "perKWh": "2" }),
    ] {
        assert_eq!(refusal(create(&world, &fields, now()).await), "Conflict TARIFF_OVERLAPS");
    }
    let unknown = create(&world, &json!({ "stationId": StationId::new() }), now()).await;
    assert_eq!(refusal(unknown), "NotFound there is no such station");

    // It ends, and from that very moment another may begin; of ten at once one does.
    let turn = at("2027-01-01T00:00:00Z");
    assert_eq!(end(&world, &first, Some(turn), now()).await.unwrap().valid_to, Some(turn));
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let world = world.clone();
        racing.spawn(async move {
            create(&world, &json!({ "stationId": station, "validFrom": turn }), now()).await.is_ok()
        });
    }
    let created = racing.join_all().await.into_iter().filter(|created| *created).count();
    assert_eq!(created, 1);
    assert_eq!(world.one("SELECT count(*) FROM audit_log WHERE action = 'TARIFF_CREATED'").await, json!(2));
}

#[tokio::test]
async fn a_tariff_ends_once_and_never_in_the_past() {
    let world = World::new().await;
    let station = world.station(None).await;
    let tariff = create(&world, &json!({ "stationId": station }), now()).await.unwrap();
    let later = now() + TimeDelta::hours(1);
    let refused = end(&world, &tariff, Some(now()), later).await;
    assert_eq!(refusal(refused), "Invalid at: must not be in the past");

    // Ending it later again changes nothing, ending it earlier does.
    let ended = end(&world, &tariff, None, later).await.unwrap().valid_to.unwrap();
    assert_eq!(ended, at("2026-11-21T13:00:00.123Z"));
    let again = end(&world, &tariff, None, later + TimeDelta::hours(1)).await.unwrap();
    assert_eq!(again.valid_to, Some(ended));
    assert_eq!(per_kwh(&world, station, later).await, "0.49");

    // One that has not begun never does, and leaves room for another.
    let fields = json!({ "stationId": station, "validFrom": "2028-01-01T00:00:00Z" });
    let future = create(&world, &fields, later).await.unwrap();
    for _ in 0..2 {
        let withdrawn = end(&world, &future, None, later).await.unwrap();
        assert_eq!(withdrawn.valid_to, Some(withdrawn.valid_from));
    }
    assert_eq!(per_kwh(&world, station, at("2028-06-01T00:00:00Z")).await, "0.49");
    create(&world, &fields, later).await.unwrap();

    let audited = world.one(&format!("SELECT count(*) FROM audit_log WHERE action = 'TARIFF_ENDED' AND subject = '{}' AND reason = 'Old prices'", tariff.id)).await;
    assert_eq!(audited, json!(1));
    let unknown = Tariff { id: uuid::Uuid::nil().into(), ..tariff };
    assert_eq!(refusal(end(&world, &unknown, None, now()).await), "NotFound there is no such tariff");
}

#[tokio::test]
async fn operators_alone_see_and_change_the_list() {
    let world = World::new().await;
    let station = world.station(None).await;
    let on = |hour: i64| now() + TimeDelta::hours(hour);
    for hour in 0..3 {
        let fields = json!({ "stationId": station, "validFrom": on(hour), "validTo": on(hour + 1), "bands": [{
            "days": ["MONDAY"], "from": "22:00", "to": "06:00", "perKWh": "0.2" }], "timeZone": "Europe/Berlin" });
        create(&world, &fields, now()).await.unwrap();
    }
    create(&world, &json!({ "operator": "EnBW" }), now()).await.unwrap();

    let all = list(&world, json!({})).await.unwrap();
    assert_eq!(all.edges.len(), 5);
    assert_eq!(all.edges[0].node.operator.as_deref(), Some("EnBW"));
    assert_eq!(all.edges[4].node.id.to_string(), DEFAULT_TARIFF);
    let of_operator = list(&world, json!({ "operator": "ENBW" })).await.unwrap();
    assert_eq!(of_operator.edges.len(), 1);
    let page = list(&world, json!({ "stationId": station, "first": 2 })).await.unwrap();
    assert!(page.page_info.has_next_page);
    assert_eq!(page.edges[0].node.bands.len(), 1);
    let rest = list(&world, json!({ "stationId": station, "first": 2, "after": page.page_info.end_cursor }))
        .await
        .unwrap();
    assert_eq!((rest.edges.len(), rest.page_info.has_next_page), (1, false));
    assert_eq!(rest.edges[0].node.valid_from, at("2026-11-21T12:00:00.123Z"));
    let both = list(&world, json!({ "stationId": station, "operator": "EnBW" })).await;
    assert!(refusal(both).starts_with("Invalid operator"));

    let someone = driver(UserId::new(), now());
    let input = json!({ "currency": "EUR", "perKWh": "0", "vatRate": "0", "reason": "mine" });
    let created = create_tariff(world.database(), &someone, arguments(json!({ "input": input }))).await;
    assert!(refusal(created).starts_with("Forbidden"));
    let ended =
        end_tariff(world.database(), &someone, arguments(json!({ "id": DEFAULT_TARIFF, "reason": "mine" })))
            .await;
    assert!(refusal(ended).starts_with("Forbidden"));
    let listed = list_tariffs(world.database(), &someone, arguments(json!({}))).await;
    assert!(refusal(listed).starts_with("Forbidden"));
}

#[tokio::test]
async fn an_estimate_knows_the_callers_flat_rate() {
    let world = World::new().await;
    let station = world.station(None).await;
    let plan = world.plan(now()).await;
    let (with, without) = (world.driver("100", "EUR").await, world.driver("100", "EUR").await);
    world.subscribe(with, plan.id, "k", now()).await.unwrap();

    let estimate = async |who: UserId| {
        let input = json!({ "stationId": station, "energyKWh": "120", "durationMinutes": 60 });
        let caller = driver(who, now() + TimeDelta::hours(1));
        let estimate =
            estimate_cost(world.database(), &caller, arguments(json!({ "input": input }))).await.unwrap();
        serde_json::to_value(estimate).unwrap()
    };
    // 10 of 30 days of 300 kWh, and 20 kWh beyond.
    let covered = estimate(with).await;
    assert_eq!(covered["total"], json!({ "amount": "7.80", "currency": "EUR" }));
    assert_eq!((&covered["planId"], &covered["tariffId"]), (&json!(plan.id), &Value::Null));
    assert_eq!(covered["lines"][0]["quantity"], "100");
    let by_tariff = estimate(without).await;
    assert_eq!(by_tariff["total"]["amount"], "59.15");
    assert_eq!((&by_tariff["tariffId"], &by_tariff["planId"]), (&json!(DEFAULT_TARIFF), &Value::Null));
    assert_eq!(
        by_tariff["lines"][1],
        json!({
            "description": "Start fee", "quantity": "1", "unit": "session", "unitPrice": "0.35",
            "amount": { "amount": "0.35", "currency": "EUR" },
        })
    );
}
