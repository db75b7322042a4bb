//! Updates reach who asked for them, each once and in order, whatever comes between.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use rand::seq::SliceRandom;
use scratch::{free_port, until};
use serde_json::json;
use shared::{Failure, Timestamp};
use support::{Update, World, now, wish};
use uuid::Uuid;

fn start() -> Timestamp {
    "2026-02-21T12:00:00Z".parse().unwrap()
}

fn seconds(count: i64) -> Timestamp {
    start() + TimeDelta::seconds(count)
}

/// `count` updates of a connector, a second apart.
fn updates(station: Uuid, connector: Uuid, count: i64) -> Vec<Update> {
    (0..count).map(|second| Update::new(station, connector, seconds(second))).collect()
}

#[tokio::test]
async fn subscribers_hear_every_update_once_and_in_order() {
    let world = World::new().await;
    let (station, connector, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 20).await;
    let stranger = world.open("t", 1).await.pop().unwrap();
    world.subscribe_all(&sockets, station).await;
    world.subscribe(&stranger, other).await;

    let feeds = [world.feed(), world.feed()];
    let all = updates(station, connector, 12);
    for (update, feed) in all.iter().zip(feeds.iter().cycle()) {
        update.deliver(feed).await;
        // Twice at once, and once more.
        tokio::join!(update.deliver(&feeds[0]), update.deliver(&feeds[1]));
        update.deliver(feed).await;
    }
    all[3].deliver(&feeds[0]).await;
    let expected: Vec<_> = all.iter().map(|update| update.at.timestamp()).collect();
    for socket in &sockets {
        assert_eq!(world.gateway.heard(socket, None), expected);
    }
    assert_eq!(world.gateway.frames(&stranger), [json!({})][..0]);
    let frame = json!({"event": "station_update", "data": {
        "stationId": station, "type": "connector_status_update",
        "data": {"connectorId": connector, "status": "OCCUPIED", "updatedAt": start().timestamp()},
    }});
    assert_eq!(world.gateway.frames(&sockets[0])[0], frame);

    // Who leaves hears no more; who comes hears what is new.
    world.told(&sockets[0], &wish("unsubscribe_station", station)).await;
    world.subscribe(&stranger, station).await;
    Update::new(station, connector, seconds(100)).deliver(&feeds[1]).await;
    assert_eq!(world.gateway.heard(&sockets[0], None), expected);
    assert_eq!(world.gateway.heard(&sockets[1], None).len(), expected.len() + 1);
    assert_eq!(world.gateway.heard(&stranger, None), [seconds(100).timestamp()]);
}

#[tokio::test]
async fn no_order_of_deliveries_turns_an_update_round() {
    let world = World::new().await;
    let stations: Vec<_> = (0..5).map(|_| [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()]).collect();
    let sockets = world.open("s", 60).await;
    let mut asked: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, socket) in sockets.iter().enumerate() {
        for place in [number % 5, (number / 5) % 5] {
            if asked.entry(socket).or_default().contains(&place) {
                continue;
            }
            world.subscribe(socket, stations[place][0]).await;
            asked.entry(socket).or_default().push(place);
        }
    }

    let mut rng = rand::rng();
    let mut deliveries = Vec::new();
    let mut newest = BTreeMap::new();
    for [station, one, two] in &stations {
        for connector in [one, two] {
            let all = updates(*station, *connector, 12);
            newest.insert(*connector, all[11].at.timestamp());
            for update in all {
                let copies = rand::random_range(1..=3);
                deliveries.extend(std::iter::repeat_n(update, copies));
            }
        }
    }
    // Nearly in order, as a queue is: what is late is late by some places.
    deliveries.sort_by_key(|update| update.at);
    for window in deliveries.chunks_mut(40) {
        window.shuffle(&mut rng);
    }
    let feeds = [world.feed(), world.feed(), world.feed()];
    let delivering =
        deliveries.iter().zip(feeds.iter().cycle()).map(async |(update, feed)| update.deliver(feed).await);
    let mut delivering = stream::iter(delivering).buffer_unordered(12);
    while delivering.next().await.is_some() {}

    let mut told = 0;
    for (socket, places) in asked {
        let mut heard_of_all = 0;
        for (place, [station, one, two]) in stations.iter().enumerate() {
            for connector in [one, two] {
                let heard = world.gateway.heard(socket, Some(*connector));
                heard_of_all += heard.len();
                if !places.contains(&place) {
                    assert!(heard.is_empty(), "{socket} did not ask for {station}");
                    continue;
                }
                assert!(heard.is_sorted_by(|before, after| before < after), "{heard:?}");
                assert_eq!(heard.last(), Some(&newest[connector]));
            }
        }
        assert_eq!(world.gateway.heard(socket, None).len(), heard_of_all);
        told += heard_of_all;
    }
    assert!(told > 200, "{told}");
}

