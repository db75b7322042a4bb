//! A WebSocket API as its clients and functions see it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apigateway::websocket::{ApiDefinition, Options};
use aws_sdk_apigatewaymanagement::error::ProvideErrorMetadata as _;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::sockets::{close_code, open, resources};
use support::{Functions, arc, stack};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

const OK: fn() -> Value = || json!({"statusCode": 200});

/// Accepts; answers a message with its own text.
fn echo() -> Functions {
    Functions::default()
        .returning("Connect", OK())
        .returning("Disconnect", OK())
        .returning("Silent", json!({"statusCode": 200, "body": "unheard"}))
        .on("Message", async |event| Some(json!({"statusCode": 200, "body": event["body"]})))
}

async fn text(client: &mut support::sockets::Client) -> String {
    client.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

#[tokio::test]
async fn a_connection_from_connect_to_disconnect() {
    let functions = arc(echo()
        .returning("Connect", json!({"statusCode": 200, "headers": {"sec-websocket-protocol": "ocpp1.6"}})));
    let door = open(functions.clone(), Options::default()).await;
    let offered = [
        ("sec-websocket-protocol", "ocpp2.0.1, ocpp1.6"),
        ("user-agent", "charger/1"),
        ("x-many", "a"),
        ("x-many", "b"),
    ];
    let (mut client, response) = door.dial("/prod?a=1&a=x%20y&b=p%2Bq", &offered).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "ocpp1.6");

    let event = &functions.events("Connect")[0];
    let context = &event["requestContext"];
    let connection_id = context["connectionId"].as_str().unwrap().to_owned();
    assert_eq!(context["routeKey"], "$connect");
    assert_eq!(context["eventType"], "CONNECT");
    assert_eq!(context["stage"], "prod");
    assert_eq!(context["messageDirection"], "IN");
    assert_eq!(context["identity"], json!({"sourceIp": "127.0.0.1", "userAgent": "charger/1"}));
    let (id, domain) = (context["apiId"].as_str().unwrap(), context["domainName"].as_str().unwrap());
    assert_eq!(domain, format!("{id}.execute-api.eu-central-1.amazonaws.com"));
    assert_eq!(event["headers"]["Sec-WebSocket-Protocol"], "ocpp2.0.1, ocpp1.6");
    assert_eq!(event["multiValueHeaders"]["X-Many"], json!(["a", "b"]));
    assert_eq!(event["queryStringParameters"], json!({"a": "x y", "b": "p+q"}));
    assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", "x y"], "b": ["p+q"]}));
    assert_eq!(event["isBase64Encoded"], false);

    client.send(Message::text("[2,\"1\",\"Heartbeat\",{}]")).await.unwrap();
    assert_eq!(text(&mut client).await, "[2,\"1\",\"Heartbeat\",{}]");
    let event = &functions.events("Message")[0];
    assert_eq!(event["requestContext"]["routeKey"], "$default");
    assert_eq!(event["requestContext"]["eventType"], "MESSAGE");
    assert_eq!(event["requestContext"]["connectionId"], connection_id);
    assert!(event["requestContext"]["messageId"].is_string());
    assert_eq!(event["body"], "[2,\"1\",\"Heartbeat\",{}]");

    // A route of its own, which does not answer; then one that does, to show that nothing came between.
    client.send(Message::text("[2,\"2\",\"Silent\",{}]")).await.unwrap();
    functions.wait_for("Silent", 1).await;
    client.send(Message::text("no json")).await.unwrap();
    assert_eq!(text(&mut client).await, "no json");

    client
        .close(Some(tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 4001.into(),
            reason: "bye".into(),
        }))
        .await
        .unwrap();
    let event = &functions.wait_for("Disconnect", 1).await[0];
    let context = &event["requestContext"];
    assert_eq!(
        (context["eventType"].as_str(), context["routeKey"].as_str()),
        (Some("DISCONNECT"), Some("$disconnect"))
    );
    assert_eq!(context["connectionId"], connection_id);
    assert_eq!(
        (&context["disconnectStatusCode"], &context["disconnectReason"]),
        (&json!(4001), &json!("bye"))
    );
    assert_eq!(door.api.connections(), 0);
}

