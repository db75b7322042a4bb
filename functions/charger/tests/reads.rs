//! What is read of sessions: lists with their filters, and open sessions from a cache that may be gone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Protocol, Records};
use chrono::TimeDelta;
use events::{News, refresh};
use scratch::{Redis, Server, free_port, until};
use serde_json::{Value, json};
use session::{ActiveRequest, Session, Status, Stores};
use shared::{Cache, Envelope, Events, Failure, Role, SessionId, UserId};
use support::{Driver, World, at};

fn start(tag: &str) -> Value {
    json!({"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": "2026-02-21T12:00:05Z"})
}

async fn list(
    world: &World,
    driver: &Driver,
    role: Role,
    arguments: Value,
) -> Result<Vec<SessionId>, Failure> {
    let request = serde_json::from_value(arguments).unwrap();
    let page = session::list(&world.sessions, world.caller_as(driver, role), request).await?;
    Ok(page.edges.into_iter().map(|edge| edge.node.id).collect())
}

/// A session of that moment; its id, as in life, is a little younger.
async fn held(world: &World, driver: UserId, station: usize, status: &str, created_at: &str) -> SessionId {
    let id = world
        .one(&format!(
            "SELECT overlay(uuid_v7_floor('{created_at}'::timestamptz + interval '40 ms')::text
                            placing substr(gen_random_uuid()::text, 25) FROM 25)"
        ))
        .await;
    let id = id.as_str().unwrap();
    world
        .run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                                   created_at, updated_at)
             SELECT '{id}', '{driver}', station_id, id, '{status}', 1, gen_random_uuid(), '{created_at}', '{created_at}'
             FROM connectors ORDER BY station_id OFFSET {station} LIMIT 1"
        ))
        .await;
    id.parse().unwrap()
}

#[tokio::test]
async fn a_list_is_filtered_by_place_time_and_state_and_is_one_s_own() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    for name in ["CP-1", "CP-2"] {
        world.charger(name, Protocol::Ocpp16, 1).await;
    }
    world.run("SELECT ensure_session_partitions('2026-01-01', 3)").await;
    let station = world.one("SELECT station_id FROM connectors ORDER BY station_id LIMIT 1").await;
    let moments = [
        "2026-01-31T23:59:59.990Z",
        "2026-02-01T00:00:00Z",
        "2026-02-28T23:59:59.990Z",
        "2026-03-01T00:00:00Z",
    ];
    let mut sessions = Vec::new();
    for (number, moment) in moments.into_iter().enumerate() {
        let status = if number == 3 { "IN_PROGRESS" } else { "COMPLETED" };
        sessions.push(held(&world, driver.id, number % 2, status, moment).await);
    }
    let foreign = held(&world, other.id, 0, "COMPLETED", moments[1]).await;
    let mine = async |arguments: Value| list(&world, &driver, Role::Driver, arguments).await.unwrap();

    assert_eq!(mine(json!({})).await, [sessions[3], sessions[2], sessions[1], sessions[0]]);
    // From the first moment of February to its last, although the ids are of a little later.
    let february = json!({"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"});
    assert_eq!(mine(february).await, [sessions[2], sessions[1]]);
    assert_eq!(mine(json!({"to": moments[1]})).await, [sessions[0]]);
    assert_eq!(mine(json!({"from": moments[2], "first": 1})).await, [sessions[3]]);
    assert_eq!(mine(json!({"stationId": station})).await, [sessions[2], sessions[0]]);
    assert_eq!(mine(json!({"stationId": station, "from": moments[1]})).await, [sessions[2]]);
    assert_eq!(mine(json!({"status": "IN_PROGRESS"})).await, [sessions[3]]);
    for nothing in [
        json!({"stationId": driver.id}),
        json!({"from": moments[1], "to": moments[1]}),
        json!({"from": "9999-12-31T00:00:00Z"}),
        json!({"to": "0001-01-01T00:00:00Z"}),
    ] {
        assert!(mine(nothing).await.is_empty());
    }
    assert_eq!(mine(json!({"from": "0001-01-01T00:00:00Z"})).await.len(), 4);

    let theirs = json!({"userId": other.id});
    assert!(matches!(list(&world, &driver, Role::Driver, theirs.clone()).await, Err(Failure::Forbidden(_))));
    assert!(matches!(list(&world, &driver, Role::Vendor, theirs.clone()).await, Err(Failure::Forbidden(_))));
    assert_eq!(list(&world, &driver, Role::Operator, theirs).await.unwrap(), [foreign]);
    assert_eq!(mine(json!({"userId": driver.id})).await.len(), 4);

    let active = session::active(&world.sessions, world.caller(&driver), ActiveRequest {}).await.unwrap();
    assert_eq!(active.iter().map(|session| session.id).collect::<Vec<_>>(), [sessions[3]]);
    let active = session::active(&world.sessions, world.caller(&other), ActiveRequest {}).await.unwrap();
    assert!(active.is_empty());
}

