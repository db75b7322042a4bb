//! Whose address a request bears. To the gateway, whatever comes through the edge comes from CloudFront, whose addresses
//! many clients share; so the edge tells the viewer's, and proves by a key that it is the edge.

use std::net::IpAddr;

use shared::setting;
use subtle::ConstantTimeEq;

use crate::request::Request;

const KEY: &str = "x-ev-edge-key";
const VIEWER: &str = "x-viewer-address";

/// What the edge proves itself with; without a key, nobody is the edge.
#[derive(Default)]
pub(crate) struct Edge {
    key: Option<String>,
}

impl Edge {
    /// From `EDGE_KEY`, which only routes that count by address are given.
    pub(crate) fn from_env() -> Self {
        Self { key: setting("EDGE_KEY").ok() }
    }

    /// The address that the request was sent from, as the edge has it, else as the gateway has it.
    pub(crate) fn viewer(&self, request: &Request) -> Option<String> {
        let told = self.is_sender_of(request).then(|| request.header(VIEWER)).flatten();
        let told = told.filter(|address| address.parse::<IpAddr>().is_ok());
        told.or(request.source_ip.as_deref()).map(str::to_owned)
    }

    fn is_sender_of(&self, request: &Request) -> bool {
        let sent = request.header(KEY);
        self.key.as_ref().zip(sent).is_some_and(|(key, sent)| key.as_bytes().ct_eq(sent.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    const GATEWAYS: &str = "130.176.1.1";

    fn seen_by(edge: &Edge, headers: &Value) -> String {
        let context = json!({ "http": { "method": "GET", "sourceIp": GATEWAYS } });
        let event = json!({ "version": "2.0", "headers": headers, "requestContext": context });
        edge.viewer(&serde_json::from_value(event).unwrap()).unwrap()
    }

    #[test]
    fn the_edge_alone_is_believed() {
        let edge = Edge { key: Some("a key".to_owned()) };
        let told = |key: &str, address: &str| json!({ "x-ev-edge-key": key, "x-viewer-address": address });
        assert_eq!(seen_by(&edge, &told("a key", "203.0.113.9")), "203.0.113.9");
        assert_eq!(seen_by(&edge, &told("a key", "2001:db8::1")), "2001:db8::1");
        for headers in [
            told("another key", "203.0.113.9"),
            told("", "203.0.113.9"),
            told("a key", "no address"),
            json!({ "x-viewer-address": "203.0.113.9" }),
            json!({ "x-ev-edge-key": "a key" }),
            json!({ "x-forwarded-for": "203.0.113.9" }),
        ] {
            assert_eq!(seen_by(&edge, &headers), GATEWAYS, "{headers}");
        }
    }

    #[test]
    fn without_a_key_nobody_is_the_edge() {
        for key in ["", "a key"] {
            let headers = json!({ "x-ev-edge-key": key, "x-viewer-address": "203.0.113.9" });
            assert_eq!(seen_by(&Edge::default(), &headers), GATEWAYS);
        }
    }
}