#[tokio::test]
async fn connect_decides() {
    let functions = arc(echo().on("Connect", async |event| {
        match event["queryStringParameters"]["chargePointId"].as_str() {
            Some("CP/1 é") => Some(OK()),
            Some("broken") => None,
            Some("odd") => Some(json!("odd")),
            _ => Some(json!({"statusCode": 401, "headers": {"WWW-Authenticate": "Basic"}, "body": "no"})),
        }
    }));
    let door = open(functions.clone(), Options::default()).await;
    let refused = door.refusal("/ocpp/nobody", &[]).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["www-authenticate"]),
        (401, &"Basic".parse().unwrap())
    );
    assert_eq!(door.refusal("/ocpp/broken", &[]).await.status(), 502);
    assert_eq!(door.refusal("/ocpp/odd", &[]).await.status(), 502);
    for path in ["/ocpp/", "/ocpp/a/b", "/ocpp/%E0%A4"] {
        assert_eq!(door.refusal(path, &[]).await.status(), 404, "{path}");
    }
    assert_eq!(door.refusal("/other", &[]).await.status(), 403);
    let plain = reqwest::get(format!("http://{}/prod", door.address)).await.unwrap();
    assert_eq!(plain.status(), 426);

    // The edge names the charger by the path alone.
    let (client, response) = door.dial("/ocpp/CP%2F1%20%C3%A9?chargePointId=nobody", &[]).await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    assert_eq!(door.api.connections(), 1);
    drop(client);
    let events = functions.wait_for("Disconnect", 1).await;
    assert_eq!(events[0]["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn connections_api() {
    let early = Arc::new(std::sync::Mutex::new(None::<aws_sdk_apigatewaymanagement::Client>));
    let (client_of, status) = (early.clone(), Arc::new(std::sync::Mutex::new(String::new())));
    let told = status.clone();
    let functions = arc(echo().on("Connect", move |event| {
        let (management, told) = (client_of.lock().unwrap().clone().unwrap(), told.clone());
        async move {
            let id = event["requestContext"]["connectionId"].as_str().unwrap();
            let error =
                management.post_to_connection().connection_id(id).data(Blob::new("early")).send().await;
            *told.lock().unwrap() = error.unwrap_err().code().unwrap().to_owned();
            Some(OK())
        }
    }));
    let door = open(functions.clone(), Options::default()).await;
    let management = door.management();
    *early.lock().unwrap() = Some(management.clone());
    let mut client = door.connect().await;
    assert_eq!(*status.lock().unwrap(), "GoneException");
    let id = functions.events("Connect")[0]["requestContext"]["connectionId"].as_str().unwrap().to_owned();

    let post = |id: &str, data: Vec<u8>| {
        management.post_to_connection().connection_id(id).data(Blob::new(data)).send()
    };
    post(&id, b"hello".to_vec()).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let whole = vec![b'x'; 128 * 1024];
    post(&id, whole.clone()).await.unwrap();
    assert_eq!(text(&mut client).await.len(), whole.len());
    let too_large = post(&id, vec![b'x'; 128 * 1024 + 1]).await.unwrap_err().into_service_error();
    assert!(too_large.is_payload_too_large_exception(), "{too_large:?}");

    let seen = management.get_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(seen.identity().unwrap().source_ip(), Some("127.0.0.1"));
    assert!(seen.last_active_at().unwrap() >= seen.connected_at().unwrap());

    let path = format!("http://{}/prod/@connections/{id}", door.address);
    let unsigned = reqwest::Client::new().post(&path).body("x").send().await.unwrap();
    assert_eq!(unsigned.status(), 403);
    let encoded = path.replace('@', "%40");
    let signed = reqwest::Client::new().post(encoded).header("authorization", "AWS4-HMAC-SHA256 x");
    assert_eq!(signed.body("encoded").send().await.unwrap().status(), 200);
    assert_eq!(text(&mut client).await, "encoded");

    management.delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(close_code(client.next().await), (1000, "Connection Closed Normally".to_owned()));
    assert!(client.next().await.is_none());
    functions.wait_for("Disconnect", 1).await;
    let gone = post(&id, b"late".to_vec()).await.unwrap_err().into_service_error();
    assert!(gone.is_gone_exception(), "{gone:?}");
}

#[tokio::test]
async fn limits_of_a_connection() {
    let functions = arc(echo());
    let door = open(functions.clone(), Options::default()).await;

    // 128 KB in frames of 32 KB pass, a frame of more does not.
    let mut client = door.connect().await;
    let frame = |opcode, last| {
        use tokio_tungstenite::tungstenite::protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        };
        let data = if opcode { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(vec![b'x'; 32 * 1024], OpCode::Data(data), last))
    };
    for part in 0..4 {
        client.send(frame(part == 0, part == 3)).await.unwrap();
    }
    assert_eq!(text(&mut client).await.len(), 128 * 1024);
    for part in 0..5 {
        client.send(frame(part == 0, part == 4)).await.unwrap();
    }
    assert_eq!(close_code(client.next().await).0, 1009);
    functions.wait_for("Disconnect", 1).await;
    let mut client = door.connect().await;
    client.send(Message::text("x".repeat(32 * 1024 + 1))).await.unwrap();
    assert_eq!(close_code(client.next().await).0, 1009);
    functions.wait_for("Disconnect", 2).await;
    let mut client = door.connect().await;
    client.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(close_code(client.next().await).0, 1003);
    drop(client);
    let codes = functions.wait_for("Disconnect", 3).await;
    let codes: Vec<_> =
        codes.iter().map(|event| event["requestContext"]["disconnectStatusCode"].clone()).collect();
    assert_eq!(codes, [1009, 1009, 1003]);

    // Idle, and too old.
    let idle = Options { idle: Duration::from_millis(100), ..Options::default() };
    let door = open(functions.clone(), idle).await;
    assert_eq!(close_code(door.connect().await.next().await), (1001, "Going away".to_owned()));
    let life = Options { life: Duration::from_millis(100), ..Options::default() };
    let door = open(functions.clone(), life).await;
    assert_eq!(close_code(door.connect().await.next().await), (1001, "Going away".to_owned()));
    functions.wait_for("Disconnect", 5).await;
}

