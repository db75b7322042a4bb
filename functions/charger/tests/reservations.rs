//! Bookings that are due, or forgone: connectors are kept for those who have booked them, as far as chargers do that.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{BookingTold, Commanded, Need, Protocol, Reservation, SessionUpdated, Wish, command, expire};
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::Status;
use shared::{BookingId, Envelope, Events, Failure, SessionId, Timestamp};
use support::{Line, at, charge_point, event, noon};

const BOTH: [Protocol; 2] = [Protocol::Ocpp16, Protocol::Ocpp201];

fn due(booking: BookingId, told_at: Timestamp) -> Envelope<Wish> {
    event("BOOKING_DUE", told_at, Wish::Due(BookingTold { booking_id: booking }))
}

fn forgone(booking: BookingId, told_at: Timestamp) -> Envelope<Wish> {
    event("BOOKING_CANCELLED", told_at, Wish::Forgone(BookingTold { booking_id: booking }))
}

fn needs(line: &Line, need: Option<Need>) {
    *line.book.reservation.borrow_mut() = Some(Reservation {
        need,
        charge_point_id: charge_point(),
        protocol: Some(line.connection.protocol),
        online: true,
        connector_number: 2,
        id_tag: "DRIVER-1".into(),
        reservation_id: 4711,
        ends_at: at("2026-02-21T13:10:00Z"),
    });
}

fn posted(line: &Line) -> usize {
    line.memory.posted.borrow().len()
}

/// A line over which a connector was asked to be kept.
async fn asked(protocol: Protocol) -> (Line, BookingId, String) {
    let line = Line::open(protocol).await;
    needs(&line, Some(Need::Reserve));
    let booking = BookingId::new();
    let told = due(booking, noon());
    let id = told.event_id.to_string();
    command(line.desk(), told, noon()).await.unwrap();
    (line, booking, id)
}

#[tokio::test]
async fn a_booking_that_is_due_is_reserved_in_the_charger_s_own_protocol_until_its_end() {
    let (line, _, id) = asked(Protocol::Ocpp16).await;
    let payload = json!({
        "connectorId": 2, "expiryDate": "2026-02-21T13:10:00Z", "idTag": "DRIVER-1", "reservationId": 4711,
    });
    let sent = line.memory.sent();
    assert_eq!(same_moment(sent, "expiryDate"), json!([2, id, "ReserveNow", payload]));

    let (line, _, id) = asked(Protocol::Ocpp201).await;
    let payload = json!({
        "id": 4711, "expiryDateTime": "2026-02-21T13:10:00Z",
        "idToken": {"idToken": "DRIVER-1", "type": "Central"}, "evseId": 2,
    });
    let sent = line.memory.sent();
    assert_eq!(same_moment(sent, "expiryDateTime"), json!([2, id, "ReserveNow", payload]));
}

