//! Checklist 16 to 21: who may connect, and what a late goodbye changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{
    Connections, PasswordHash, Registered, Registration, SocketAnswer, SocketEvent, connect, disconnect,
};
use serde_json::json;
use shared::ChargerId;
use support::{Book, Memory, charge_point, noon};

const PASSWORD: &str = "correct:horse:battery";

fn registered() -> Book {
    let book = Book::default();
    *book.registered.borrow_mut() = Some(Registered {
        id: ChargerId::new(),
        password_hash: PasswordHash::of(PASSWORD.as_bytes()).unwrap().as_str().into(),
        registration: Registration::Accepted,
    });
    book
}

/// `CP-1:correct:horse:battery`
const RIGHT: &str = "Basic Q1AtMTpjb3JyZWN0OmhvcnNlOmJhdHRlcnk=";
/// `CP-2:correct:horse:battery`
const ANOTHER_S: &str = "Basic Q1AtMjpjb3JyZWN0OmhvcnNlOmJhdHRlcnk=";
/// `CP-1:wrong`
const WRONG: &str = "Basic Q1AtMTp3cm9uZw==";

fn handshake(socket: &str, identity: &str, authorization: &str, protocols: &str) -> SocketEvent {
    serde_json::from_value(json!({
        "headers": {"Authorization": authorization, "Sec-WebSocket-Protocol": protocols},
        "queryStringParameters": {"chargePointId": identity},
        "requestContext": {"connectionId": socket, "routeKey": "$connect"},
    }))
    .unwrap()
}

async fn dial(book: &Book, event: &SocketEvent) -> SocketAnswer {
    let memory = Memory::default();
    connect(book, &memory, &memory, event, noon()).await.unwrap()
}

#[tokio::test]
async fn checklist_16_exactly_one_subprotocol_is_echoed_the_best_we_share() {
    for (offered, chosen) in [
        ("ocpp2.0.1, ocpp1.6", "ocpp2.0.1"),
        ("ocpp1.6,ocpp2.0.1", "ocpp2.0.1"),
        ("ocpp2.1, ocpp1.6", "ocpp1.6"),
        ("ocpp1.6", "ocpp1.6"),
    ] {
        let answer = dial(&registered(), &handshake("s", "CP-1", RIGHT, offered)).await;
        assert_eq!(answer.status_code, 200);
        assert_eq!(answer.headers["Sec-WebSocket-Protocol"], chosen);
    }
}

#[tokio::test]
async fn checklist_17_no_shared_subprotocol_is_refused() {
    for offered in ["", "ocpp1.5", "ocpp2.1", "OCPP1.6x", "graphql-ws"] {
        let book = registered();
        assert_eq!(dial(&book, &handshake("s", "CP-1", RIGHT, offered)).await.status_code, 400, "{offered}");
        assert!(book.sockets.borrow().is_empty());
    }
}

#[tokio::test]
async fn checklist_18_an_unknown_charger_is_refused_with_404() {
    for identity in ["CP-1", "", "CP 1", "CP:1", "../CP-1", "%00"] {
        let answer = dial(&Book::default(), &handshake("s", identity, RIGHT, "ocpp1.6")).await;
        assert_eq!(answer.status_code, 404, "{identity}");
    }
    let nameless: SocketEvent =
        serde_json::from_value(json!({"requestContext": {"connectionId": "s"}})).unwrap();
    assert_eq!(dial(&Book::default(), &nameless).await.status_code, 404);
}

#[tokio::test]
async fn checklist_19_the_user_name_is_the_identity_and_the_password_is_right() {
    assert_eq!(dial(&registered(), &handshake("s", "CP-1", RIGHT, "ocpp1.6")).await.status_code, 200);
    for authorization in [WRONG, ANOTHER_S, "", "Bearer x", "Basic CP-1"] {
        let answer = dial(&registered(), &handshake("s", "CP-1", authorization, "ocpp1.6")).await;
        assert_eq!(answer.status_code, 401, "{authorization}");
        assert!(answer.headers["WWW-Authenticate"].starts_with("Basic"));
    }
}

#[tokio::test]
async fn checklist_20_a_url_encoded_identity_is_decoded() {
    assert_eq!(dial(&registered(), &handshake("s", "CP%2D1", RIGHT, "ocpp1.6")).await.status_code, 200);
}

#[tokio::test]
async fn checklist_21_a_new_socket_replaces_the_old_and_a_late_goodbye_changes_nothing() {
    let (book, memory) = (registered(), Memory::default());
    for socket in ["old", "new"] {
        let event = handshake(socket, "CP-1", RIGHT, "ocpp1.6");
        assert_eq!(connect(&book, &memory, &memory, &event, noon()).await.unwrap().status_code, 200);
    }
    assert_eq!(*memory.hung_up.borrow(), ["old"]);

    let goodbye = |socket: &str| -> SocketEvent {
        serde_json::from_value(json!({"requestContext": {"connectionId": socket, "routeKey": "$disconnect"}}))
            .unwrap()
    };
    disconnect(&book, &memory, &goodbye("old"), noon()).await.unwrap();
    assert_eq!(memory.of(&charge_point()).await.unwrap().unwrap().id, "new");
    disconnect(&book, &memory, &goodbye("new"), noon()).await.unwrap();
    assert_eq!(memory.of(&charge_point()).await.unwrap(), None);
    // Once more, and never heard of: no matter.
    disconnect(&book, &memory, &goodbye("new"), noon()).await.unwrap();
    assert_eq!(*book.sockets.borrow(), ["+old", "+new", "-old", "-new"]);
}
