//! What the clock and sessions make of bookings: due, begun, over, or nobody came. In any order, any number of times.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;

use booking::{Marked, Policy};
use desk::{World, shown};
use futures::future::join_all;
use serde_json::json;

#[tokio::test]
async fn who_does_not_come_in_time_has_lost_the_connector() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let booked = world.booked(driver, place, 20, 80).await;

    // Told ten minutes before, and once.
    world.later(9);
    assert_eq!(world.mark().await, Marked::default());
    world.later(1);
    assert_eq!(join_all((0..3).map(|_| world.mark())).await.iter().map(|run| run.due).sum::<usize>(), 1);
    let due = world.events("BOOKING_DUE").await;
    assert_eq!((due.len(), &due[0]["bookingId"]), (1, &json!(booked.id)));
    assert!(due[0]["reservationId"].as_i64().unwrap() > 0);

    let current = format!("SELECT current_booking_id FROM connectors WHERE id = '{}'", place.connector);
    assert_eq!(world.text(&current).await, "");
    world.later(24);
    world.run(&format!("UPDATE connectors SET status = 'RESERVED' WHERE id = '{}'", place.connector)).await;
    assert_eq!(world.mark().await, Marked::default(), "a minute of grace is left");
    assert_eq!(world.text(&current).await, booked.id.to_string());
    world.later(1);
    let runs = join_all((0..4).map(|_| world.mark())).await;
    assert_eq!(runs.iter().map(|run| run.no_shows).sum::<usize>(), 1);
    assert_eq!(world.status(booked.id).await, "NO_SHOW");
    assert_eq!(world.text(&current).await, "");
    let told = world.events("BOOKING_NO_SHOW").await;
    assert_eq!((told.len(), &told[0]["refunded"]), (1, &json!("0.00")));
    assert_eq!(world.balance(driver).await, "7.50");
    let freed = world.events("CONNECTOR_STATUS_CHANGED").await;
    assert_eq!((freed.len(), &freed[0]["status"]), (1, &json!("AVAILABLE")));

    // The rest of the time is anybody's.
    let other = world.driver("10").await;
    world.booked(other, place, 1, 30).await;
    world.check_books().await;
}

#[tokio::test]
async fn a_policy_may_give_a_part_back_and_gives_it_once() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    world.policy = Policy { no_show_refund: "30".parse().unwrap(), ..Policy::default() };
    let (one, other) = (world.driver("10").await, world.driver("10").await);
    let (here, there) = (world.place().await, world.place().await);
    let first = world.booked(one, here, 20, 30).await;
    let second = world.booked(other, there, 20, 90).await;
    // Over before its grace is.
    world.later(30);
    assert_eq!(world.mark().await.no_shows, 1);
    assert_eq!(
        (world.status(first.id).await, world.status(second.id).await),
        ("NO_SHOW".into(), "CONFIRMED".into())
    );
    world.later(5);
    let runs = join_all((0..4).map(|_| world.mark())).await;
    assert_eq!(runs.iter().map(|run| run.no_shows).sum::<usize>(), 1);
    for driver in [one, other] {
        assert_eq!(world.balance(driver).await, "8.25");
    }
    assert_eq!(world.text("SELECT count(*) FROM refunds WHERE actor_id IS NULL").await, "2");
    assert_eq!(world.events("PAYMENT_REFUNDED").await.len(), 2);
    assert_eq!(world.events("BOOKING_NO_SHOW").await[1]["refunded"], "0.75");
    world.check_books().await;
}

