//! The WebSocket protocol frame by frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use appsync::{Caller, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{API_KEY, Running, Setup, TOKEN};

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    host: String,
}

impl Client {
    /// As Amplify connects.
    async fn open(api: &Running, credentials: &Value) -> Self {
        let mut request = format!("ws://{}/graphql/realtime", api.address).into_client_request().unwrap();
        let header = URL_SAFE_NO_PAD.encode(credentials.to_string());
        request
            .headers_mut()
            .insert("sec-websocket-protocol", format!("graphql-ws, header-{header}").parse().unwrap());
        let (socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-ws");
        Self { socket, host: api.address.to_string() }
    }

    async fn ready(api: &Running) -> Self {
        let mut client =
            Self::open(api, &json!({"Authorization": TOKEN, "host": api.address.to_string()})).await;
        client.send(json!({"type": "connection_init"})).await;
        assert_eq!(
            client.next().await,
            json!({"type": "connection_ack", "payload": {"connectionTimeoutMs": 300_000}})
        );
        assert_eq!(client.next().await, json!({"type": "ka"}));
        client
    }

    async fn send(&mut self, frame: Value) {
        self.text(frame.to_string()).await;
    }

    async fn text(&mut self, frame: String) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    /// `None` once the server has closed.
    async fn frame(&mut self) -> Option<Value> {
        loop {
            let next =
                tokio::time::timeout(Duration::from_secs(5), self.socket.next()).await.expect("a frame");
            match next {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    async fn next(&mut self) -> Value {
        self.frame().await.expect("the connection is open")
    }

    async fn start(&mut self, id: &str, query: &str, variables: Value) {
        let authorization = json!({"Authorization": TOKEN, "host": self.host});
        self.start_as(id, query, variables, authorization).await;
    }

    async fn start_as(&mut self, id: &str, query: &str, variables: Value, authorization: Value) {
        let data = json!({"query": query, "variables": variables}).to_string();
        let payload = json!({"data": data, "extensions": {"authorization": authorization}});
        self.send(json!({"id": id, "type": "start", "payload": payload})).await;
    }

    async fn started(&mut self, id: &str, query: &str, variables: Value) {
        self.start(id, query, variables).await;
        assert_eq!(self.next().await, json!({"type": "start_ack", "id": id}));
    }
}

fn stations() -> Setup {
    Setup::new().direct("Mutation.setStatus", |event| {
        let arguments = &event["arguments"];
        Ok(json!({
            "id": arguments["id"], "name": arguments["name"], "status": arguments["status"],
            "operator": {"id": "o", "name": "Grid"}, "connectors": [{"id": 1, "powerKW": 22}],
        }))
    })
}

const CHANGE: &str = "mutation ($id: ID!, $status: Status) {
  changed: setStatus(id: $id, status: $status, name: \"n\") { label: name id status operator { id } connectors { id powerKW } } }";

async fn change(api: &Running, id: &str, status: &str) {
    let answer = api.query(CHANGE, json!({"id": id, "status": status})).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
}

#[tokio::test]
async fn a_subscriber_gets_what_the_mutation_and_it_selected() {
    let api = stations().serve().await;
    let mut client = Client::ready(&api).await;
    let query = "subscription S($id: ID) { mine: onStatus(id: $id) { __typename id title: name points operator { id name } connectors { powerKW } } }";
    client.started("one", query, json!({"id": "a"})).await;
    change(&api, "b", "PLANNED").await;
    change(&api, "a", "PLANNED").await;
    let frame = client.next().await;
    assert_eq!((&frame["type"], &frame["id"]), (&json!("data"), &json!("one")));
    assert_eq!(
        frame["payload"]["data"],
        json!({"mine": {
            "__typename": "Station", "id": "a", "title": "n", "points": null,
            // The mutation left out the operator's name, which must not be null.
            "operator": null, "connectors": [{"powerKW": 22.0}],
        }})
    );
    assert_eq!(frame["payload"]["errors"][0]["path"], json!(["mine", "operator", "name"]));

    client.send(json!({"id": "one", "type": "stop"})).await;
    assert_eq!(client.next().await, json!({"type": "complete", "id": "one"}));
    change(&api, "a", "PLANNED").await;
    client.started("one", "subscription { onStatus { id } }", json!({})).await;
    change(&api, "c", "PLANNED").await;
    assert_eq!(client.next().await["payload"], json!({"data": {"onStatus": {"id": "c"}}}), "nothing between");
}

#[tokio::test]
async fn arguments_filter_by_equality_and_null_is_not_the_same_as_left_out() {
    let api = stations().serve().await;
    let mut client = Client::ready(&api).await;
    let query =
        "subscription ($id: ID, $status: Status) { onStatus(id: $id, status: $status) { id status } }";
    for (id, variables) in [
        ("any", json!({})),
        ("planned", json!({"status": "PLANNED"})),
        ("null", json!({"status": null})),
        ("both", json!({"id": "a", "status": "PLANNED"})),
    ] {
        client.started(id, query, variables).await;
    }
    let mut heard = Vec::new();
    for (id, status, receivers) in
        [("a", json!("PLANNED"), 3), ("b", json!("OPERATIONAL"), 1), ("c", Value::Null, 2)]
    {
        api.query(CHANGE, json!({"id": id, "status": status})).await;
        let mut receivers_heard = Vec::new();
        for _ in 0..receivers {
            let frame = client.next().await;
            assert_eq!(frame["payload"]["data"]["onStatus"]["id"], id);
            receivers_heard.push(frame["id"].as_str().unwrap().to_owned());
        }
        receivers_heard.sort();
        heard.push(receivers_heard);
    }
    assert_eq!(heard, [vec!["any", "both", "planned"], vec!["any"], vec!["any", "null"]]);
}

#[tokio::test]
async fn the_bus_reaches_subscribers_and_failed_mutations_do_not() {
    let failing = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&failing);
    let api = Setup::new()
        .direct("Mutation.setStatus", move |_| {
            if fails.load(Ordering::Relaxed) {
                Err(json!({"errorMessage": "no"}))
            } else {
                Ok(json!({"id": "a"}))
            }
        })
        .serve()
        .await;
    let mut client = Client::ready(&api).await;
    client.started("one", "subscription { onStatus { id } }", json!({})).await;
    let bus = Caller::iam("000000000000", "arn:aws:iam::000000000000:role/bus", "127.0.0.1");
    let request = Request::new("mutation { setStatus(id: 1) { id } }", Map::new());
    assert_eq!(api.api.execute(&request, &bus).await.errors().len(), 1);
    failing.store(false, Ordering::Relaxed);
    assert!(api.api.execute(&request, &bus).await.errors().is_empty());
    assert_eq!(client.next().await["payload"], json!({"data": {"onStatus": {"id": "a"}}}));
}

#[tokio::test]
async fn each_start_is_authorized_by_its_own_credentials_and_its_own_resolver() {
    let api = stations()
        .scripted("Subscription.onGuarded", |event| {
            Ok(if event["arguments"]["id"] == "mine" {
                Value::Null
            } else {
                json!({"errorType": "Forbidden", "errorMessage": "not yours", "errorInfo": {"id": "x"}})
            })
        })
        .serve()
        .await;
    let mut client = Client::ready(&api).await;
    let guarded = "subscription ($id: ID!) { onGuarded(id: $id) { id } }";
    client.started("mine", guarded, json!({"id": "mine"})).await;
    client.start("yours", guarded, json!({"id": "yours"})).await;
    assert_eq!(
        client.next().await,
        json!({"type": "error", "id": "yours", "payload": {"errors": [
            {"errorType": "Forbidden", "message": "not yours", "errorInfo": {"id": "x"}, "data": null},
        ]}})
    );
    let event = api.functions.calls("Subscription-onGuarded").remove(0);
    assert_eq!(event["identity"]["resolverContext"]["userId"], "u1");
    assert_eq!(event["info"]["parentTypeName"], "Subscription");
    assert_eq!(event["request"]["headers"]["authorization"], TOKEN);

    let plain = "subscription { onStatus { id } }";
    for (id, authorization) in [("wrong", json!({"Authorization": "wrong"})), ("none", json!({"host": "x"}))]
    {
        client.start_as(id, plain, json!({}), authorization).await;
        assert_eq!(
            client.next().await,
            json!({"type": "error", "id": id, "payload": {"errors": [
                {"errorType": "UnauthorizedException", "message": "You are not authorized to make this call."},
            ]}})
        );
    }
    for (id, query, authorization) in [
        ("bus", "subscription { onBus { id } }", json!({"Authorization": TOKEN})),
        // Apollo's link says it twice.
        ("key", plain, json!({"x-api-key": API_KEY, "X-Api-Key": API_KEY})),
    ] {
        client.start_as(id, query, json!({}), authorization).await;
        let frame = client.next().await;
        assert_eq!((&frame["type"], &frame["id"]), (&json!("error"), &json!(id)));
        assert_eq!(frame["payload"]["errors"][0]["errorType"], "Unauthorized");
    }
    // One refused subscription leaves its siblings alone.
    change(&api, "mine", "PLANNED").await;
    assert_eq!(client.next().await["id"], "mine");
}

#[tokio::test]
async fn what_cannot_be_a_subscription_is_refused_and_the_connection_lives_on() {
    let mut setup = stations();
    setup.options.max_subscriptions = 2;
    let api = setup.serve().await;
    let mut client = Client::ready(&api).await;
    let unsupported = json!([{"errorType": "UnsupportedOperation", "message": "unknown not supported through the realtime channel"}]);
    for query in ["{ batched { id } }", "mutation { failing { id } }", "nonsense", ""] {
        client.start("x", query, json!({})).await;
        assert_eq!(
            client.next().await,
            json!({"type": "error", "id": "x", "payload": {"errors": unsupported}}),
            "{query}"
        );
    }
    for frame in [
        "{".to_owned(),
        json!({"type": "start"}).to_string(),
        json!({"type": "dance"}).to_string(),
        "[]".to_owned(),
    ] {
        client.text(frame.clone()).await;
        assert_eq!(
            client.next().await,
            json!({"type": "error", "payload": {"errors": unsupported}}),
            "{frame}"
        );
    }
    client.send(json!({"type": "start", "id": "x", "payload": {"data": {}}})).await;
    assert_eq!(client.next().await["payload"]["errors"], unsupported);

    client.start("x", "subscription { onStatus { nope } }", json!({})).await;
    assert_eq!(
        client.next().await["payload"]["errors"],
        json!([{"message": "Validation error of type FieldUndefined: Field 'nope' in type 'Station' is undefined @ 'onStatus/nope'"}])
    );

    let query = "subscription { onStatus { id } }";
    client.started("a", query, json!({})).await;
    client.start("a", query, json!({})).await;
    assert_eq!(
        client.next().await,
        json!({"type": "error", "id": "a", "payload": {"errors": [
            {"errorType": "DuplicatedOperationError", "message": "Duplicated operation with id a"},
        ]}})
    );
    client.started("b", query, json!({})).await;
    client.start("c", query, json!({})).await;
    let frame = client.next().await;
    assert_eq!(
        (&frame["id"], &frame["payload"]["errors"][0]["errorType"]),
        (&json!("c"), &json!("MaxSubscriptionsReachedError"))
    );
    client.send(json!({"type": "stop", "id": "b"})).await;
    assert_eq!(client.next().await["type"], "complete");
    client.started("c", query, json!({})).await;
}

#[tokio::test]
async fn a_connection_without_good_credentials_is_told_so_and_closed() {
    let api = stations().serve().await;
    for (credentials, kind, code) in [
        (json!({"Authorization": "wrong", "host": "x"}), "UnauthorizedException", 401),
        (json!({"host": "x"}), "UnauthorizedException", 401),
        (json!("not an object"), "BadRequestException", 400),
    ] {
        let mut client = Client::open(&api, &credentials).await;
        client.send(json!({"type": "connection_init"})).await;
        let frame = client.next().await;
        assert_eq!(frame["type"], "connection_error");
        assert_eq!(frame["payload"]["errors"][0]["errorType"], kind);
        assert_eq!(frame["payload"]["errors"][0]["errorCode"], code);
        assert_eq!(client.frame().await, None);
    }
}

#[tokio::test]
async fn credentials_may_come_in_the_query_and_the_socket_on_either_path() {
    let api = stations().serve().await;
    let header = STANDARD.encode(json!({"x-api-key": API_KEY, "host": "localhost"}).to_string());
    for path in ["/graphql", "/graphql/realtime"] {
        let url = format!("ws://{}{path}?header={header}&payload=e30=", api.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-ws".parse().unwrap());
        let (socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-ws");
        let mut client = Client { socket, host: String::new() };
        client.send(json!({"type": "connection_init", "payload": {}})).await;
        assert_eq!(client.next().await["type"], "connection_ack");
    }
    let mut other = format!("ws://{}/graphql/realtime", api.address).into_client_request().unwrap();
    other.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    assert!(connect_async(other).await.is_err(), "another dialect is not spoken");
}

#[tokio::test]
async fn the_connection_is_kept_alive_and_ends_with_its_lifetime() {
    let mut setup = stations();
    setup.options.keep_alive = Duration::from_millis(20);
    setup.options.connection_lifetime = Duration::from_millis(200);
    let api = setup.serve().await;
    let mut client = Client::ready(&api).await;
    let mut alive = 0;
    while let Some(frame) = client.frame().await {
        assert_eq!(frame, json!({"type": "ka"}));
        alive += 1;
    }
    assert!(alive >= 2, "{alive}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_others_are_served() {
    let mut setup = stations();
    setup.options.send_queue = 4;
    let api = setup.serve().await;
    let mut slow = Client::ready(&api).await;
    let long = "x".repeat(60_000);
    let query = format!("subscription {{ {long}: onStatus {{ id }} }}");
    for id in ["a", "b", "c"] {
        slow.started(id, &query, json!({})).await;
    }
    let mut quick = Client::ready(&api).await;
    quick.started("quick", "subscription { onStatus { id } }", json!({})).await;
    // Enough to fill every buffer between here and a reader that never reads.
    for round in 0..200 {
        change(&api, &round.to_string(), "PLANNED").await;
        assert_eq!(quick.next().await["payload"]["data"]["onStatus"]["id"], round.to_string());
    }
    let mut received = 0;
    while slow.frame().await.is_some() {
        received += 1;
    }
    assert!(received < 600, "{received}");
}

#[tokio::test]
async fn stopping_the_api_closes_its_sockets() {
    let api = stations().serve().await;
    let mut client = Client::ready(&api).await;
    client.started("one", "subscription { onStatus { id } }", json!({})).await;
    api.stop.cancel();
    assert_eq!(client.frame().await, None);
    tokio::time::timeout(Duration::from_secs(5), api.served).await.unwrap().unwrap().unwrap();
}
