//! Webhooks as localstripe signs and sends them: to the queue, and from there to the truth. And those of others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use futures::future::join_all;
use hmac::{Hmac, Mac};
use payment::PaymentStatus::{Pending, RequiresAction, Succeeded};
use payment::{AccountSecret, Hint, Webhook};
use scratch::until;
use serde_json::{Value, json};
use sha2::Sha256;
use shared::{Failure, Message, Role, Timestamp};
use support::{Fault, LocalStripe, WEBHOOK_SECRET, World, account, read};
use tokio::net::TcpListener;

type Kept<T> = Arc<Mutex<Vec<T>>>;

/// Keeps what is posted to it.
async fn letterbox() -> (String, Kept<(String, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
    let letters = Kept::default();
    let keep = Arc::clone(&letters);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        keep.lock().unwrap().push((headers["stripe-signature"].to_str().unwrap().to_owned(), body));
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    (url, letters)
}

/// The function's front, and the queue behind it: of SQS only what is put in.
struct Front {
    webhook: Webhook,
    queued: Kept<String>,
    is_out: Arc<Mutex<bool>>,
}

impl Front {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (queued, is_out) = (Kept::default(), Arc::new(Mutex::new(false)));
        let (keep, out) = (Arc::clone(&queued), Arc::clone(&is_out));
        let take = move |body: String| async move {
            if *out.lock().unwrap() {
                return (StatusCode::BAD_REQUEST, r#"{"__type": "QueueDoesNotExist"}"#.to_owned());
            }
            let request: Value = serde_json::from_str(&body).unwrap();
            keep.lock().unwrap().push(request["MessageBody"].as_str().unwrap().to_owned());
            (StatusCode::OK, json!({ "MessageId": "m" }).to_string())
        };
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
        let config = aws_sdk_sqs::config::Builder::from(&scratch::aws()).endpoint_url(&url).build();
        let secret = AccountSecret::given(account("http://127.0.0.1:1"));
        let webhook = Webhook::new(secret, aws_sdk_sqs::Client::from_conf(config), format!("{url}/q"));
        Self { webhook, queued, is_out }
    }

    /// The HTTP status that a request is answered with.
    async fn post(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> u16 {
        self.webhook.receive(signature, body, now).await.map_or_else(|rejected| rejected.status(), |()| 200)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.queued.lock().unwrap())
    }
}

fn sign(secret: &str, time: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={signature}")
}

/// The messages that failed, by their number, each on its own as the consumer has it.
async fn settle(world: &World, bodies: &[String]) -> Vec<usize> {
    let mut failed = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        let hint = serde_json::from_str(body)
            .map_err(|_| Failure::invalid("body", "is no JSON"))
            .and_then(Hint::read);
        let settled = match hint {
            Ok(hint) => payment::settle(&world.payments, &hint, world.now).await,
            Err(failure) => Err(failure),
        };
        failed.extend(settled.is_err().then_some(number));
    }
    failed
}

#[tokio::test]
async fn a_signed_word_ends_the_payment_however_often_and_in_whatever_order_it_comes() {
    let (url, letters) = letterbox().await;
    let stripe = LocalStripe::start(Some((&url, WEBHOOK_SECRET))).await;
    let world = World::with(stripe, Duration::from_secs(30)).await;
    let front = Front::open().await;
    let driver = world.driver("0").await;

    let card = world.stripe.secure_card(false).await;
    let asked = world.top_up(driver, "20.00", &card, "a").await.unwrap();
    assert_eq!(asked.status, RequiresAction);
    world.stripe.authenticate(&asked.client_secret.clone().unwrap(), true).await;
    // Charged, and the answer lost.
    world.proxy.fail(Method::POST, "/confirm", Fault::AnswerAfter(502, json!({})));
    let lost = world.top_up(driver, "30.00", "pm_card_visa", "b").await.unwrap();
    assert_eq!(lost.status, Pending);

    let is_success =
        |(_, body): &&(String, Bytes)| body.windows(24).any(|part| part == b"payment_intent.succeeded");
    let sent = until("the webhooks", async || {
        let letters = letters.lock().unwrap();
        (letters.iter().filter(is_success).count() == 2).then(|| letters.clone())
    });
    for (signature, body) in sent.await {
        // Twice each, as the provider may.
        for _ in 0..2 {
            assert_eq!(front.post(Some(&signature), &body, chrono::Utc::now()).await, 200);
        }
    }
    let mut queued = front.take();
    assert_eq!(queued.len(), 4);
    let of = |event_type: &str, intent: &Value| {
        json!({
            "eventId": format!("evt_{event_type}"), "eventType": event_type, "paymentIntentId": intent,
            "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
        })
        .to_string()
    };
    let intents: Vec<Value> = queued
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["paymentIntentId"].take())
        .collect();
    // What happened before, told later; what never happened, told by mistake; and what is not ours.
    queued.insert(0, of("payment_failed", &intents[0]));
    queued.push(of("requires_action", &intents[0]));
    queued.push(of("succeeded", &json!("pi_of_somebody_else")));
    queued.reverse();

    let all: Vec<_> = join_all((0..4).map(|_| settle(&world, &queued))).await.into_iter().flatten().collect();
    assert!(all.is_empty(), "{all:?}");
    assert_eq!(world.balance(driver).await, "50.00");
    let caller = world.caller(driver, Role::Driver);
    for payment in [asked, lost] {
        assert_eq!(world.get(&caller, &payment).await.unwrap().status, Succeeded);
        assert_eq!(world.stripe.charges_of(payment.id).await.0, 1);
    }
    // What was acted on asks nobody anything.
    let before = world.proxy.seen("").len();
    assert!(settle(&world, &queued).await.is_empty());
    assert_eq!(world.proxy.seen("").len(), before);
    world.check_books().await;
}