/// With its moment in one spelling.
fn same_moment(mut frame: Value, field: &str) -> Value {
    let moment = at(frame[3][field].as_str().unwrap());
    frame[3][field] = json!(moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    frame
}

#[tokio::test]
async fn who_booked_begins_with_the_token_that_the_connector_is_kept_for() {
    for (protocol, pointer) in [(Protocol::Ocpp16, "/3/idTag"), (Protocol::Ocpp201, "/3/idToken")] {
        let (line, _, id) = asked(protocol).await;
        let kept_for = line.memory.sent().pointer(pointer).unwrap().clone();
        line.say(&json!([3, id, {"status": "Accepted"}]).to_string()).await;
        *line.book.commanded.borrow_mut() = Some(Commanded {
            status: Status::Starting,
            charge_point_id: charge_point(),
            protocol: Some(protocol),
            online: true,
            connector_number: 2,
            id_tag: "DRIVER-1".into(),
            remote_start_id: 7,
            transaction_id: None,
        });
        let wish = SessionUpdated { session_id: SessionId::new(), status: Status::Starting };
        let started = event("SESSION_UPDATED", noon(), Wish::Session(wish));
        command(line.desk(), started, noon()).await.unwrap();
        assert_eq!(line.memory.sent().pointer(pointer).unwrap(), &kept_for);
    }
}

#[tokio::test]
async fn a_booking_that_is_forgone_is_given_back() {
    for protocol in BOTH {
        for (event_type, wish) in [
            ("BOOKING_CANCELLED", json!({"bookingId": BookingId::new()})),
            ("BOOKING_NO_SHOW", json!({"bookingId": BookingId::new()})),
        ] {
            let (line, _, id) = asked(protocol).await;
            line.say(&json!([3, id, {"status": "Accepted"}]).to_string()).await;
            needs(&line, Some(Need::Release));
            let wish = Wish::read(event_type, wish).unwrap().unwrap();
            let told = event(event_type, noon(), wish);
            let id = told.event_id.to_string();
            for _ in 0..2 {
                command(line.desk(), told.clone(), noon()).await.unwrap();
            }
            let expected = json!([2, id, "CancelReservation", {"reservationId": 4711}]);
            assert_eq!(line.memory.sent(), expected);
            line.say(&json!([3, id, {"status": "Rejected"}]).to_string()).await;
            assert_eq!(posted(&line), 2, "asked once, and whatever it said to that is no matter");
        }
    }
}

#[tokio::test]
async fn whatever_a_charger_says_to_a_reservation_is_harmless() {
    for protocol in BOTH {
        for answer in [
            json!({"status": "Rejected"}),
            json!({"status": "Occupied"}),
            json!({"status": "Faulted"}),
            json!({"status": "Unavailable"}),
            json!({"status": "Perhaps"}),
            json!([]),
        ] {
            let (line, booking, id) = asked(protocol).await;
            line.say(&json!([3, id, answer]).to_string()).await;
            still_works(&line, booking).await;
        }
        for code in ["NotSupported", "NotImplemented", "InternalError"] {
            let (line, booking, id) = asked(protocol).await;
            line.say(&json!([4, id, code, "no", {}]).to_string()).await;
            still_works(&line, booking).await;
        }
    }
}

/// The place is free, nothing failed, and the next call goes out.
async fn still_works(line: &Line, booking: BookingId) {
    assert!(line.book.failed.borrow().is_empty());
    assert_eq!(posted(line), 1);
    command(line.desk(), due(booking, noon()), noon()).await.unwrap();
    assert_eq!(posted(line), 2);
}

#[tokio::test]
async fn only_what_a_booking_needs_now_is_asked_and_only_once() {
    let line = Line::open(Protocol::Ocpp16).await;
    let booking = BookingId::new();
    // Unknown, or at a vendor's connector.
    command(line.desk(), due(booking, noon()), noon()).await.unwrap();
    // Cancelled before it could be asked for, or its driver is there already.
    for need in [None, Some(Need::Release)] {
        needs(&line, need);
        command(line.desk(), due(booking, noon()), noon()).await.unwrap();
    }
    // Never asked for, or made anew.
    for need in [None, Some(Need::Reserve)] {
        needs(&line, need);
        command(line.desk(), forgone(booking, noon()), noon()).await.unwrap();
    }
    // Nobody is there to be asked.
    needs(&line, Some(Need::Reserve));
    line.book.reservation.borrow_mut().as_mut().unwrap().online = false;
    command(line.desk(), due(booking, noon()), noon()).await.unwrap();
    assert_eq!(posted(&line), 0);

    needs(&line, Some(Need::Reserve));
    let told = due(booking, noon());
    for _ in 0..3 {
        command(line.desk(), told.clone(), noon()).await.unwrap();
    }
    assert_eq!(posted(&line), 1);
}

#[tokio::test]
async fn a_reservation_that_is_accepted_too_late_is_given_back() {
    for protocol in BOTH {
        let (line, _, id) = asked(protocol).await;
        needs(&line, Some(Need::Release));
        line.say(&json!([3, id, {"status": "Accepted"}]).to_string()).await;
        assert_eq!(posted(&line), 2);
        assert_eq!(line.memory.sent()[2], "CancelReservation");
        // Refused, there is nothing to give back; wanted, neither.
        let (line, _, id) = asked(protocol).await;
        needs(&line, Some(Need::Release));
        line.say(&json!([3, id, {"status": "Occupied"}]).to_string()).await;
        assert_eq!(posted(&line), 1);
        let (line, _, id) = asked(protocol).await;
        line.say(&json!([3, id, {"status": "Accepted"}]).to_string()).await;
        assert_eq!(posted(&line), 1);
    }
}

#[tokio::test]
async fn reservations_stand_in_the_one_queue_and_lapse_in_it() {
    let (line, booking, first) = asked(Protocol::Ocpp16).await;
    let second = forgone(booking, noon() + TimeDelta::seconds(1));
    needs(&line, Some(Need::Release));
    command(line.desk(), second.clone(), noon() + TimeDelta::seconds(1)).await.unwrap();
    assert_eq!(posted(&line), 1, "one is outstanding");
    // Nobody answered the first one in time.
    let report = expire(line.desk(), noon() + TimeDelta::seconds(31)).await.unwrap();
    assert_eq!((report.calls_timed_out, posted(&line)), (1, 2));
    assert_eq!(line.memory.sent()[1], json!(second.event_id));
    line.say(&json!([3, first, {"status": "Accepted"}]).to_string()).await;
    assert_eq!(posted(&line), 2, "late, it is stray");

    // After ten minutes the driver may have come and gone.
    let line = Line::open(Protocol::Ocpp16).await;
    needs(&line, Some(Need::Reserve));
    let later = noon() + TimeDelta::minutes(11);
    command(line.desk(), due(booking, noon()), later).await.unwrap();
    assert_eq!(posted(&line), 0);
    needs(&line, Some(Need::Release));
    command(line.desk(), forgone(booking, noon()), later).await.unwrap();
    assert_eq!(posted(&line), 1, "giving back is never too late");
    assert!(line.book.failed.borrow().is_empty());
}

#[tokio::test]
async fn a_socket_that_is_just_opening_is_asked_again_and_one_that_is_gone_is_not() {
    let mut line = Line::open(Protocol::Ocpp201).await;
    line.connection.connected_at = noon();
    charger::Connections::open(&line.memory, &line.connection).await.unwrap();
    needs(&line, Some(Need::Reserve));
    line.memory.gone.borrow_mut().insert(line.connection.id.clone());
    let told = due(BookingId::new(), noon());
    let refused = command(line.desk(), told.clone(), noon()).await;
    assert!(matches!(refused, Err(Failure::Unavailable(_))));
    line.memory.gone.borrow_mut().clear();
    command(line.desk(), told, noon() + TimeDelta::seconds(5)).await.unwrap();
    assert_eq!(posted(&line), 1);

    let line = Line::open(Protocol::Ocpp201).await;
    needs(&line, Some(Need::Reserve));
    line.memory.gone.borrow_mut().insert(line.connection.id.clone());
    command(line.desk(), due(BookingId::new(), noon()), noon()).await.unwrap();
    assert_eq!(*line.book.sockets.borrow(), ["-socket-1"]);
}
