//! Webhooks as they are posted: with real secrets and a real queue, and by others than the vendors.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;
#[path = "../../rest/tests/told/mod.rs"]
mod told;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use rest::Request;
use serde_json::{Value, json};
use sha2::Sha256;
use shared::{Caller, Message, Role, Timestamp, VendorId};
use support::{Cloud, World, read};
use vendor::{Desk, Keyring, Kind, Report, Told, Vendors};

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

struct Front {
    cloud: Cloud,
    desk: Desk,
    now: Timestamp,
}

/// What is posted. Everything may be told wrongly.
#[derive(Clone)]
struct Post {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Front {
    async fn new() -> Self {
        let cloud = Cloud::new().await;
        let desk = desk(&cloud);
        Self { cloud, desk, now: "2026-02-21T14:31:00Z".parse().unwrap() }
    }

    /// The status, and the whole answer.
    async fn post(&self, kind: Kind, post: &Post, at: Timestamp) -> (u16, Value) {
        let mut event = read("webhook-session-end");
        event["headers"] = json!({ "content-type": "application/json", "host": "api.example.com" });
        for (name, value) in &post.headers {
            event["headers"][name] = json!(value);
        }
        event["body"] = json!(post.body);
        let request: Request = serde_json::from_value(event).unwrap();
        let handler =
            async |caller: Caller, request: Request| self.desk.receive(kind, &caller, &request).await;
        let answer = rest::open_answer(&handler, request, at).await;
        if answer.status() == 503 {
            assert!(answer.headers().contains_key("retry-after"));
        }
        assert!(!answer.headers().contains_key("www-authenticate"), "a token would not help");
        told::checked(route(kind), &answer);
        (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap())
    }

    async fn status(&self, post: &Post, at: Timestamp) -> u16 {
        self.post(Kind::SessionEnd, post, at).await.0
    }
}

/// As the contract has it.
fn route(kind: Kind) -> &'static str {
    match kind {
        Kind::ConnectorStatus => "POST /v1/vendor/webhooks/connector-status",
        Kind::SessionStart => "POST /v1/vendor/webhooks/session-start",
        Kind::SessionEnd => "POST /v1/vendor/webhooks/session-end",
    }
}

fn desk(cloud: &Cloud) -> Desk {
    let queue = aws_sdk_sqs::Client::new(&cloud.config);
    Desk::new(Keyring::new(cloud.vault()), queue, cloud.queue_url.clone())
}

fn body() -> Value {
    json!({ "vendorSessionId": "s-1", "endMeterReading": 25.5, "energyKwh": 25.5, "costAmount": 250.0 })
}

fn sign(secret: &str, id: &str, time: i64, body: &str) -> String {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn signed(vendor: VendorId, secret: &str, at: Timestamp, body: &str) -> Post {
    let signature = sign(secret, ID, at.timestamp(), body);
    Post {
        headers: vec![
            ("x-vendor-id", vendor.to_string()),
            ("webhook-id", ID.to_owned()),
            ("webhook-timestamp", at.timestamp().to_string()),
            ("webhook-signature", signature),
        ],
        body: body.to_owned(),
    }
}

impl Post {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }
}

/// With vendors and their keys, as operators make them.
struct Office {
    world: World,
    vendors: Vendors,
}

impl Office {
    async fn new(cloud: &Cloud) -> Self {
        let world = World::new().await;
        Self { vendors: Vendors::new(world.outbox.clone(), cloud.vault()), world }
    }

    async fn register(&self, name: &str, at: Timestamp) -> (VendorId, String) {
        let caller = Caller { at, ..self.world.caller(Role::Operator) };
        let arguments = shared::read_fields(json!({ "input": { "name": name } })).unwrap();
        let made = vendor::register(&self.vendors, &caller, arguments).await.unwrap();
        (made.vendor.id, made.secret)
    }

    async fn rotate(&self, vendor: VendorId, hours: i64, at: Timestamp) -> String {
        let caller = Caller { at, ..self.world.caller(Role::Operator) };
        let input = json!({ "vendorId": vendor, "overlapHours": hours, "reason": "r" });
        let arguments = shared::read_fields(json!({ "input": input })).unwrap();
        vendor::rotate_key(&self.vendors, &caller, arguments).await.unwrap().secret
    }
}

