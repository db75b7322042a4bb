use booking::{Desk, Tracked, track};
use redis::Commands;
use scratch::until;
use serde_json::Value;
use shared::{Envelope, Events, Failure};

use crate::world::{World, conflict};

#[tokio::test]
async fn a_hold_that_nobody_can_be_told_of_is_given_back() {
    let world = World::new(true).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);
    let kept = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();

    world.bus.refuse(true);
    for _ in 0..4 {
        let failure = world.hold(&process, you, 1, "12:00", "13:00").await.unwrap_err();
        assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    }
    // Whoever had theirs keeps it, told again or not.
    let failure = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");

    world.bus.refuse(false);
    assert_eq!(world.hold(&process, me, 0, "12:00", "13:00").await.unwrap().token, kept.token);
    let third = world.driver().await;
    world.hold(&process, third, 1, "12:00", "13:00").await.unwrap();
    assert_eq!(conflict(world.hold(&process, you, 1, "12:00", "13:00").await), "SLOT_TAKEN");
}

#[tokio::test]
async fn what_redis_loses_is_kept_by_the_database_and_it_comes_back_by_itself() {
    let mut world = World::new(true).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);
    let early = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    let given_back = world.hold(&process, me, 0, "15:00", "16:00").await.unwrap();
    world.release(&process, me, &given_back).await.unwrap();

    // Gone: the mirror answers, and holds are taken beside it.
    world.redis.down();
    assert_eq!(conflict(world.hold(&process, you, 0, "12:30", "13:30").await), "SLOT_TAKEN");
    assert_eq!(world.hold(&process, me, 0, "12:00", "13:00").await.unwrap().token, early.token);
    let late = world.hold(&process, you, 0, "14:00", "15:00").await.unwrap();
    assert_eq!(
        world.free(&process, "12:00", "16:00").await,
        "2 12:00, 1 13:00, 2 13:00, 2 14:00, 1 15:00, 2 15:00"
    );
    assert!(process.holds.find(&late.token, you, world.now).await.unwrap().is_none());

    // Back and empty: nothing of either is given away, and new ones are Redis's again.
    world.redis.up().await;
    let mut redis = redis::Client::open(world.redis_url()).unwrap().get_connection().unwrap();
    until("the process to try Redis again", async || {
        world.free(&process, "12:00", "13:00").await;
        redis.exists::<_, bool>(format!("station:{}:availability", world.station)).unwrap().then_some(())
    })
    .await;
    let third = world.driver().await;
    for (from, to) in [("12:00", "13:00"), ("14:30", "15:30")] {
        assert_eq!(conflict(world.hold(&process, third, 0, from, to).await), "SLOT_TAKEN", "{from}");
    }
    let again = until("the desk to try Redis again", async || {
        let hold = world.hold(&process, third, 1, "18:00", "19:00").await.unwrap();
        if redis.exists::<_, bool>(format!("user:{third}:holds")).unwrap() {
            return Some(hold);
        }
        world.release(&process, third, &hold).await.unwrap();
        None
    })
    .await;
    assert!(process.holds.find(&again.token, third, world.now).await.unwrap().is_some());
    world.release(&process, you, &late).await.unwrap();
    world.hold(&process, third, 0, "14:00", "15:00").await.unwrap();
    world.check_events();
}

#[tokio::test]
async fn nobody_waits_for_a_process_to_notice_that_redis_was_restarted() {
    let mut world = World::new(true).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);
    world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    world.redis.down();
    world.redis.up().await;
    // Its connection is to the one that is gone.
    let hold = world.hold(&process, you, 0, "14:00", "15:00").await.unwrap();
    assert!(process.holds.find(&hold.token, you, world.now).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_given_back_stays_so_whenever_its_news_comes() {
    let mut world = World::new(true).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);
    let early = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    // The news is under way when Redis dies, and nobody else knows of the hold.
    world.run("DELETE FROM slot_holds").await;
    world.redis.down();
    assert!(world.release(&process, me, &early).await.unwrap());
    let news = world.bus.told().pop().unwrap();
    world.sql.execute("SELECT mirror_hold($1)", &[&news]).await.unwrap();
    world.hold(&process, you, 0, "12:30", "13:30").await.unwrap();
    assert!(world.release(&process, me, &early).await.unwrap(), "again");

    // A process that has just met Redis's death gives back in Redis what others took there since.
    world.redis.up().await;
    let other = world.process();
    let late = world.hold(&other, me, 0, "15:00", "16:00").await.unwrap();
    assert!(other.holds.find(&late.token, me, world.now).await.unwrap().is_some());
    assert!(world.release(&process, me, &late).await.unwrap());
    assert!(other.holds.find(&late.token, me, world.now).await.unwrap().is_none());
}

#[tokio::test]
async fn the_news_of_a_hold_that_redis_lost_reaches_those_who_read_before_it() {
    let mut world = World::new(true).await;
    let process = world.process();
    let me = world.driver().await;
    world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    // The news is under way when Redis comes back empty.
    world.run("DELETE FROM slot_holds").await;
    world.redis.down();
    world.redis.up().await;
    let mut redis = redis::Client::open(world.redis_url()).unwrap().get_connection().unwrap();
    until("the calendar to be in Redis", async || {
        assert_eq!(world.free(&process, "12:00", "13:00").await, "1 12:00, 2 12:00");
        redis.exists::<_, bool>(format!("station:{}:availability", world.station)).unwrap().then_some(())
    })
    .await;
    let news: Envelope<Value> = serde_json::from_value(world.bus.told().pop().unwrap()).unwrap();
    let news = news.map(|event_type, fields| Tracked::read(event_type, fields).unwrap()).unwrap();
    let desk = Desk::new(world.outbox(), world.process().holds);
    track(&desk, news, world.now).await.unwrap();
    assert_eq!(world.free(&process, "12:00", "13:00").await, "2 12:00");
}

#[tokio::test]
async fn what_redis_keeps_is_small_and_goes_away() {
    let world = World::new(true).await;
    let process = world.process();
    let me = world.driver().await;
    let hold = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    let mut redis = redis::Client::open(world.redis_url()).unwrap().get_connection().unwrap();
    let mut keys: Vec<String> = redis.keys("*").unwrap();
    keys.sort();
    assert_eq!(
        keys,
        [
            format!("connector:{}:holds", hold.connector_id),
            format!("holds:account:{me}"),
            format!("station:{}:availability", world.station),
            format!("user:{me}:holds"),
        ]
    );
    for key in &keys {
        assert!((1..=3600).contains(&redis.ttl::<_, i64>(key).unwrap()), "{key}");
    }
    assert!(redis.ttl::<_, i64>(&keys[2]).unwrap() <= 60);
    world.release(&process, me, &hold).await.unwrap();
    let left: Vec<String> = redis.keys("*").unwrap();
    assert_eq!(left, [format!("holds:account:{me}")]);
}
