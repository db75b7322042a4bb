//! A vendor's webhooks through the front door: each signed anew, verified and queued.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use hyper::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::load::{Call, Calls};
use super::service::{self, Served};
use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;

const CONNECTORS: usize = 100;
/// One report in so many tells of a change; the others repeat what is known, as networks do.
const CHANGE_EVERY: usize = 10;

/// `connector-status` of a hundred connectors of a new vendor at `station`, in turn.
pub async fn measure(stack: &Stack, operator: &Account, station: &str, time: Duration) -> Result<Served> {
    let register =
        "mutation($input: RegisterVendorInput!) { registerVendor(input: $input) { secret vendor { id } } }";
    let input = json!({ "name": format!("Bench {}", Uuid::new_v4()) });
    let vendor: Value = operator.client.field(register, json!({ "input": input })).await?;
    let id = vendor["vendor"]["id"].as_str().ok_or("a vendor without id")?;
    let secret =
        vendor["secret"].as_str().and_then(|secret| secret.strip_prefix("whsec_")).ok_or("no secret")?;
    let key = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(secret)?)?;
    let connectors: Vec<Value> = (1..=CONNECTORS)
        .map(|number| json!({ "vendorConnectorId": name(number - 1), "number": number, "type": "CCS (Type 2)", "powerKW": 50.0 }))
        .collect();
    let register =
        "mutation($input: RegisterVendorConnectorsInput!) { registerVendorConnectors(input: $input) { id } }";
    let input = json!({ "vendorId": id, "stationId": station, "connectors": connectors });
    let _: Value = operator.client.field(register, json!({ "input": input })).await?;

    let webhooks = Calls::from_many(&stack.http_url, |number| {
        let status =
            if (number / CONNECTORS).is_multiple_of(CHANGE_EVERY) { "OCCUPIED" } else { "AVAILABLE" };
        let body = json!({
            "stationId": station, "vendorConnectorId": name(number % CONNECTORS), "status": status, "metadata": {},
        })
        .to_string();
        let (webhook, now) = (format!("msg_{}", Uuid::new_v4().simple()), chrono::Utc::now().timestamp());
        let mut mac = key.clone();
        mac.update(format!("{webhook}.{now}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let headers = [
            ("x-vendor-id", id.to_owned()),
            ("webhook-id", webhook),
            ("webhook-timestamp", now.to_string()),
            ("webhook-signature", signature),
        ];
        Some(Call {
            method: Method::POST,
            path: "/v1/vendor/webhooks/connector-status".into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: Bytes::from(body),
        })
    });
    service::measure(stack, &webhooks, time).await
}

fn name(number: usize) -> String {
    format!("bench-{number}")
}