#[tokio::test]
async fn what_a_vendor_signs_is_queued_word_for_word_and_nothing_else_is() {
    let front = Front::new().await;
    let (office, now) = (Office::new(&front.cloud).await, front.now);
    let (vendor, secret) = office.register("ChargeNet", now).await;
    let (other, others) = office.register("Other", now).await;
    let text = body().to_string();
    let good = signed(vendor, &secret, now, &text);

    let correlation = "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44";
    let post = good.clone().with("x-correlation-id", correlation);
    let answer = front.post(Kind::SessionEnd, &post, now + TimeDelta::seconds(3)).await;
    assert_eq!(answer, (202, json!({ "success": true, "data": { "accepted": true } })));
    let queued = front.cloud.queued().await;
    assert_eq!(
        queued,
        [json!({
            "vendorId": vendor, "webhookId": ID, "kind": "SESSION_END", "occurredAt": "2026-02-21T14:31:00Z",
            "correlationId": correlation,
            "body": {
                "vendorSessionId": "s-1", "endMeterReading": "25.5", "energyKwh": "25.5", "costAmount": "250",
            },
        })]
    );
    let report = Report::read(queued[0].clone()).unwrap();
    assert!(matches!(report.told, Told::SessionEnd(_)));

    // Names of headers have no case; of several signatures one is enough.
    let id = good.headers[0].1.clone();
    let signatures = format!("v1,AAAA v1a,x {}", good.headers[3].1);
    let shouted =
        good.clone().without("x-vendor-id").with("X-Vendor-ID", &id).with("Webhook-Signature", &signatures);
    assert_eq!(front.status(&shouted, now).await, 202);
    front.cloud.queued().await;

    let time = now.timestamp();
    let mut touched = good.clone();
    touched.body = text.replace("25.5", "26.5");
    let late = now + TimeDelta::seconds(301);
    let (_, stranger) =
        front.post(Kind::SessionEnd, &signed(VendorId::new(), &secret, now, &text), now).await;
    let (_, forger) = front.post(Kind::SessionEnd, &signed(vendor, &others, now, &text), now).await;
    let message = |answer: &Value| answer["error"]["message"].clone();
    assert_eq!(message(&stranger), message(&forger), "who exists is nobody's business");
    for (post, at, status) in [
        (signed(vendor, &others, now, &text), now, 401),
        (signed(other, &secret, now, &text), now, 401),
        (signed(VendorId::new(), &secret, now, &text), now, 401),
        (touched, now, 401),
        (good.clone(), late, 401),
        (signed(vendor, &secret, now + TimeDelta::seconds(301), &text), now, 401),
        (good.clone().with("webhook-timestamp", &(time + 1).to_string()), now, 401),
        (good.clone().with("webhook-id", "msg_2"), now, 401),
        (good.clone().with("x-vendor-id", "ChargeNet"), now, 401),
        (good.clone().without("x-vendor-id"), now, 401),
        (good.clone().without("webhook-id"), now, 401),
        (good.clone().without("webhook-timestamp"), now, 401),
        (good.clone().without("webhook-signature"), now, 401),
        (good.clone().with("webhook-id", "msg.1"), now, 400),
        (signed(vendor, &secret, now, &format!("{}{text}", " ".repeat(64 << 10))), now, 413),
    ] {
        assert_eq!(front.status(&post, at).await, status, "{:?} {}", post.headers, &post.body[..40]);
    }
    for (change, field) in [
        (json!({ "vendorSessionId": null }), "vendorSessionId"),
        (json!({ "endMeterReading": -1 }), "endMeterReading"),
        (json!({ "costAmount": "much" }), "costAmount"),
        (json!({ "vendorSessionId": "4242 4242 4242 4242" }), "vendorSessionId"),
    ] {
        let mut wrong = body();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let post = signed(vendor, &secret, now, &wrong.to_string());
        let (status, answer) = front.post(Kind::SessionEnd, &post, now).await;
        assert_eq!((status, answer["error"]["field"].as_str()), (400, Some(field)), "{answer}");
        assert!(!answer.to_string().contains("4242"), "{answer}");
    }
    // Another webhook's body.
    let (status, answer) = front.post(Kind::SessionStart, &good, now).await;
    assert_eq!((status, answer["error"]["field"].as_str()), (400, Some("connectorId")));
    assert_eq!(front.status(&signed(vendor, &secret, now, "no JSON"), now).await, 400);
    assert_eq!(front.cloud.queued().await, [Value::Null; 0]);
}