#[tokio::test]
async fn a_session_of_the_driver_makes_the_booking_active_and_then_completed() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 20, 80).await;
    world.later(11);
    let session = world.session(driver, place, "IN_PROGRESS", 0).await;
    for _ in 0..2 {
        world.tell("SESSION_STARTED", session).await;
        assert_eq!(world.status(booked.id).await, "ACTIVE");
    }
    world.later(30);
    assert_eq!(world.mark().await.no_shows, 0);
    world.end(session).await;
    for event_type in ["SESSION_ENDED", "SESSION_STARTED", "SESSION_ENDED"] {
        world.tell(event_type, session).await;
        assert_eq!(world.status(booked.id).await, "COMPLETED");
    }
    let noted = format!("SELECT session_id FROM bookings WHERE id = '{}'", booked.id);
    assert_eq!(world.text(&noted).await, session.to_string());
    // What is left of the time is free.
    let other = world.driver("0").await;
    world.booked(other, place, 1, 30).await;
    world.check_books().await;
}

#[tokio::test]
async fn the_end_may_be_told_before_the_start_or_not_at_all() {
    let mut world = World::new().await;
    let (driver, here, there) = (world.driver("0").await, world.place().await, world.place().await);
    let (told, untold) = (world.booked(driver, here, 5, 60).await, world.booked(driver, there, 5, 60).await);
    world.later(6);
    let session = world.session(driver, here, "COMPLETED", 0).await;
    world.tell("SESSION_ENDED", session).await;
    world.tell("SESSION_STARTED", session).await;
    assert_eq!(world.status(told.id).await, "COMPLETED");

    // No event came: the clock finds the session, while it runs and when it is over.
    let silent = world.session(driver, there, "IN_PROGRESS", 1).await;
    world.later(20);
    assert_eq!(world.mark().await, Marked { due: 1, followed: 1, ..Marked::default() });
    assert_eq!(world.status(untold.id).await, "ACTIVE");
    world.end(silent).await;
    assert_eq!(world.mark().await, Marked { completed: 1, ..Marked::default() });
    assert_eq!(world.status(untold.id).await, "COMPLETED");
    assert_eq!(world.mark().await, Marked::default());
    world.check_books().await;
}

#[tokio::test]
async fn only_the_drivers_own_session_there_and_then_counts() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("0").await, world.driver("0").await);
    let (place, elsewhere) = (world.place().await, world.place().await);
    let booked = world.booked(driver, place, 20, 80).await;
    for session in [
        // Too early, by another, elsewhere, after the end, and never begun.
        world.session(driver, place, "COMPLETED", 9).await,
        world.session(other, place, "COMPLETED", 25).await,
        world.session(driver, elsewhere, "COMPLETED", 25).await,
        world.session(driver, place, "COMPLETED", 80).await,
    ] {
        world.tell("SESSION_STARTED", session).await;
        assert_eq!(world.status(booked.id).await, "CONFIRMED");
    }
    let trying = world.session(driver, place, "STARTING", 25).await;
    world.tell("SESSION_STARTED", trying).await;
    world.later(36);
    assert_eq!(world.mark().await.no_shows, 0, "the charger may still begin");
    world
        .run(&format!(
            "UPDATE sessions SET status = 'FAILED', start_time = NULL WHERE id = '{trying}';
             DELETE FROM open_sessions WHERE session_id = '{trying}'"
        ))
        .await;
    assert_eq!(world.mark().await.no_shows, 1);
    assert_eq!(world.status(booked.id).await, "NO_SHOW");
    world.check_books().await;
}

#[tokio::test]
async fn a_session_that_is_reported_late_still_completes_its_booking() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 5, 60).await;
    world.later(90);
    assert_eq!(world.mark().await.no_shows, 1);
    // The charger had been offline.
    let session = world.session(driver, place, "COMPLETED", -80).await;
    world.tell("SESSION_ENDED", session).await;
    assert_eq!(world.status(booked.id).await, "COMPLETED");
}

