//! Connectors that are booked, and how a charger comes to know of it, against a real database.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{BookingTold, Need, Protocol, Records, SessionUpdated, Wish, command};
use serde_json::{Value, json};
use session::{Session, Status};
use shared::{BookingId, Events, Failure};
use support::{Charger, World, at, event, result};

fn code(result: Result<Session, Failure>) -> &'static str {
    match result {
        Err(Failure::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

/// Where to charge, at one connector of several, from 1.
fn there(charger: &Charger, number: usize) -> Value {
    json!({"stationId": charger.station, "connectorId": charger.connectors[number - 1]})
}

async fn cancel(world: &World, session: Session) {
    world
        .run(&format!(
            "UPDATE sessions SET status = 'CANCELLED' WHERE id = '{id}';
             DELETE FROM open_sessions WHERE session_id = '{id}'",
            id = session.id
        ))
        .await;
}

#[tokio::test]
async fn a_booked_connector_is_its_driver_s_from_ten_minutes_before_the_start_until_the_end() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 2).await;
    world.book(&driver, charger.connectors[1], "2026-02-21T12:00:00Z", "2026-02-21T13:00:00Z").await;
    for (moment, is_kept) in [
        ("2026-02-21T11:49:59Z", false),
        ("2026-02-21T11:50:00Z", true),
        ("2026-02-21T12:59:59Z", true),
        ("2026-02-21T13:00:00Z", false),
    ] {
        world.now = at(moment);
        let theirs = world.start(&other, there(&charger, 2)).await;
        if is_kept {
            assert_eq!(code(theirs), "CONNECTOR_RESERVED", "{moment}");
        } else {
            cancel(&world, theirs.unwrap()).await;
        }
        // The booker may, wherever; told no connector, it is the booked one that is taken.
        let own = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
        assert_eq!(own.connector_id.uuid(), charger.connectors[usize::from(is_kept)], "{moment}");
        cancel(&world, own).await;
    }

    // Somebody else's is passed over, and named when nothing better is left.
    world.now = at("2026-02-21T12:00:00Z");
    let first = world.start(&other, json!({"stationId": charger.station})).await.unwrap();
    assert_eq!(first.connector_id.uuid(), charger.connectors[0]);
    assert_eq!(code(world.start(&other, json!({"stationId": charger.station})).await), "CONNECTOR_BUSY");
    cancel(&world, first).await;
    world.run("UPDATE connectors SET status = 'FAULTED' WHERE connector_number = 1").await;
    assert_eq!(code(world.start(&other, json!({"stationId": charger.station})).await), "CONNECTOR_RESERVED");
    // That the charger keeps it is no obstacle to whom it keeps it for.
    world.run("UPDATE connectors SET status = 'RESERVED' WHERE connector_number = 2").await;
    let own = world.start(&driver, there(&charger, 2)).await.unwrap();
    assert_eq!(own.status, Status::Starting);
    assert_eq!(code(world.start(&other, there(&charger, 2)).await), "CONNECTOR_BUSY");
}

#[tokio::test]
async fn what_is_over_or_forgone_keeps_nothing_and_a_booking_that_runs_goes_before_the_next() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let connector = charger.connectors[0];
    let first = world.book(&driver, connector, "2026-02-21T12:00:00Z", "2026-02-21T13:00:00Z").await;
    world.book(&other, connector, "2026-02-21T13:00:00Z", "2026-02-21T14:00:00Z").await;

    // Five minutes before the change both are near: whose time it is may still come.
    world.now = at("2026-02-21T12:55:00Z");
    assert_eq!(code(world.start(&other, there(&charger, 1)).await), "CONNECTOR_RESERVED");
    cancel(&world, world.start(&driver, there(&charger, 1)).await.unwrap()).await;
    for status in ["CANCELLED", "NO_SHOW", "COMPLETED"] {
        world.run(&format!("UPDATE bookings SET status = '{status}' WHERE id = '{first}'")).await;
        assert_eq!(code(world.start(&driver, there(&charger, 1)).await), "CONNECTOR_RESERVED");
        cancel(&world, world.start(&other, there(&charger, 1)).await.unwrap()).await;
    }
    // Kept by the charger for nobody that we know of: it would refuse.
    world.run("UPDATE bookings SET status = 'CANCELLED'; UPDATE connectors SET status = 'RESERVED'").await;
    assert_eq!(code(world.start(&driver, there(&charger, 1)).await), "CONNECTOR_BUSY");
    world.run("UPDATE connectors SET status = 'AVAILABLE'").await;
    world.start(&driver, there(&charger, 1)).await.unwrap();
}

