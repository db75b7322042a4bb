//! Who is let in, how many, and how they are greeted and forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use chrono::TimeDelta;
use futures::future::join_all;
use live::{MOST_CONNECTIONS, News, SocketEvent, disconnect};
use serde_json::json;
use shared::Failure;
use support::forged::corpus;
use support::{World, handshake, message, now};
use uuid::Uuid;

fn names(prefix: &str, count: u8) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}=")).collect()
}

#[tokio::test]
async fn only_a_good_token_opens_a_socket() {
    let world = World::new().await;
    let door = world.door();
    for (what, token) in corpus(&world.issuer) {
        let answer = door.connect(&handshake("s=", &token, now()), now()).await.unwrap();
        assert_eq!((answer.status_code, answer.headers["WWW-Authenticate"]), (401, "Bearer"), "{what}");
    }
    let nothing: SocketEvent =
        serde_json::from_value(json!({"requestContext": {"connectionId": "s=", "connectedAt": 0}})).unwrap();
    assert_eq!(door.connect(&nothing, now()).await.unwrap().status_code, 401);
    assert!(world.rows().await.is_empty());

    assert_eq!(world.dial(&door, Uuid::now_v7(), "s=").await, 200);
    let by_header: SocketEvent = serde_json::from_value(json!({
        "headers": {"Authorization": format!("Bearer {}", world.issuer.good())},
        "requestContext": {"connectionId": "t=", "connectedAt": now().timestamp_millis()},
    }))
    .unwrap();
    assert_eq!(door.connect(&by_header, now()).await.unwrap().status_code, 200);
    assert_eq!(world.rows().await.len(), 4, "a socket and a place each");
}

#[tokio::test]
async fn a_user_has_ten_sockets_at_most_however_they_dial() {
    let world = World::new().await;
    let (door, user) = (world.door(), Uuid::now_v7());
    let dialled = names("a", 25);
    let statuses = join_all(dialled.iter().map(|name| world.dial(&door, user, name))).await;
    let open: Vec<_> = dialled.iter().zip(&statuses).filter(|(_, status)| **status == 200).collect();
    assert_eq!(open.len(), usize::from(MOST_CONNECTIONS), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)));
    assert_eq!(world.dial(&door, Uuid::now_v7(), "other=").await, 200, "each has their own");

    // A goodbye makes room for one, and said again for no other.
    let leaving = message(open[0].0, "");
    for _ in 0..2 {
        assert_eq!(disconnect(&world.table(), &leaving).await.unwrap().status_code, 200);
    }
    assert_eq!(world.dial(&door, user, "b1=").await, 200);
    disconnect(&world.table(), &leaving).await.unwrap();
    assert_eq!(world.dial(&door, user, "b2=").await, 429);
}

#[tokio::test]
async fn sockets_that_ended_without_a_word_give_their_places_back() {
    let world = World::new().await;
    let (door, user) = (world.door(), Uuid::now_v7());
    let begun = now() - TimeDelta::minutes(1);
    for name in names("old", 9) {
        let event = handshake(&name, &world.token(user), begun);
        assert_eq!(door.connect(&event, begun).await.unwrap().status_code, 200);
        world.gateway.open_socket(&name);
    }
    // API Gateway does not know this one either, but its handshake may be under way.
    let event = handshake("new=", &world.token(user), now());
    assert_eq!(door.connect(&event, now()).await.unwrap().status_code, 200);
    assert_eq!(world.dial(&door, user, "more=").await, 429);

    let station = Uuid::now_v7();
    world.subscribe("old3=", station).await;
    world.gateway.close_socket("old3=");
    world.gateway.close_socket("old5=");
    assert_eq!(world.dial(&door, user, "more1=").await, 200);
    assert_eq!(world.dial(&door, user, "more2=").await, 200);
    assert_eq!(world.dial(&door, user, "more3=").await, 429);
    let rows = world.rows().await;
    assert!(!rows.iter().any(|(pk, sk)| pk.contains("old3") || sk.contains("old3")), "{rows:?}");

    // What is over is over even before DynamoDB sweeps it.
    let later = now() + TimeDelta::hours(3);
    let event = handshake(
        "later=",
        &world.issuer.with_claims(json!({"sub": user, "exp": later.timestamp() + 60})),
        later,
    );
    assert_eq!(door.connect(&event, later).await.unwrap().status_code, 200);
}

#[tokio::test]
async fn a_socket_is_greeted_once_as_soon_as_it_is_there() {
    let world = World::new().await;
    let (door, feed) = (world.door(), world.feed());
    let event = handshake("s=", &world.issuer.good(), now());
    assert_eq!(door.connect(&event, now()).await.unwrap().status_code, 200);
    let queued: [News; 1] = world.queued().await.try_into().unwrap();
    let [News::Connected(greeting)] = queued else { panic!() };
    let greet = async || feed.deliver(News::Connected(greeting.clone()), now()).await;
    assert!(matches!(greet().await, Err(Failure::Unavailable(_))), "it may still come");

    // It comes while it is being tried.
    let coming = async {
        while world.gateway.lost() < 6 {
            tokio::task::yield_now().await;
        }
        world.gateway.open_socket("s=");
    };
    let (greeted, ()) = tokio::join!(greet(), coming);
    greeted.unwrap();
    greet().await.unwrap();
    let timestamp = greeting.timestamp.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let connected = json!({"event": "connected", "data": {"socketId": "s=", "timestamp": timestamp}});
    assert_eq!(world.gateway.frames("s="), [connected]);
}

#[tokio::test]
async fn a_socket_that_never_comes_is_forgotten() {
    let world = World::new().await;
    let begun = now() - TimeDelta::seconds(11);
    let event = handshake("s=", &world.issuer.good(), begun);
    assert_eq!(world.door().connect(&event, now()).await.unwrap().status_code, 200);
    let [greeting] = world.queued().await.try_into().unwrap();
    world.feed().deliver(greeting, now()).await.unwrap();
    assert_eq!(world.gateway.lost(), 4);
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn a_handshake_that_fails_leaves_nothing() {
    let world = World::new().await;
    let door = world.door_to("http://127.0.0.1:1/000000000000/gone");
    let event = handshake("s=", &world.issuer.good(), now());
    assert!(door.connect(&event, now()).await.unwrap_err().retryable());
    assert!(world.rows().await.is_empty());
}