#[tokio::test]
async fn who_charges_from_before_has_come_when_the_time_begins() {
    let mut world = World::new().await;
    let driver = world.driver("0").await;
    let (here, there, gone) = (world.place().await, world.place().await, world.place().await);
    let seen = world.booked(driver, here, 20, 80).await;
    let (unseen, left) =
        (world.booked(driver, there, 20, 80).await, world.booked(driver, gone, 20, 80).await);
    world.later(5);
    let (first, second) = (
        world.session(driver, here, "IN_PROGRESS", 0).await,
        world.session(driver, there, "IN_PROGRESS", 0).await,
    );
    let short = world.session(driver, gone, "IN_PROGRESS", 0).await;
    world.tell("SESSION_STARTED", first).await;
    world.later(13);
    world.end(short).await;
    world.tell("SESSION_ENDED", short).await;
    world.later(1);
    assert_eq!(world.mark().await, Marked { due: 3, ..Marked::default() });
    for booking in [&seen, &unseen, &left] {
        assert_eq!(world.status(booking.id).await, "CONFIRMED", "its time has not begun");
    }
    // Of one the clock hears nothing before it is over.
    world.later(1);
    world.end(second).await;
    world.tell("SESSION_ENDED", second).await;
    assert_eq!(world.status(unseen.id).await, "CONFIRMED", "it ended as the time began");
    world.later(1);
    world.run(&format!("UPDATE sessions SET end_time = '{}' WHERE id = '{second}'", world.now)).await;
    world.tell("SESSION_ENDED", second).await;
    assert_eq!(world.status(unseen.id).await, "COMPLETED");
    assert_eq!(world.mark().await, Marked { followed: 1, ..Marked::default() });
    assert_eq!(world.status(seen.id).await, "ACTIVE");
    world.later(14);
    assert_eq!(world.mark().await, Marked { no_shows: 1, ..Marked::default() });
    assert_eq!(world.status(left.id).await, "NO_SHOW");
    world.end(first).await;
    world.tell("SESSION_ENDED", first).await;
    assert_eq!(world.status(seen.id).await, "COMPLETED");
    world.check_books().await;
}

#[tokio::test]
async fn a_session_may_be_that_of_bookings_in_a_row() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let (first, next, later) = (
        world.booked(driver, place, 5, 60).await,
        world.booked(driver, place, 60, 120).await,
        world.booked(driver, place, 120, 180).await,
    );
    let statuses = async |world: &World| {
        let mut all = Vec::new();
        for booking in [&first, &next, &later] {
            all.push(world.status(booking.id).await);
        }
        all.join(" ")
    };
    let current = format!("SELECT current_booking_id FROM connectors WHERE id = '{}'", place.connector);
    world.later(7);
    let session = world.session(driver, place, "IN_PROGRESS", 0).await;
    world.tell("SESSION_STARTED", session).await;
    assert_eq!(statuses(&world).await, "ACTIVE CONFIRMED CONFIRMED");
    world.later(69);
    assert_eq!(world.mark().await, Marked { due: 1, followed: 1, ..Marked::default() });
    assert_eq!(statuses(&world).await, "ACTIVE ACTIVE CONFIRMED");
    assert_eq!(world.text(&current).await, next.id.to_string());
    world.later(39);
    world.end(session).await;
    for event_type in ["SESSION_ENDED", "SESSION_STARTED"] {
        world.tell(event_type, session).await;
        assert_eq!(statuses(&world).await, "COMPLETED COMPLETED CONFIRMED");
    }
    assert_eq!(world.text(&current).await, "");
    world.later(20);
    assert_eq!(world.mark().await, Marked { due: 1, no_shows: 1, ..Marked::default() });
    world.check_books().await;
}

#[tokio::test]
async fn nobody_is_missed_who_charges_there() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 5, 20).await;
    world.later(21);
    let session = world.session(driver, place, "IN_PROGRESS", 0).await;
    world.tell("SESSION_STARTED", session).await;
    assert_eq!(world.mark().await.no_shows, 0);
    assert_eq!(world.status(booked.id).await, "CONFIRMED");
    world.end(session).await;
    world.tell("SESSION_ENDED", session).await;
    assert_eq!(world.mark().await.no_shows, 1, "it began when the time was over");
}

