//! AppSync's WebSocket protocol: an older one of Apollo's with its own ways of authorizing.
//! <https://docs.aws.amazon.com/appsync/latest/devguide/real-time-websocket-client.html>

mod connection;
mod filter;
mod handshake;
mod hub;
mod message;

use std::sync::Arc;

use axum::extract::WebSocketUpgrade;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Map;

use crate::api::Api;
use crate::auth::{Attempt, Headers, SignedTarget};
pub(crate) use hub::Hub;
use message::ConnectionFault;

const PROTOCOL: &str = "graphql-ws";
/// A subscription's document and variables fit in this; AppSync takes no more in a frame.
const MAX_MESSAGE: usize = 256 << 10;

/// Opens the socket whatever the credentials say: a refusal is told in the protocol, once the client has said hello.
pub(crate) async fn upgrade(
    api: Arc<Api>,
    upgrade: WebSocketUpgrade,
    uri: &Uri,
    headers: &Headers,
    source_ip: String,
) -> Response {
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "the graphql-ws subprotocol is required").into_response();
    }
    let opening = open(&api, uri, headers, &source_ip).await;
    let headers = headers.clone();
    upgrade.on_upgrade(move |socket| connection::run(api, socket, opening, headers, source_ip))
}

async fn open(api: &Api, uri: &Uri, headers: &Headers, source_ip: &str) -> Result<(), ConnectionFault> {
    let given = handshake::credentials(uri, headers).ok_or(ConnectionFault::BadRequest)?;
    let headers = merged(headers, given);
    let path = format!("{}/connect", uri.path().trim_end_matches("/realtime"));
    let attempt = Attempt {
        headers: &headers,
        signed: SignedTarget { method: "POST", path: &path, query: "", body: b"{}" },
        query: "",
        operation_name: None,
        variables: &Map::new(),
        source_ip,
    };
    match api.authenticator.authenticate(&attempt).await {
        Ok(_) => Ok(()),
        Err(_) => Err(ConnectionFault::Unauthorized),
    }
}

/// The request's headers with those of the protocol's own credentials, which win.
fn merged(headers: &Headers, given: Headers) -> Headers {
    let mut merged = headers.clone();
    merged.extend(given);
    merged
}
