//! Checklist 11, 13, 14 and 42: calls of ours to a charger, one at a time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Commanded, Protocol, SessionUpdated, TransactionRefused, Wish, command, expire};
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::Status;
use shared::{Envelope, Failure, SessionId, Timestamp};
use support::{Line, charge_point, event, noon, result};

fn updated(session_id: SessionId, status: Status, timestamp: Timestamp) -> Envelope<Wish> {
    event("SESSION_UPDATED", timestamp, Wish::Session(SessionUpdated { session_id, status }))
}

fn commanded(status: Status, protocol: Protocol) -> Commanded {
    Commanded {
        status,
        charge_point_id: charge_point(),
        protocol: Some(protocol),
        online: true,
        connector_number: 2,
        id_tag: "DRIVER-1".into(),
        remote_start_id: 4711,
        transaction_id: Some("1234".into()),
    }
}

/// A line over which a session was asked to start.
async fn asked(protocol: Protocol) -> (Line, SessionId, Envelope<Wish>) {
    let line = Line::open(protocol).await;
    *line.book.commanded.borrow_mut() = Some(commanded(Status::Starting, protocol));
    let session = SessionId::new();
    let event = updated(session, Status::Starting, noon());
    command(line.desk(), event.clone(), noon()).await.unwrap();
    (line, session, event)
}

async fn ask_to_stop(line: &Line, session: SessionId, at: Timestamp) -> String {
    *line.book.commanded.borrow_mut() = Some(commanded(Status::Stopping, line.connection.protocol));
    let event = updated(session, Status::Stopping, at);
    command(line.desk(), event.clone(), at).await.unwrap();
    event.event_id.to_string()
}

fn posted(line: &Line) -> usize {
    line.memory.posted.borrow().len()
}

#[tokio::test]
async fn a_session_asks_its_charger_to_start_in_its_own_protocol() {
    let (line, _, event) = asked(Protocol::Ocpp16).await;
    let id = event.event_id.to_string();
    let expected = json!([2, id, "RemoteStartTransaction", {"idTag": "DRIVER-1", "connectorId": 2}]);
    assert_eq!(line.memory.sent(), expected);

    let (line, _, event) = asked(Protocol::Ocpp201).await;
    let payload =
        json!({"idToken": {"idToken": "DRIVER-1", "type": "Central"}, "remoteStartId": 4711, "evseId": 2});
    let expected = json!([2, event.event_id.to_string(), "RequestStartTransaction", payload]);
    assert_eq!(line.memory.sent(), expected);
}

#[tokio::test]
async fn a_session_asks_its_charger_to_stop_its_transaction() {
    let line = Line::open(Protocol::Ocpp16).await;
    let id = ask_to_stop(&line, SessionId::new(), noon()).await;
    assert_eq!(line.memory.sent(), json!([2, id, "RemoteStopTransaction", {"transactionId": 1234}]));
    let line = Line::open(Protocol::Ocpp201).await;
    let id = ask_to_stop(&line, SessionId::new(), noon()).await;
    assert_eq!(line.memory.sent(), json!([2, id, "RequestStopTransaction", {"transactionId": "1234"}]));
}

#[tokio::test]
async fn a_transaction_that_nobody_pays_for_is_asked_to_stop_over_whatever_is_spoken_now() {
    for (protocol, action, id) in [
        (Protocol::Ocpp16, "RemoteStopTransaction", json!(1234)),
        (Protocol::Ocpp201, "RequestStopTransaction", json!("1234")),
    ] {
        let line = Line::open(protocol).await;
        let refused = TransactionRefused { charge_point_id: charge_point(), transaction_id: "1234".into() };
        let event = event("TRANSACTION_REFUSED", noon(), Wish::Refusal(refused));
        for _ in 0..2 {
            command(line.desk(), event.clone(), noon()).await.unwrap();
        }
        let message_id = event.event_id.to_string();
        assert_eq!(line.memory.sent(), json!([2, message_id, action, {"transactionId": id}]));
        assert_eq!(posted(&line), 1);
        // Whatever it says to that, the next call may go out.
        line.say(&json!([3, message_id, {"status": "Rejected"}]).to_string()).await;
        assert!(line.book.failed.borrow().is_empty());
        ask_to_stop(&line, SessionId::new(), noon()).await;
        assert_eq!(posted(&line), 2);
    }
    // Nobody is there to ask.
    let line = Line::open(Protocol::Ocpp16).await;
    let refused = TransactionRefused { charge_point_id: "CP-9".parse().unwrap(), transaction_id: "1".into() };
    command(line.desk(), event("TRANSACTION_REFUSED", noon(), Wish::Refusal(refused)), noon()).await.unwrap();
    assert_eq!(posted(&line), 0);
}

#[tokio::test]
async fn an_event_delivered_twice_asks_once() {
    let (line, _, event) = asked(Protocol::Ocpp16).await;
    line.say(&json!([3, event.event_id.to_string(), {"status": "Accepted"}]).to_string()).await;
    command(line.desk(), event, noon()).await.unwrap();
    assert_eq!(posted(&line), 1);
}

#[tokio::test]
async fn nothing_is_asked_for_a_session_that_has_moved_on() {
    let line = Line::open(Protocol::Ocpp16).await;
    *line.book.commanded.borrow_mut() = Some(commanded(Status::Cancelled, Protocol::Ocpp16));
    command(line.desk(), updated(SessionId::new(), Status::Starting, noon()), noon()).await.unwrap();
    assert_eq!(posted(&line), 0);
}