#[tokio::test]
async fn a_session_belongs_to_one_booking() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let (first, next) =
        (world.booked(driver, place, 5, 60).await, world.booked(driver, place, 60, 120).await);
    world.later(55);
    let session = world.session(driver, place, "IN_PROGRESS", 0).await;
    for event_type in ["SESSION_STARTED", "SESSION_ENDED", "SESSION_STARTED"] {
        world.tell(event_type, session).await;
    }
    world.end(session).await;
    world.tell("SESSION_ENDED", session).await;
    world.tell("SESSION_ENDED", session).await;
    assert_eq!(
        (world.status(first.id).await, world.status(next.id).await),
        ("COMPLETED".into(), "CONFIRMED".into())
    );
}

#[tokio::test]
async fn sixty_no_shows_are_found_by_two_runs_at_once_each_once() {
    let mut world = World::new().await;
    world.fee("1.00").await;
    world.policy = Policy { no_show_refund: "50".parse().unwrap(), ..Policy::default() };
    for _ in 0..60 {
        let (driver, place) = (world.driver("1").await, world.place().await);
        world.booked(driver, place, 20, 80).await;
    }
    world.later(40);
    let (one, other) = tokio::join!(world.mark(), world.mark());
    let left = world.mark().await;
    assert_eq!(one.no_shows + other.no_shows + left.no_shows, 60);
    assert_eq!(world.events("BOOKING_NO_SHOW").await.len(), 60);
    assert_eq!(world.text("SELECT round(sum(wallet_balance), 2) FROM users").await, "30.00");
    world.check_books().await;
}

#[tokio::test]
async fn lapsed_holds_go_when_no_news_of_them_can_come_any_more() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    world.hold(driver, place, 60, 120).await;
    world.later(69);
    assert_eq!(world.mark().await.purged, 0);
    world.later(1);
    assert_eq!(world.mark().await.purged, 1);
    let booked = world.booked(driver, place, 60, 120).await;
    assert_eq!(shown(booked.price), "");
}

#[tokio::test]
async fn money_that_cannot_go_back_keeps_nobody_else_from_theirs() {
    let mut world = World::new().await;
    world.fee("1.00").await;
    world.policy = Policy { no_show_refund: "50".parse().unwrap(), ..Policy::default() };
    let mut stuck = Vec::new();
    for _ in 0..21 {
        let (driver, place) = (world.driver("1").await, world.place().await);
        stuck.push(world.booked(driver, place, 20, 80).await);
    }
    world.run("UPDATE users SET wallet_currency = 'USD'").await;
    let (driver, place) = (world.driver("1").await, world.place().await);
    let good = world.booked(driver, place, 21, 80).await;
    world.run("UPDATE connectors SET status = 'RESERVED'").await;
    world.later(40);
    for no_shows in [1, 0] {
        let due = if no_shows == 1 { 22 } else { 0 };
        assert_eq!(world.mark().await, Marked { due, no_shows, failed: 21, ..Marked::default() });
    }
    assert_eq!((world.status(good.id).await, world.balance(driver).await), ("NO_SHOW".into(), "0.50".into()));
    for booking in &stuck {
        assert_eq!(world.status(booking.id).await, "CONFIRMED");
    }
    for event_type in ["BOOKING_NO_SHOW", "CONNECTOR_STATUS_CHANGED", "PAYMENT_REFUNDED"] {
        assert_eq!(world.events(event_type).await.len(), 1, "{event_type}");
    }
    world.run("UPDATE users SET wallet_currency = 'EUR'").await;
    assert_eq!(world.mark().await, Marked { no_shows: 21, ..Marked::default() });
    assert_eq!(world.text("SELECT round(sum(wallet_balance), 2) FROM users").await, "11.00");
    world.check_books().await;
}