async fn get(stores: &Stores, world: &World, driver: &Driver, id: SessionId) -> Result<Session, Failure> {
    session::get(stores, world.caller(driver), serde_json::from_value(json!({"id": id})).unwrap()).await
}

/// The session's events so far, as the bus delivers them.
async fn news(world: &World) -> Vec<Envelope<News>> {
    let mut told = Vec::new();
    for event_type in ["SESSION_UPDATED", "SESSION_STARTED", "SESSION_ENDED"] {
        for event in world.events(event_type).await {
            let envelope: Envelope<Value> = serde_json::from_value(event).unwrap();
            told.push(envelope.map(|event_type, fields| News::read(event_type, fields).unwrap()).unwrap());
        }
    }
    told
}

#[tokio::test]
async fn an_open_session_is_read_from_the_cache_by_those_who_may_and_never_goes_back() {
    let mut world = World::new().await;
    let redis = Redis::start().await;
    let cache = Cache::new(redis.url());
    let stores = world.sessions_with(Cache::new(redis.url()));
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;

    // Starting writes it through; nobody else sees it there, either.
    let request = json!({"input": {"stationId": charger.station}});
    let request = serde_json::from_value(request).unwrap();
    let session = session::start(&stores, world.caller(&driver), request).await.unwrap();
    let key = format!("session:{}", session.id);
    assert_eq!(cache.get::<Session>(&key).await.as_ref(), Some(&session));
    assert!(matches!(get(&stores, &world, &other, session.id).await, Err(Failure::NotFound("session"))));
    let operator = world.caller_as(&other, Role::Operator);
    let request = serde_json::from_value(json!({"id": session.id})).unwrap();
    assert_eq!(session::get(&stores, operator, request).await.unwrap(), session);

    // What the charger reports comes with its events, in whatever order; as the database has it.
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    assert_eq!(get(&stores, &world, &driver, session.id).await.unwrap(), session, "the cache answers");
    let mut told = news(&world).await;
    told.reverse();
    for event in told {
        refresh(&cache, event, world.now).await.unwrap();
    }
    let running = get(&stores, &world, &driver, session.id).await.unwrap();
    assert_eq!(cache.get::<Session>(&key).await.as_ref(), Some(&running));
    assert_eq!(running, world.get(&driver, session.id).await);
    assert_eq!((running.status, running.tariff_id.is_some()), (Status::InProgress, true));

    // All of it within one moment by the clock: each state is newer than the one before all the same.
    let request = serde_json::from_value(json!({"id": session.id})).unwrap();
    let stopping = session::end(&stores, world.caller(&driver), request).await.unwrap();
    assert_eq!(get(&stores, &world, &driver, session.id).await.unwrap(), stopping);
    for event in news(&world).await {
        refresh(&cache, event, world.now).await.unwrap();
    }
    assert_eq!(get(&stores, &world, &driver, session.id).await.unwrap(), stopping);

    // Over, it is the database's alone, and no late event brings it back.
    let stop = json!({"transactionId": id, "meterStop": 5100, "timestamp": "2026-02-21T12:03:00Z"});
    world.call(&charger, "StopTransaction", stop).await;
    let mut told = news(&world).await;
    told.rotate_right(1);
    for event in told {
        refresh(&cache, event, world.now).await.unwrap();
    }
    assert!(cache.get::<Value>(&key).await.is_none());
    let ended = get(&stores, &world, &driver, session.id).await.unwrap();
    assert_eq!(ended.status, Status::Completed);

    // A miss is filled from the database; with Redis gone the database answers.
    world.now += TimeDelta::minutes(10);
    let next = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    assert_eq!(get(&stores, &world, &driver, next.id).await.unwrap(), next);
    assert_eq!(cache.get::<Session>(&format!("session:{}", next.id)).await, Some(next.clone()));
    drop(redis);
    assert_eq!(get(&stores, &world, &driver, next.id).await.unwrap(), next);
    let request = serde_json::from_value(json!({"id": next.id})).unwrap();
    let ended = session::end(&stores, world.caller(&driver), request).await.unwrap();
    assert_eq!(ended.status, Status::Cancelled);
    assert_eq!(get(&stores, &world, &driver, next.id).await.unwrap(), ended);
}