#[tokio::test]
async fn a_tag_at_the_charger_begins_whatever_is_booked() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    world.book(&driver, charger.connectors[0], "2026-02-21T12:00:00Z", "2026-02-21T13:00:00Z").await;
    let begun =
        json!({"connectorId": 1, "idTag": "OTHER", "meterStart": 0, "timestamp": "2026-02-21T12:00:05Z"});
    let answer = world.call(&charger, "StartTransaction", begun).await;
    assert_eq!(answer["idTagInfo"]["status"], "Accepted");
    assert_eq!(world.of(&other).await[0].status, Status::InProgress);
    assert_eq!(code(world.start(&driver, there(&charger, 1)).await), "CONNECTOR_BUSY");
}

async fn need(world: &World, booking: BookingId) -> Option<Need> {
    world.registry.reservation(booking, world.now).await.unwrap().unwrap().need
}

#[tokio::test]
async fn a_charger_is_asked_for_what_the_booking_needs_now() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 2).await;
    let booking =
        world.book(&driver, charger.connectors[1], "2026-02-21T12:10:00Z", "2026-02-21T13:00:00Z").await;
    let told = world.registry.reservation(booking, world.now).await.unwrap().unwrap();
    assert_eq!(
        (told.need, told.connector_number, told.id_tag.as_str(), told.ends_at),
        (Some(Need::Reserve), 2, "DRIVER", at("2026-02-21T13:00:00Z"))
    );
    assert_eq!((told.online, told.protocol), (true, Some(Protocol::Ocpp201)));
    assert!(told.reservation_id > 0);
    assert!(world.registry.reservation(BookingId::new(), world.now).await.unwrap().is_none());

    // Its driver is there already.
    let session = world.start(&driver, there(&charger, 2)).await.unwrap();
    assert_eq!(need(&world, booking).await, None);
    cancel(&world, session).await;
    for (change, expected) in [
        ("status = 'PENDING'", None),
        ("status = 'ACTIVE'", None),
        // Never told of, there is nothing to give back.
        ("status = 'CANCELLED'", None),
        ("reserved_at = now()", Some(Need::Release)),
        ("status = 'NO_SHOW'", Some(Need::Release)),
        ("status = 'COMPLETED'", Some(Need::Release)),
        ("status = 'CONFIRMED'", Some(Need::Reserve)),
    ] {
        world.run(&format!("UPDATE bookings SET {change}")).await;
        assert_eq!(need(&world, booking).await, expected, "{change}");
    }
    // It has lapsed by itself.
    world.now = at("2026-02-21T13:00:00Z");
    assert_eq!(need(&world, booking).await, None);
    world.run("UPDATE bookings SET status = 'NO_SHOW'").await;
    assert_eq!(need(&world, booking).await, None);

    // Of a vendor's connector nobody is asked.
    let connector = world.vendor_connector(charger.station).await;
    let booking = world.book(&driver, connector, "2026-02-21T14:00:00Z", "2026-02-21T15:00:00Z").await;
    assert!(world.registry.reservation(booking, world.now).await.unwrap().is_none());
}

#[tokio::test]
async fn a_due_booking_goes_through_the_charger_to_its_driver_s_session() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let booking =
        world.book(&driver, charger.connectors[0], "2026-02-21T12:05:00Z", "2026-02-21T13:00:00Z").await;
    let due = event("BOOKING_DUE", world.now, Wish::Due(BookingTold { booking_id: booking }));
    command(world.desk(), due.clone(), world.now).await.unwrap();
    let sent = world.memory.sent();
    assert_eq!((&sent[2], &sent[3]["idTag"]), (&json!("ReserveNow"), &json!("DRIVER")));
    let number = world.one("SELECT reservation_id FROM bookings").await;
    assert_eq!(sent[3]["reservationId"], number);
    answer(&world, &charger, &json!([3, due.event_id, {"status": "Accepted"}])).await;
    assert_eq!(world.memory.posted.borrow().len(), 1);
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Reserved", "timestamp": "2026-02-21T12:00:01Z"});
    world.call(&charger, "StatusNotification", status).await;
    assert_eq!(world.events("CONNECTOR_STATUS_CHANGED").await[0]["status"], "RESERVED");

    assert_eq!(code(world.start(&other, there(&charger, 1)).await), "CONNECTOR_RESERVED");
    let session = world.start(&driver, there(&charger, 1)).await.unwrap();
    let wish = Wish::Session(SessionUpdated { session_id: session.id, status: Status::Starting });
    command(world.desk(), event("SESSION_UPDATED", world.now, wish), world.now).await.unwrap();
    assert_eq!(world.memory.sent()[3], json!({"idTag": "DRIVER", "connectorId": 1}));
    let begun = json!({
        "connectorId": 1, "idTag": "DRIVER", "meterStart": 0, "timestamp": "2026-02-21T12:01:00Z",
        "reservationId": number,
    });
    world.call(&charger, "StartTransaction", begun).await;
    assert_eq!(world.get(&driver, session.id).await.status, Status::InProgress);
}

