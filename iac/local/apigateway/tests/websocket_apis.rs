//! Two WebSocket APIs of one template, on one address.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use apigateway::websocket::{Api, ApiDefinition, Options};
use aws_sdk_apigatewaymanagement::error::ProvideErrorMetadata as _;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::sockets::{close_code, open_all, two_apis};
use support::{Functions, arc, stack};
use tokio_tungstenite::tungstenite::Message;

const OK: fn() -> Value = || json!({"statusCode": 200});

async fn text(client: &mut support::sockets::Client) -> String {
    client.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

#[tokio::test]
async fn two_apis_share_an_address_and_nothing_else() {
    let functions = arc(Functions::default()
        .returning("Connect", OK())
        .returning("Disconnect", OK())
        .on("Message", async |event| {
            Some(json!({"statusCode": 200, "body": event["requestContext"]["routeKey"]}))
        })
        .returning("Silent", OK()));
    let definitions = ApiDefinition::from_stack(&stack(&two_apis())).unwrap();
    let names: Vec<_> = definitions.iter().map(|api| (api.logical_id.as_str(), api.stage())).collect();
    assert_eq!(names, [("Api", "prod"), ("LiveApi", "live")]);
    let ids: Vec<_> = definitions.iter().map(|definition| definition.logical_id.clone()).collect();
    let apis = definitions.into_iter().map(|definition| {
        // Only one of them is behind the edge.
        let edge = Options::default().edge.filter(|_| definition.logical_id == ids[1]);
        Api::new(definition, functions.clone(), Options { edge, ..Options::default() })
    });
    let door = open_all(apis.collect()).await;

    let (mut charger, _) = door.dial("/prod?a=1", &[]).await.unwrap();
    let (mut driver, _) = door.dial("/live?token=t", &[]).await.unwrap();
    let (edge, _) = door.dial("/ocpp/CP-1", &[]).await.unwrap();
    assert_eq!(door.refusal("/other", &[]).await.status(), 403);
    assert_eq!(door.refusal("/ocpp/a/b", &[]).await.status(), 404);
    let connects = functions.wait_for("Connect", 3).await;
    let seen: Vec<_> = connects
        .iter()
        .map(|event| (&event["requestContext"]["stage"], &event["queryStringParameters"]))
        .collect();
    assert_eq!(seen[0], (&json!("prod"), &json!({"a": "1"})));
    assert_eq!(seen[1], (&json!("live"), &json!({"token": "t"})));
    assert_eq!(seen[2], (&json!("live"), &json!({"chargePointId": "CP-1"})));
    assert_ne!(connects[0]["requestContext"]["apiId"], connects[1]["requestContext"]["apiId"]);
    drop(edge);

    // Each API selects the route in its own way; what neither names is the default's.
    for (client, words) in [
        (&mut charger, [json!({"event": "Silent"}), json!([2, "1", "Silent"]), json!([2, "2", "Other"])]),
        (&mut driver, [json!([2, "1", "Silent"]), json!({"event": "Silent"}), json!({"event": "other"})]),
    ] {
        for word in words {
            client.send(Message::text(word.to_string())).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(text(client).await, "$default");
        }
    }
    assert_eq!(functions.wait_for("Silent", 2).await.len(), 2);

    // A socket is known to its own API alone.
    let id = connects[1]["requestContext"]["connectionId"].as_str().unwrap();
    let post = |stage: &str| {
        let post = door.management_of(stage).post_to_connection().connection_id(id).data(Blob::new("news"));
        post.send()
    };
    assert_eq!(post("prod").await.unwrap_err().code(), Some("GoneException"));
    assert_eq!(post("other").await.unwrap_err().code(), Some("ForbiddenException"));
    post("live").await.unwrap();
    assert_eq!(text(&mut driver).await, "news");

    door.shutdown.cancel();
    for client in [&mut charger, &mut driver] {
        assert_eq!(close_code(client.next().await).0, 1001);
    }
    functions.wait_for("Disconnect", 3).await;
}

#[test]
fn apis_that_cannot_be_told_apart_and_parts_of_none_are_refused() {
    for (from, to, place) in [
        ("StageName: live", "StageName: prod", "Resources.LiveApi"),
        // Of the other API, whose integrations are not its own.
        (
            "LiveMessageRoute:\n    Type: AWS::ApiGatewayV2::Route\n    Properties:\n      ApiId: !Ref LiveApi",
            "LiveMessageRoute:\n    Type: AWS::ApiGatewayV2::Route\n    Properties:\n      ApiId: !Ref Api",
            "Resources.LiveMessageRoute.Properties.Target",
        ),
        (
            "LiveStage:\n    Type: AWS::ApiGatewayV2::Stage\n    Properties:\n      ApiId: !Ref LiveApi",
            "LiveStage:\n    Type: AWS::ApiGatewayV2::Stage\n    Properties:\n      ApiId: other",
            "Resources.LiveApi",
        ),
        (
            "LiveSilentRoute:\n    Type: AWS::ApiGatewayV2::Route\n    Properties:\n      ApiId: !Ref LiveApi",
            "LiveSilentRoute:\n    Type: AWS::ApiGatewayV2::Route\n    Properties:\n      ApiId: other",
            "Resources.LiveSilentRoute.Properties.ApiId",
        ),
    ] {
        let text = two_apis();
        assert!(text.contains(from), "{from}");
        let error = ApiDefinition::from_stack(&stack(&text.replace(from, to))).unwrap_err();
        assert_eq!(error.place, place, "{error}");
    }
}
