//! A charging network: set up by an operator, it reports by webhooks that it signs as Standard Webhooks says, through the
//! front door.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;

/// Which webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    Status,
    Start,
    End,
}

/// A registered network with its first key.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) id: Uuid,
    pub(super) secret: String,
}

/// What is reported; however often it is delivered, it is one webhook.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) hook: Hook,
    pub(super) id: String,
    /// To the second.
    pub(super) at: DateTime<Utc>,
    pub(super) body: Value,
}

/// A request, ready to be sent as often as one likes.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    hook: Hook,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) challenge: Option<String>,
    pub(super) body: Value,
}

impl Network {
    /// Has `operator` register a network.
    pub(super) async fn register(operator: &Account) -> Result<Self> {
        let register = "mutation($input: RegisterVendorInput!) { registerVendor(input: $input) { secret vendor { id } } }";
        let name = json!({ "input": { "name": format!("Network {}", Uuid::new_v4()) } });
        let made: Value = operator.client.field(register, name).await?;
        let id = made["vendor"]["id"].as_str().ok_or("a vendor without id")?.parse()?;
        Ok(Self { id, secret: secret(&made)? })
    }

    /// Has `operator` set up `count` connectors of the network at a station, numbered from `first`, and called
    /// [`Network::name_of`] their number by the network.
    pub(super) async fn connectors(
        &self,
        operator: &Account,
        station: Uuid,
        first: usize,
        count: usize,
    ) -> Result<Vec<Uuid>> {
        let register = "mutation($input: RegisterVendorConnectorsInput!) {
            registerVendorConnectors(input: $input) { id } }";
        let connectors = (first..first + count).map(|number| {
            json!({
                "vendorConnectorId": Self::name_of(station, number), "number": number, "type": "CCS (Type 2)",
                "powerKW": 50.0,
            })
        });
        let input = json!({
            "vendorId": self.id, "stationId": station, "connectors": connectors.collect::<Vec<_>>(),
        });
        let made: Vec<Value> = operator.client.field(register, json!({ "input": input })).await?;
        let ids = made.iter().map(|made| Ok(made["id"].as_str().ok_or("a connector without id")?.parse()?));
        ids.collect()
    }

    /// What a network calls a connector.
    pub(super) fn name_of(station: Uuid, number: usize) -> String {
        format!("{station}/{number}")
    }

    /// Has `operator` make another key; the present one is good for a day more.
    pub(super) async fn rotate(&self, operator: &Account) -> Result<String> {
        let rotate = "mutation($input: RotateVendorKeyInput!) { rotateVendorKey(input: $input) { secret } }";
        let input = json!({ "vendorId": self.id, "overlapHours": 24, "reason": "for the proof" });
        secret(&operator.client.field(rotate, json!({ "input": input })).await?)
    }

    /// The webhook, signed with `secret`.
    pub(super) fn sign(&self, webhook: &Webhook, secret: &str) -> Result<Delivery> {
        self.sign_text(webhook, webhook.body.to_string(), secret)
    }

    /// The webhook with any text as its body, signed all the same.
    pub(super) fn sign_text(&self, webhook: &Webhook, body: String, secret: &str) -> Result<Delivery> {
        let time = webhook.at.timestamp();
        let signature = signature(secret, &webhook.id, time, &body)?;
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-vendor-id", self.id.to_string()),
            ("webhook-id", webhook.id.clone()),
            ("webhook-timestamp", time.to_string()),
            ("webhook-signature", signature),
        ];
        Ok(Delivery { hook: webhook.hook, headers, body })
    }
}

impl Delivery {
    /// With another header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Without a header.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    /// With another body under the old signature.
    pub(super) fn with_body(mut self, body: String) -> Self {
        self.body = body;
        self
    }

    /// Posts it to `stack`.
    pub(super) async fn post(&self, stack: &Stack) -> Result<Answer> {
        static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
        let url = format!("{}/v1/vendor/webhooks/{}", stack.http_url, self.hook.path());
        let request = HTTP.get_or_init(reqwest::Client::new).post(url).body(self.body.clone());
        let request =
            self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await?;
        let status = response.status().as_u16();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer { status, challenge, body: response.json().await? })
    }
}

impl Answer {
    /// Whether it is to be sent again: there was no room, or something did not work.
    pub(super) fn is_to_come_again(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

impl Hook {
    fn path(self) -> &'static str {
        match self {
            Self::Status => "connector-status",
            Self::Start => "session-start",
            Self::End => "session-end",
        }
    }
}

fn secret(made: &Value) -> Result<String> {
    Ok(made["secret"].as_str().ok_or("a vendor without secret")?.to_owned())
}

fn signature(secret: &str, id: &str, time: i64, body: &str) -> Result<String> {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").ok_or("no signing secret")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret)?;
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}