/// A charger answers a call of ours, and hears nothing of it.
async fn answer(world: &World, charger: &Charger, frame: &Value) {
    let event = support::message(&charger.connection.id, &frame.to_string());
    let heard = charger::receive(world.desk(), &world.memory, &event, world.now).await.unwrap();
    assert_eq!((heard.status_code, heard.body), (200, None));
}

#[tokio::test]
async fn a_charger_that_was_away_is_asked_when_it_is_back() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let connection = &charger.connection;
    let booking =
        world.book(&driver, charger.connectors[0], "2026-02-21T12:10:00Z", "2026-02-21T13:00:00Z").await;
    world.registry.disconnected(connection.charger, &connection.id, world.now).await.unwrap();
    for (moment, told) in [("12:00:01", 1), ("12:05:00", 1)] {
        world.now = at(&format!("2026-02-21T{moment}Z"));
        assert_eq!(tell_due(&world).await, told, "{moment}");
        assert_eq!(world.memory.posted.borrow().len(), 0, "nobody is there to be asked");
    }
    world.now = at("2026-02-21T12:12:00Z");
    world.registry.connected(connection.charger, &connection.id, Protocol::Ocpp16, world.now).await.unwrap();
    world.now = at("2026-02-21T12:15:00Z");
    assert_eq!(tell_due(&world).await, 2);
    let number = world.one("SELECT reservation_id FROM bookings").await;
    let sent = world.memory.sent();
    assert_eq!((&sent[2], &sent[3]["reservationId"]), (&json!("ReserveNow"), &number));
    answer(&world, &charger, &json!([3, sent[1], {"status": "Accepted"}])).await;
    // Once, until it goes away and comes back again; and not when the booking is another matter by now.
    assert_eq!(tell_due(&world).await, 2);
    world.now = at("2026-02-21T12:16:00Z");
    world.registry.connected(connection.charger, &connection.id, Protocol::Ocpp16, world.now).await.unwrap();
    for status in ["ACTIVE", "NO_SHOW", "CANCELLED"] {
        world.run(&format!("UPDATE bookings SET status = '{status}' WHERE id = '{booking}'")).await;
        assert_eq!(tell_due(&world).await, 2, "{status}");
    }
    assert_eq!(world.memory.posted.borrow().len(), 1);
}

/// A run of the clock, whose events come as soon as they are told; how many there are then.
async fn tell_due(world: &World) -> usize {
    let before = world.events("BOOKING_DUE").await.len();
    world.one(&format!("tell_due_bookings(20, '{}')", world.now)).await;
    let events = world.events("BOOKING_DUE").await;
    for told in &events[before..] {
        let wish = Wish::read("BOOKING_DUE", told.clone()).unwrap().unwrap();
        command(world.desk(), event("BOOKING_DUE", world.now, wish), world.now).await.unwrap();
    }
    events.len()
}

#[tokio::test]
async fn a_booking_cancelled_while_its_charger_is_asked_is_given_back() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let booking =
        world.book(&driver, charger.connectors[0], "2026-02-21T12:05:00Z", "2026-02-21T13:00:00Z").await;
    let told = BookingTold { booking_id: booking };
    let due = event("BOOKING_DUE", world.now, Wish::Due(told.clone()));
    command(world.desk(), due.clone(), world.now).await.unwrap();
    world.run("UPDATE bookings SET status = 'CANCELLED', reserved_at = now()").await;
    answer(&world, &charger, &json!([3, due.event_id, {"status": "Accepted"}])).await;
    let sent = world.memory.sent();
    let number = world.one("SELECT reservation_id FROM bookings").await;
    assert_eq!((&sent[2], &sent[3]), (&json!("CancelReservation"), &json!({"reservationId": number})));
    answer(&world, &charger, &json!([3, sent[1], {"status": "Accepted"}])).await;
    // The station has its own say of it, too.
    let gone = json!({"reservationId": number, "reservationUpdateStatus": "Removed"});
    let text = json!([2, "1", "ReservationStatusUpdate", gone]).to_string();
    let event = support::message(&charger.connection.id, &text);
    let heard = charger::receive(world.desk(), &world.memory, &event, world.now).await.unwrap();
    let heard: Value = serde_json::from_str(&heard.body.unwrap()).unwrap();
    assert_eq!(result(&heard, "1"), &json!({}));
}