#[tokio::test]
async fn functions_that_fail_or_linger() {
    let gate = Arc::new(Semaphore::new(0));
    let hold = gate.clone();
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    let functions = arc(echo().on("Message", move |event| {
        let (hold, at_once, highest) = (hold.clone(), at_once.clone(), highest.clone());
        async move {
            match event["body"].as_str().unwrap() {
                "fail" => None,
                "odd" => Some(json!("odd")),
                "linger" => std::future::pending().await,
                "wait" => {
                    highest.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    hold.acquire().await.unwrap().forget();
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    Some(json!({"statusCode": 500, "body": "waited"}))
                }
                _ => Some(json!({"statusCode": 200})),
            }
        }
    }));
    let options = Options { concurrent_messages: 2, ..Options::default() };
    let door = open(functions.clone(), options).await;
    let mut client = door.connect().await;
    let id = functions.events("Connect")[0]["requestContext"]["connectionId"].clone();
    for (sent, message) in [
        ("fail", "Internal server error"),
        ("odd", "Internal server error"),
        ("linger", "Endpoint request timed out"),
    ] {
        client.send(Message::text(sent)).await.unwrap();
        let frame: Value = serde_json::from_str(&text(&mut client).await).unwrap();
        assert_eq!((&frame["message"], &frame["connectionId"]), (&json!(message), &id));
        assert!(frame["requestId"].is_string());
    }

    // Two at a time, and the rest in turn.
    for _ in 0..5 {
        client.send(Message::text("wait")).await.unwrap();
    }
    functions.wait_for("Message", 5).await;
    gate.add_permits(5);
    for _ in 0..5 {
        assert_eq!(text(&mut client).await, "waited");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_during_connect_is_still_disconnected() {
    let gate = Arc::new(Semaphore::new(0));
    let hold = gate.clone();
    let functions = arc(echo().on("Connect", move |_| {
        let hold = hold.clone();
        async move {
            hold.acquire().await.unwrap().forget();
            Some(OK())
        }
    }));
    let door = open(functions.clone(), Options::default()).await;
    tokio::select! {
        _ = door.dial("/prod", &[]) => panic!("nobody has accepted it"),
        _ = functions.wait_for("Connect", 1) => {}
    }
    gate.add_permits(1);
    let event = &functions.wait_for("Disconnect", 1).await[0];
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1006);
}

#[tokio::test]
async fn shutdown_closes_everyone_and_tells_their_functions() {
    let functions = arc(echo());
    let door = open(functions.clone(), Options::default()).await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(door.connect().await);
    }
    assert_eq!(door.api.connections(), 200);
    door.shutdown.cancel();
    let closed = clients.into_iter().map(async |mut client| {
        let code = close_code(client.next().await).0;
        assert!(client.next().await.is_none());
        code
    });
    assert!(futures::future::join_all(closed).await.into_iter().all(|code| code == 1001));
    door.served.await.unwrap();
    let mut ids: Vec<String> = functions
        .events("Disconnect")
        .iter()
        .map(|event| event["requestContext"]["connectionId"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), functions.events("Disconnect").len()), (200, 200));
}

#[test]
fn what_the_door_does_not_do_is_refused_by_name() {
    assert!(ApiDefinition::from_stack(&stack("  Queue:\n    Type: AWS::SQS::Queue\n")).unwrap().is_empty());
    for (from, to, place) in [
        ("$request.body.[2]", "$request.header.x", "Resources.Api.Properties.RouteSelectionExpression"),
        ("AWS_PROXY", "MOCK", "IntegrationType"),
        ("StageName: prod", "StageName: prod\n      StageVariables: {a: b}", "Resources.Stage.Properties"),
        (
            "RouteKey: Silent",
            "RouteKey: Silent\n      AuthorizationType: AWS_IAM",
            "Resources.SilentRoute.Properties.AuthorizationType",
        ),
        ("RouteKey: Silent", "RouteKey: $default", "RouteKey"),
        (
            "RouteKey: Silent",
            "RouteKey: Silent\n      RouteResponseSelectionExpression: $default",
            "RouteResponseSelectionExpression",
        ),
        (
            "integrations/${SilentIntegration}",
            "integrations/${Api}",
            "Resources.SilentRoute.Properties.Target",
        ),
        ("TimeoutInMillis: 1000", "TimeoutInMillis: 29001", "TimeoutInMillis"),
    ] {
        let text = resources();
        assert!(text.contains(from), "{from}");
        let error = ApiDefinition::from_stack(&stack(&text.replace(from, to))).unwrap_err();
        assert!(error.place.contains(place), "{error}");
    }
}
