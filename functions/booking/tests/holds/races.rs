use std::sync::Arc;

use booking::{Confirmation, Desk, HoldSettings, Holds, SlotHold, confirm};
use chrono::TimeDelta;
use payment::{AccountSecret, PATIENCE, Payments, Provider};
use serde_json::json;
use shared::{Cache, Failure, Role, UserId};
use tokio::task::JoinSet;

use crate::world::{Process, World, conflict};

/// What comes of `count` drivers, each at a process of some few, who ask at once for one slot.
async fn race(world: &Arc<World>, processes: &[Arc<Process>], count: usize) -> Vec<SlotHold> {
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let driver = world.driver().await;
        let (world, process) = (Arc::clone(world), Arc::clone(&processes[index % processes.len()]));
        tasks.spawn(async move { world.hold(&process, driver, 0, "12:00", "13:00").await });
    }
    let mut won = Vec::new();
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(hold) => won.push(hold),
            lost => assert_eq!(conflict(lost), "SLOT_TAKEN"),
        }
    }
    won
}

fn processes(world: &World, count: usize) -> Vec<Arc<Process>> {
    (0..count).map(|_| Arc::new(world.process())).collect()
}

#[tokio::test]
async fn of_fifty_who_want_a_slot_redis_gives_it_to_one() {
    let world = Arc::new(World::new(true).await);
    assert_eq!(race(&world, &processes(&world, 5), 50).await.len(), 1);
    assert_eq!(world.check_events().len(), 1);
}

#[tokio::test]
async fn of_fifty_who_want_a_slot_the_database_gives_it_to_one() {
    let world = Arc::new(World::new(false).await);
    assert_eq!(race(&world, &processes(&world, 5), 50).await.len(), 1);
    assert_eq!(world.text("SELECT count(*) FROM slot_holds").await, "1");
    assert_eq!(world.check_events().len(), 1);
}

#[tokio::test]
async fn of_fifty_one_gets_the_slot_though_redis_dies_and_comes_back_empty_in_between() {
    let mut world = World::new(true).await;
    let processes = processes(&world, 5);
    let mut arc = Arc::new(world);
    assert_eq!(race(&arc, &processes, 20).await.len(), 1);
    world = Arc::into_inner(arc).unwrap();
    world.redis.down();
    arc = Arc::new(world);
    assert_eq!(race(&arc, &processes, 15).await.len(), 0);
    world = Arc::into_inner(arc).unwrap();
    world.redis.up().await;
    arc = Arc::new(world);
    assert_eq!(race(&arc, &processes, 15).await.len(), 0);
}

#[tokio::test]
async fn of_one_drivers_requests_at_once_no_more_than_three_are_held() {
    for with_redis in [true, false] {
        let world = Arc::new(World::new(with_redis).await);
        let processes = processes(&world, 4);
        let driver = world.driver().await;
        let mut tasks = JoinSet::new();
        for index in 0..12usize {
            let (world, process) = (Arc::clone(&world), Arc::clone(&processes[index % 4]));
            tasks.spawn(async move {
                let hour = format!("{:02}:00", 11 + index / 2);
                world.hold(&process, driver, index % 2, &hour, &hour.replace(":00", ":45")).await
            });
        }
        let mut won = 0;
        while let Some(result) = tasks.join_next().await {
            match result.unwrap() {
                Ok(_) => won += 1,
                lost => assert_eq!(conflict(lost), "TOO_MANY_HOLDS"),
            }
        }
        assert_eq!(won, 3);
    }
}

/// Confirms at once.
async fn confirmed(
    world: &World,
    desk: &Desk,
    payments: &Payments,
    driver: UserId,
    hold: &SlotHold,
) -> Result<(), Failure> {
    let confirmation: Confirmation = shared::read_fields(json!({ "holdToken": hold.token })).unwrap();
    confirm(desk, payments, &world.caller(driver, Role::Driver), confirmation).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_meanwhile_no_two_bookings_overlap() {
    let mut world = World::new(true).await;
    let processes = processes(&world, 4);
    let settings = HoldSettings { lifetime: TimeDelta::seconds(600), most_per_user: 3 };
    let desk = Arc::new(Desk::new(world.outbox(), Holds::new(Cache::new(world.redis_url()), settings)));
    let account = json!({ "apiKey": "sk_test_1", "webhookSecrets": ["whsec_1234567890123456"], "url": "http://127.0.0.1:9" });
    let secret = AccountSecret::given(serde_json::from_value(account).unwrap());
    let payments = Arc::new(Payments::new(world.outbox(), Provider::new(secret, PATIENCE).unwrap()));
    let mut drivers = Vec::new();
    for _ in 0..60 {
        drivers.push(world.driver().await);
    }
    let mut redis = world.redis.handed_over();
    let world = Arc::new(world);
    let mut tasks = JoinSet::new();
    for (index, driver) in drivers.into_iter().enumerate() {
        let (world, process) = (Arc::clone(&world), Arc::clone(&processes[index % 4]));
        let (desk, payments) = (Arc::clone(&desk), Arc::clone(&payments));
        tasks.spawn(async move {
            // Each overlaps the next two.
            let from = 11 * 60 + (index % 10) * 20;
            let time = |minutes: usize| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let held = world.hold(&process, driver, 0, &time(from), &time(from + 60)).await;
            let code = match held {
                Ok(hold) => confirmed(&world, &desk, &payments, driver, &hold).await,
                Err(failure) => Err(failure),
            };
            match code {
                Ok(()) => "BOOKED",
                Err(Failure::Conflict { code, .. }) => code,
                Err(Failure::NotFound(what)) => what,
                Err(failure) => panic!("{failure:?}"),
            }
        });
    }
    let mut told = Vec::new();
    let mut is_down = false;
    while let Some(result) = tasks.join_next().await {
        told.push(result.unwrap());
        match told.len() {
            5 => {
                redis.down();
                is_down = true;
            }
            30 if is_down => {
                redis.up().await;
                is_down = false;
            }
            _ => {}
        }
    }
    let booked = told.iter().filter(|code| **code == "BOOKED").count();
    assert!(booked >= 1, "{told:?}");
    assert!(
        told.iter().all(|code| ["BOOKED", "SLOT_TAKEN", "HOLD_EXPIRED", "hold"].contains(code)),
        "{told:?}"
    );
    let open = world.text("SELECT count(*) FROM bookings WHERE status = 'CONFIRMED'").await;
    assert_eq!(open, booked.to_string());
    let overlapping = world
        .text(
            "SELECT count(*) FROM bookings a JOIN bookings b ON a.id < b.id AND a.connector_id = b.connector_id
                 AND tstzrange(a.start_ts, a.end_ts) && tstzrange(b.start_ts, b.end_ts)",
        )
        .await;
    assert_eq!(overlapping, "0");
}