#[tokio::test]
async fn an_older_update_never_follows_even_a_newer_one_that_did_not_reach_all() {
    let world = World::new().await;
    let (station, connector) = (Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 3).await;
    world.subscribe_all(&sockets, station).await;
    let (feed, other) = (world.feed(), world.feed());
    let [old, new] = updates(station, connector, 2).try_into().unwrap();

    // One try of three fails: nobody notices.
    world.gateway.fail(&sockets[0], 1);
    // All fail: it is for the queue to try again.
    world.gateway.fail(&sockets[1], 3);
    assert!(matches!(feed.deliver(new.news(), now()).await, Err(Failure::Unavailable(_))));
    other.deliver(old.news(), now()).await.unwrap();
    other.deliver(new.news(), now()).await.unwrap();
    feed.deliver(new.news(), now()).await.unwrap();
    for (socket, posts) in sockets.iter().zip([2, 4, 1]) {
        assert_eq!(world.gateway.heard(socket, None), [new.at.timestamp()]);
        assert_eq!(world.gateway.posts(socket), posts);
    }

    // A newer one takes the place of what is owed.
    let newer = Update::new(station, connector, seconds(9));
    world.gateway.fail(&sockets[1], 3);
    let between = Update::new(station, connector, seconds(5));
    feed.deliver(between.news(), now()).await.unwrap_err();
    other.deliver(newer.news(), now()).await.unwrap();
    feed.deliver(between.news(), now()).await.unwrap();
    assert_eq!(world.gateway.heard(&sockets[1], None), [new.at.timestamp(), newer.at.timestamp()]);
}

#[tokio::test]
async fn of_one_moment_what_was_told_later_counts() {
    let world = World::new().await;
    let (station, connector) = (Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 1).await;
    world.subscribe_all(&sockets, station).await;
    let feed = world.feed();
    let first = Update::new(station, connector, start());
    let second = Update {
        told_at: first.told_at + TimeDelta::milliseconds(1),
        ..Update::new(station, connector, start())
    };
    second.deliver(&feed).await;
    first.deliver(&feed).await;
    assert_eq!(world.gateway.heard(&sockets[0], None).len(), 1);
    let third = Update { told_at: first.told_at + TimeDelta::milliseconds(2), ..first };
    third.deliver(&feed).await;
    assert_eq!(world.gateway.heard(&sockets[0], None).len(), 2);
}

#[tokio::test]
async fn sockets_that_are_gone_are_swept_and_none_else() {
    let world = World::new().await;
    let stations = [Uuid::now_v7(), Uuid::now_v7()];
    let sockets = world.open("s", 12).await;
    for station in stations {
        world.subscribe_all(&sockets, station).await;
    }
    for socket in &sockets[..5] {
        world.gateway.close_socket(socket);
    }
    let feed = world.feed();
    Update::new(stations[0], Uuid::now_v7(), start()).deliver(&feed).await;
    assert_eq!(world.gateway.lost(), 5);
    // A connection, a place and two subscriptions each.
    assert_eq!(world.rows().await.len(), 7 * 4);
    for station in stations {
        Update::new(station, Uuid::now_v7(), start()).deliver(&feed).await;
    }
    assert_eq!(world.gateway.lost(), 5);
    for socket in &sockets[5..] {
        assert_eq!(world.gateway.heard(socket, None).len(), 3);
    }
}