#[tokio::test]
async fn a_hint_that_cannot_be_followed_comes_back_alone() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    world.proxy.fail(Method::POST, "/confirm", Fault::AnswerAfter(502, json!({})));
    world.top_up(driver, "20.00", "pm_card_visa", "a").await.unwrap();
    let intent = world.text("SELECT provider_ref FROM payments").await;
    let hint = |event: &str| {
        json!({
            "eventId": event, "eventType": "payment_intent.succeeded", "paymentIntentId": intent,
            "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
        })
        .to_string()
    };
    world.proxy.fail(Method::GET, "", Fault::Answer(503, json!({})));
    let bodies = [hint("evt_1"), "no JSON".into(), json!({ "eventId": "evt_2" }).to_string(), hint("evt_3")];
    assert_eq!(settle(&world, &bodies).await, [0, 1, 2]);
    assert_eq!(world.balance(driver).await, "20.00");
    assert!(settle(&world, &[hint("evt_1")]).await.is_empty());
    assert_eq!(world.balance(driver).await, "20.00");
}

#[tokio::test]
async fn who_is_not_the_provider_reaches_nothing() {
    let front = Front::open().await;
    let sample = read("stripe-webhook");
    let (header, body) = (&sample["headers"]["stripe-signature"], sample["body"].as_str().unwrap());
    let now = Timestamp::from_timestamp(1_771_684_262, 0).unwrap();
    assert_eq!(front.post(header.as_str(), body.as_bytes(), now).await, 200);
    let taken = front.take();
    let message: Value = serde_json::from_str(&taken[0]).unwrap();
    assert_eq!(message["paymentIntentId"], "pi_3OqYwZ2eZvKYlo2C1hT5aBcD");

    let time = now.timestamp();
    let huge = format!("{}{body}", " ".repeat(300 << 10));
    let unknown = json!({ "id": "evt_1", "type": "customer.created", "data": { "object": {} } }).to_string();
    let number = body.replace("pi_3OqYwZ2eZvKYlo2C1hT5aBcD", "pi_4242424242424242");
    for (signature, body, at, status) in [
        (None, body, now, 400),
        (Some(String::new()), body, now, 400),
        (Some(sign("whsec_of_somebody_else", time, body)), body, now, 400),
        (header.as_str().map(ToOwned::to_owned), &body.replace("1250", "125000"), now, 400),
        (header.as_str().map(ToOwned::to_owned), body, now + Duration::from_secs(301), 400),
        (Some(sign(WEBHOOK_SECRET, time + 600, body)), body, now, 400),
        (Some(sign(WEBHOOK_SECRET, time, &huge)), &huge, now, 413),
        (Some(sign(WEBHOOK_SECRET, time, "{}")), "{}", now, 400),
        (Some(sign(WEBHOOK_SECRET, time, &number)), &number, now, 400),
        (Some(sign(WEBHOOK_SECRET, time, &unknown)), &unknown, now, 200),
    ] {
        assert_eq!(front.post(signature.as_deref(), body.as_bytes(), at).await, status, "{signature:?}");
    }
    assert!(front.take().is_empty());

    // What the queue does not take the provider shall send again.
    *front.is_out.lock().unwrap() = true;
    assert_eq!(front.post(header.as_str(), body.as_bytes(), now).await, 503);
}