#[tokio::test]
async fn checklist_11_a_stray_answer_leaves_the_pending_call_alone() {
    let (line, session, event) = asked(Protocol::Ocpp16).await;
    for stray in [json!([3, "other", {"status": "Rejected"}]), json!([4, "other", "GenericError", "", {}])] {
        assert_eq!(line.say(&stray.to_string()).await, None);
    }
    assert!(line.book.failed.borrow().is_empty());
    let answer = json!([3, event.event_id.to_string(), {"status": "Rejected"}]).to_string();
    line.say(&answer).await;
    assert_eq!(*line.book.failed.borrow(), [(session, "REMOTE_START_REJECTED")]);
    // Late, it is stray as well.
    line.say(&answer).await;
    assert_eq!(line.book.failed.borrow().len(), 1);
}

#[tokio::test]
async fn checklist_13_one_call_is_outstanding_and_inbound_calls_are_served_meanwhile() {
    let (line, session, event) = asked(Protocol::Ocpp16).await;
    let second = ask_to_stop(&line, session, noon() + TimeDelta::seconds(1)).await;
    let third = ask_to_stop(&line, session, noon() + TimeDelta::seconds(2)).await;
    assert_eq!(posted(&line), 1);
    result(&line.call("h", "Heartbeat", json!({})).await, "h");

    line.say(&json!([3, event.event_id.to_string(), {"status": "Accepted"}]).to_string()).await;
    assert_eq!(posted(&line), 2);
    assert_eq!(line.memory.sent()[1], json!(second));
    line.say(&json!([4, second, "InternalError", "", {}]).to_string()).await;
    assert_eq!(line.memory.sent()[1], json!(third));
}

#[tokio::test]
async fn checklist_14_a_timeout_releases_the_queue() {
    let (line, session, event) = asked(Protocol::Ocpp16).await;
    let second = ask_to_stop(&line, session, noon() + TimeDelta::seconds(1)).await;
    let report = expire(line.desk(), noon() + TimeDelta::seconds(29)).await.unwrap();
    assert_eq!((report.calls_timed_out, posted(&line)), (0, 1));
    let report = expire(line.desk(), noon() + TimeDelta::seconds(31)).await.unwrap();
    assert_eq!((report.calls_timed_out, posted(&line)), (1, 2));
    assert_eq!(line.memory.sent()[1], json!(second));

    // The answer that comes too late is not taken for the other call's.
    line.say(&json!([3, event.event_id.to_string(), {"status": "Rejected"}]).to_string()).await;
    assert!(line.book.failed.borrow().is_empty());
    assert_eq!(posted(&line), 2);
}

#[tokio::test]
async fn checklist_42_accepted_is_not_charging() {
    let (line, _, event) = asked(Protocol::Ocpp201).await;
    line.say(&json!([3, event.event_id.to_string(), {"status": "Accepted"}]).to_string()).await;
    assert!(line.book.facts.borrow().is_empty());
    assert!(line.book.failed.borrow().is_empty());
}

#[tokio::test]
async fn a_start_answered_with_an_error_or_refused_fails_the_session() {
    for answer in [json!({"status": "Rejected"}), Value::Null] {
        let (line, session, event) = asked(Protocol::Ocpp201).await;
        let id = event.event_id.to_string();
        let frame = if answer.is_null() { json!([4, id, "NotSupported"]) } else { json!([3, id, answer]) };
        line.say(&frame.to_string()).await;
        assert_eq!(*line.book.failed.borrow(), [(session, "REMOTE_START_REJECTED")]);
    }
    // What cannot be read is no refusal: the charger may begin all the same.
    let (line, _, event) = asked(Protocol::Ocpp201).await;
    line.say(&json!([3, event.event_id.to_string(), {"status": "Perhaps"}]).to_string()).await;
    assert!(line.book.failed.borrow().is_empty());
}

#[tokio::test]
async fn a_start_that_cannot_be_delivered_fails_the_session() {
    let line = Line::open(Protocol::Ocpp16).await;
    *line.book.commanded.borrow_mut() = Some(commanded(Status::Starting, Protocol::Ocpp16));
    line.memory.gone.borrow_mut().insert(line.connection.id.clone());
    let session = SessionId::new();
    command(line.desk(), updated(session, Status::Starting, noon()), noon()).await.unwrap();
    assert_eq!(*line.book.failed.borrow(), [(session, "CHARGER_OFFLINE")]);
    assert_eq!(*line.book.sockets.borrow(), ["-socket-1"]);

    let line = Line::open(Protocol::Ocpp16).await;
    let offline = Commanded { online: false, ..commanded(Status::Starting, Protocol::Ocpp16) };
    *line.book.commanded.borrow_mut() = Some(offline);
    command(line.desk(), updated(session, Status::Starting, noon()), noon()).await.unwrap();
    assert_eq!(*line.book.failed.borrow(), [(session, "CHARGER_OFFLINE")]);
}

#[tokio::test]
async fn a_socket_that_is_just_opening_is_tried_again() {
    let mut line = Line::open(Protocol::Ocpp16).await;
    line.connection.connected_at = noon();
    charger::Connections::open(&line.memory, &line.connection).await.unwrap();
    *line.book.commanded.borrow_mut() = Some(commanded(Status::Starting, Protocol::Ocpp16));
    line.memory.gone.borrow_mut().insert(line.connection.id.clone());
    let event = updated(SessionId::new(), Status::Starting, noon());
    let refused = command(line.desk(), event.clone(), noon()).await;
    assert!(matches!(refused, Err(Failure::Unavailable(_))));

    line.memory.gone.borrow_mut().clear();
    command(line.desk(), event, noon() + TimeDelta::seconds(5)).await.unwrap();
    assert_eq!(posted(&line), 1);
    assert!(line.book.failed.borrow().is_empty());
}