#[tokio::test]
async fn a_subscription_without_a_connection_is_swept_and_one_whose_time_is_over_ignored() {
    let world = World::new().await;
    let station = Uuid::now_v7();
    for (socket, expires_at) in [("orphan=", now() + TimeDelta::hours(1)), ("over=", now())] {
        let row = json!({"pk": format!("station#{station}"), "sk": socket});
        let put = world.dynamodb.put_item().table_name("live");
        let put = put.item(
            "expiresAt",
            aws_sdk_dynamodb::types::AttributeValue::N(expires_at.timestamp().to_string()),
        );
        let text =
            |name: &str| aws_sdk_dynamodb::types::AttributeValue::S(row[name].as_str().unwrap().into());
        put.item("pk", text("pk")).item("sk", text("sk")).send().await.unwrap();
    }
    world.gateway.open_socket("over=");
    Update::new(station, Uuid::now_v7(), start()).deliver(&world.feed()).await;
    assert_eq!(world.gateway.lost(), 1);
    assert!(world.gateway.frames("over=").is_empty());
    assert_eq!(world.rows().await, [(format!("station#{station}"), "over=".to_owned())]);
}

#[tokio::test]
async fn many_subscribers_are_told_page_by_page_and_a_broken_way_out_is_left_alone() {
    let world = World::new().await;
    let (station, connector) = (Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 400).await;
    world.subscribe_all(&sockets, station).await;
    let (feed, other) = (world.feed(), world.feed());
    Update::new(station, connector, seconds(1)).deliver(&feed).await;
    assert!(sockets.iter().all(|socket| world.gateway.heard(socket, None).len() == 1));

    // More fail than chance explains: those of the later pages are not tried.
    for socket in &sockets {
        world.gateway.fail(socket, 3);
    }
    let update = Update::new(station, connector, seconds(2));
    feed.deliver(update.news(), now()).await.unwrap_err();
    assert_eq!(sockets.iter().filter(|socket| world.gateway.posts(socket) > 1).count(), 256);
    for socket in &sockets {
        world.gateway.fail(socket, 0);
    }
    update.deliver(&other).await;
    update.deliver(&feed).await;
    assert!(sockets.iter().all(|socket| world.gateway.heard(socket, None).len() == 2));
}

#[tokio::test]
async fn a_sender_that_dies_is_taken_over_from_and_not_overtaken() {
    let world = World::new().await;
    let (station, connector) = (Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 3).await;
    world.subscribe_all(&sockets, station).await;
    let (feed, other) = (world.feed(), world.feed());
    let [old, new] = updates(station, connector, 2).try_into().unwrap();

    world.gateway.hang(&sockets[1], true);
    tokio::select! {
        _ = feed.deliver(new.news(), now()) => panic!("a socket hangs"),
        () = until("the first posts", async || (world.gateway.posts(&sockets[1]) > 0).then_some(())) => {}
    }
    world.gateway.hang(&sockets[1], false);
    // Its turn is not over: newer ones wait, older ones do not.
    other.deliver(old.news(), now()).await.unwrap();
    assert!(other.deliver(new.news(), now()).await.unwrap_err().retryable());
    new.deliver(&other).await;
    old.deliver(&other).await;
    for socket in &sockets {
        let heard = world.gateway.heard(socket, None);
        assert!(!heard.is_empty() && heard.iter().all(|second| *second == new.at.timestamp()), "{heard:?}");
    }
}

#[tokio::test]
async fn without_redis_updates_come_and_one_process_still_keeps_their_order() {
    let world = World::new().await;
    let (station, connector) = (Uuid::now_v7(), Uuid::now_v7());
    let sockets = world.open("s", 2).await;
    world.subscribe_all(&sockets, station).await;
    let feed = world.feed_at(format!("redis://127.0.0.1:{}", free_port()));
    let [old, new] = updates(station, connector, 2).try_into().unwrap();
    let begun = std::time::Instant::now();
    new.deliver(&feed).await;
    assert!(begun.elapsed() > Duration::from_secs(2), "it was waited for");
    let begun = std::time::Instant::now();
    old.deliver(&feed).await;
    new.deliver(&feed).await;
    Update::new(station, connector, seconds(9)).deliver(&feed).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "only once");
    for socket in &sockets {
        assert_eq!(world.gateway.heard(socket, None), [new.at.timestamp(), seconds(9).timestamp()]);
    }
}

#[tokio::test]
async fn old_news_are_no_news() {
    let world = World::new().await;
    let station = Uuid::now_v7();
    let sockets = world.open("s", 1).await;
    world.subscribe_all(&sockets, station).await;
    let mut update = Update::new(station, Uuid::now_v7(), start());
    update.told_at = now() - TimeDelta::minutes(61);
    update.deliver(&world.feed()).await;
    assert!(world.gateway.frames(&sockets[0]).is_empty());
}