/// A webhook that is sent again has another timestamp, by the letter of Standard Webhooks.
#[tokio::test]
async fn what_a_vendor_says_of_when_it_happened_outlasts_repetitions() {
    let front = Front::new().await;
    let (office, now) = (Office::new(&front.cloud).await, front.now);
    let (vendor, secret) = office.register("ChargeNet", now).await;
    let told = |at: Value| {
        let mut body = body();
        body["occurredAt"] = at;
        body.to_string()
    };
    for (occurred, expected) in [
        (json!("2026-02-21T15:29:59.1234+01:00"), Some("2026-02-21T14:29:59.123Z")),
        (json!("2026-01-22T14:31:00Z"), Some("2026-01-22T14:31:00Z")),
        (json!("2026-02-21T14:31:00.999Z"), Some("2026-02-21T14:31:00.999Z")),
        (Value::Null, Some("2026-02-21T14:31:00Z")),
        (json!("2026-02-21T14:31:01Z"), None),
        (json!("2026-01-22T14:30:59Z"), None),
        (json!("yesterday"), None),
        (json!(1_771_684_260), None),
    ] {
        let post = signed(vendor, &secret, now, &told(occurred.clone()));
        let (status, answer) = front.post(Kind::SessionEnd, &post, now).await;
        let queued = front.cloud.queued().await;
        match expected {
            Some(at) => assert_eq!((status, &queued[0]["occurredAt"]), (202, &json!(at)), "{occurred}"),
            None => {
                assert_eq!((status, &answer["error"]["field"]), (400, &json!("occurredAt")), "{answer}");
                assert!(queued.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_new_key_signs_at_once_and_an_old_one_until_its_end() {
    let front = Front::new().await;
    let (office, now) = (Office::new(&front.cloud).await, front.now);
    let (vendor, first) = office.register("ChargeNet", now).await;
    let post = |secret: &str, at| signed(vendor, secret, at, &body().to_string());
    assert_eq!(front.status(&post(&first, now), now).await, 202);

    let at = now + TimeDelta::seconds(10);
    let second = office.rotate(vendor, 24, at).await;
    assert_eq!(front.status(&post(&second, at), at).await, 202, "no waiting for the cache");
    assert_eq!(front.status(&post(&first, at), at).await, 202);
    let ended = at + TimeDelta::hours(24);
    assert_eq!(front.status(&post(&first, ended), ended).await, 401);
    assert_eq!(front.status(&post(&second, ended), ended).await, 202);

    // Shut out: for what is kept, within a minute.
    let third = office.rotate(vendor, 0, ended).await;
    let minute = ended + TimeDelta::seconds(60);
    assert_eq!(front.status(&post(&third, minute), minute).await, 202);
    assert_eq!(front.status(&post(&second, minute), minute).await, 401);
}

#[tokio::test]
async fn nobody_makes_us_ask_for_secrets_without_end() {
    let front = Front::new().await;
    let (office, now) = (Office::new(&front.cloud).await, front.now);
    let (vendor, secret) = office.register("ChargeNet", now).await;
    let (_, others) = office.register("Other", now).await;
    let text = body().to_string();
    let reads = || front.cloud.asked("GetSecretValue");
    let good = |at| signed(vendor, &secret, at, &text);
    assert_eq!((front.status(&good(now), now).await, reads()), (202, 1));
    for seconds in 0..20 {
        let at = now + TimeDelta::seconds(seconds);
        assert_eq!(front.status(&signed(vendor, &others, at, &text), at).await, 401);
        assert_eq!(front.status(&good(at), at).await, 202);
    }
    assert_eq!(reads(), 1 + 3, "each five seconds");
    let at = now + TimeDelta::seconds(20);
    let unsigned = good(at).without("webhook-signature");
    for _ in 0..20 {
        assert_eq!(front.status(&unsigned, at).await, 401);
    }
    assert_eq!(reads(), 4, "what is not signed is not looked up");

    // The same stranger, and many.
    let stranger = VendorId::new();
    for _ in 0..10 {
        assert_eq!(front.status(&signed(stranger, &others, at, &text), at).await, 401);
    }
    assert_eq!(reads(), 5);
    let mut told = Vec::new();
    for _ in 0..100 {
        told.push(front.status(&signed(VendorId::new(), &others, at, &text), at).await);
    }
    assert_eq!(reads(), 4 + 50);
    assert!(told.iter().all(|status| matches!(status, 401 | 503)));
    assert_eq!(front.status(&good(at), at).await, 202, "who is known is let in");
    let later = at + TimeDelta::seconds(60);
    assert_eq!(front.status(&good(later), later).await, 202);
}

#[tokio::test]
async fn what_does_not_work_here_is_to_be_sent_again() {
    let front = Front::new().await;
    let (office, now) = (Office::new(&front.cloud).await, front.now);
    let (vendor, secret) = office.register("ChargeNet", now).await;
    let good = |at| signed(vendor, &secret, at, &body().to_string());
    front.cloud.shut(Some("GetSecretValue"));
    assert_eq!(front.status(&good(now), now).await, 503);
    front.cloud.shut(Some("SendMessage"));
    assert_eq!(front.status(&good(now), now).await, 503);
    // Known keys do for a while.
    front.cloud.shut(Some("GetSecretValue"));
    for (seconds, status) in [(61, 202), (599, 202), (600, 503)] {
        let at = now + TimeDelta::seconds(seconds);
        assert_eq!(front.status(&good(at), at).await, status, "{seconds}");
    }
    front.cloud.shut(None);
    assert_eq!(front.status(&good(now), now).await, 202);
    // A vendor whose secret is gone is none.
    front.cloud.lose_secret(vendor).await;
    let at = now + TimeDelta::minutes(20);
    assert_eq!(front.status(&good(at), at).await, 401);
}

#[tokio::test]
async fn the_samples_are_signed_as_vendors_sign() {
    for (name, kind) in [
        ("webhook-connector-status", Kind::ConnectorStatus),
        ("webhook-session-start", Kind::SessionStart),
        ("webhook-session-end", Kind::SessionEnd),
    ] {
        let sample = read(name);
        let header = |name: &str| sample["headers"][name].as_str().unwrap();
        let (body, time) = (sample["body"].as_str().unwrap(), header("webhook-timestamp").parse().unwrap());
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(sign(secret, header("webhook-id"), time, body), header("webhook-signature"));
        assert!(header("x-vendor-id").parse::<VendorId>().is_ok());
        assert_eq!(Told::parse(kind, body.as_bytes()).unwrap().kind(), kind);
    }
}