/// A Redis at a place that another one may take after it.
async fn redis_at(port: u16) -> Server {
    let mut command = std::process::Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    let server = Server::start(command.current_dir(std::env::temp_dir()));
    until("Redis", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    server
}

#[tokio::test]
async fn sessions_are_read_and_moved_while_redis_is_gone_and_told_right_when_it_is_back() {
    let world = World::new().await;
    let port = free_port();
    let redis = redis_at(port).await;
    let cache = Cache::new(format!("redis://127.0.0.1:{port}"));
    let stores = world.sessions_with(Cache::new(format!("redis://127.0.0.1:{port}")));
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 2).await;
    let start_one = async || {
        let request = json!({"input": {"stationId": charger.station}});
        let request = serde_json::from_value(request).unwrap();
        session::start(&stores, world.caller(&driver), request).await.unwrap()
    };
    let active = async || session::active(&stores, world.caller(&driver), ActiveRequest {}).await.unwrap();
    let first = start_one().await;
    assert_eq!(get(&stores, &world, &driver, first.id).await.unwrap(), first);

    drop(redis);
    let second = start_one().await;
    assert_eq!(active().await, [second.clone(), first.clone()]);
    for session in [&first, &second] {
        assert_eq!(&get(&stores, &world, &driver, session.id).await.unwrap(), session);
    }
    let request = serde_json::from_value(json!({"id": second.id})).unwrap();
    let ended = session::end(&stores, world.caller(&driver), request).await.unwrap();
    assert_eq!(get(&stores, &world, &driver, second.id).await.unwrap(), ended);
    assert_eq!(active().await, std::slice::from_ref(&first));

    // Back, and empty: reads fill it, and what ended meanwhile is not open in it.
    let _redis = redis_at(port).await;
    let key = format!("session:{}", first.id);
    until("the cache to be used again", async || {
        assert_eq!(get(&stores, &world, &driver, first.id).await.unwrap(), first);
        cache.get::<Session>(&key).await
    })
    .await;
    assert_eq!(cache.get::<Session>(&key).await, Some(first.clone()));
    assert_eq!(get(&stores, &world, &driver, second.id).await.unwrap(), ended);
    assert_eq!(active().await, [first]);
}

#[tokio::test]
async fn the_tariff_is_the_one_of_the_moment_when_energy_begins_to_flow() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    assert_eq!(session.tariff_id, None);
    world.call(&charger, "StartTransaction", start("DRIVER")).await;
    let agreed = world
        .one(&format!("SELECT tariff_at('{}', '{}')", charger.station, at("2026-02-21T12:00:05Z")))
        .await;
    assert!(agreed.is_string());
    let running = world.get(&driver, session.id).await;
    assert_eq!(json!(running.tariff_id), agreed);
    assert_eq!(world.events("SESSION_STARTED").await[0]["tariffId"], agreed);
    assert_eq!(world.events("SESSION_UPDATED").await[0]["tariffId"], Value::Null);
    world.registry.expire(world.now).await.unwrap();
}
