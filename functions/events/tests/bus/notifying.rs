//! `notify`, and drivers' settings.

use chrono::Utc;
use events::{
    NotificationSettings, Notifier, Told, UpdateNotificationSettings, notification_settings, notify,
    update_notification_settings,
};
use serde_json::{Value, json};
use shared::{Caller, CorrelationId, Envelope, EventId, Events, Failure, Role, UserId};

use crate::aws::Aws;
use crate::fuse::{Blow, Fuse};
use crate::world::{World, caller, database_at, operator};

struct Desk {
    world: World,
    aws: Aws,
    topic: String,
    heard: String,
}

/// What came out of the topic: attributes, and the message's own JSON.
#[derive(Debug)]
struct Heard {
    channel: String,
    user: String,
    event: String,
    body: Value,
}

impl Desk {
    async fn new() -> Self {
        let (world, aws) = tokio::join!(World::new(), Aws::start());
        let (topic, heard) = aws.topic("notifications").await;
        Self { world, aws, topic, heard }
    }

    fn notifier(&self) -> Notifier {
        Notifier::new(self.world.database.clone(), self.aws.sns.clone(), &self.topic)
    }

    async fn tell(&self, event: &Envelope<Value>) {
        notify(&self.notifier(), read(event), Utc::now()).await.unwrap();
    }

    /// E-mails first.
    async fn heard(&self) -> Vec<Heard> {
        let messages = self.aws.drain(&self.heard).await.into_iter();
        let mut heard: Vec<_> = messages
            .map(|body| {
                let message: Value = serde_json::from_str(&body).unwrap();
                let attribute =
                    |name: &str| message["MessageAttributes"][name]["Value"].as_str().unwrap().to_owned();
                Heard {
                    channel: attribute("channel"),
                    user: attribute("userId"),
                    event: attribute("eventType"),
                    body: serde_json::from_str(message["Message"].as_str().unwrap()).unwrap(),
                }
            })
            .collect();
        heard.sort_by(|one, other| one.channel.cmp(&other.channel));
        heard
    }

    async fn channels(&self, event: &Envelope<Value>) -> Vec<String> {
        self.tell(event).await;
        self.heard().await.into_iter().map(|message| message.channel).collect()
    }

    async fn set(&self, caller: &Caller, input: Value) -> Result<NotificationSettings, Failure> {
        let arguments = shared::read_fields(json!({ "input": input })).unwrap();
        update_notification_settings(&self.world.database, caller, arguments).await
    }

    async fn settings(&self, caller: &Caller) -> Result<NotificationSettings, Failure> {
        let none = shared::read_fields(json!({})).unwrap();
        notification_settings(&self.world.database, caller, none).await
    }
}

fn event(event_type: &str, user: UserId, more: &Value) -> Envelope<Value> {
    let mut payload =
        json!({ "userId": user, "amount": "12.5000", "currency": "EUR", "number": "2026-A-000042" });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Envelope {
        event_id: EventId::new(),
        event_type: event_type.into(),
        version: 1,
        timestamp: Utc::now(),
        source: "test".into(),
        correlation_id: CorrelationId::new(),
        payload,
    }
}

fn read(event: &Envelope<Value>) -> Envelope<Told> {
    event.clone().map(|event_type, fields| Told::read(event_type, fields).unwrap()).unwrap()
}

fn paid(user: UserId) -> Envelope<Value> {
    event("PAYMENT_COMPLETED", user, &json!({ "method": "WALLET" }))
}

#[tokio::test]
async fn a_driver_is_told_once_on_each_channel() {
    let desk = Desk::new().await;
    let user = desk.world.account("Ada").await;
    let event = paid(user);
    desk.tell(&event).await;
    let heard = desk.heard().await;
    let [email, push] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((email.channel.as_str(), push.channel.as_str()), ("EMAIL", "PUSH"));
    for message in [email, push] {
        assert_eq!((&message.user, message.event.as_str()), (&user.to_string(), "PAYMENT_COMPLETED"));
    }
    assert_eq!(
        email.body,
        json!({
            "to": "Ada@example.com",
            "subject": "Receipt: 12.50 EUR",
            "text": "Hello Ada,\n\nThank you: 12.50 EUR for invoice 2026-A-000042 were paid from your wallet.\n\n\
                     You find the details in the app.\n",
        })
    );
    let line = "Thank you: 12.50 EUR for invoice 2026-A-000042 were paid from your wallet.";
    assert_eq!(push.body, json!({ "subject": "Receipt: 12.50 EUR", "text": line }));

    // Delivered again, and again: not told again. Another event is.
    for _ in 0..2 {
        assert!(desk.channels(&event).await.is_empty());
    }
    assert_eq!(desk.channels(&paid(user)).await, ["EMAIL", "PUSH"]);
}

#[tokio::test]
async fn who_opted_out_is_told_of_nothing_but_what_is_owed() {
    let desk = Desk::new().await;
    let user = desk.world.account("Ada").await;
    let ada = caller(user, &[Role::Driver]);
    let bill = |n: u32| {
        let more = json!({ "dueDate": "2026-03-07", "due": "12.50", "reminder": n });
        [event("INVOICE_GENERATED", user, &more), event("INVOICE_OVERDUE", user, &more)]
    };

    desk.set(&ada, json!({ "push": false })).await.unwrap();
    assert_eq!(desk.channels(&paid(user)).await, ["EMAIL"]);
    desk.set(&ada, json!({ "email": false })).await.unwrap();
    let both_off = paid(user);
    assert!(desk.channels(&both_off).await.is_empty());
    for event in bill(1) {
        assert_eq!(desk.channels(&event).await, ["EMAIL"], "{}", event.event_type);
    }
    desk.set(&ada, json!({ "push": true })).await.unwrap();
    assert_eq!(desk.channels(&paid(user)).await, ["PUSH"]);
    for event in bill(2) {
        assert_eq!(desk.channels(&event).await, ["EMAIL", "PUSH"], "{}", event.event_type);
    }
    // That a charge has ended is no e-mail: the one about the money follows.
    desk.set(&ada, json!({ "email": true })).await.unwrap();
    let ended = event("SESSION_ENDED", user, &json!({ "energyKwh": 22.4, "durationMinutes": 58 }));
    assert_eq!(desk.channels(&ended).await, ["PUSH"]);

    // Nor is a booking whose card was not charged; what else becomes of one is, to who wants it.
    let booking = |event_type: &str, reason: Option<&str>| {
        let more = json!({ "startTs": "2026-11-21T10:00:00Z", "endTs": "2026-11-21T11:00:00Z", "price": "2.50",
                           "refunded": "0.00", "reason": reason });
        event(event_type, user, &more)
    };
    assert_eq!(desk.channels(&booking("BOOKING_CANCELLED", Some("card_declined"))).await, ["PUSH"]);
    for told in [
        booking("BOOKING_CONFIRMED", None),
        booking("BOOKING_CANCELLED", Some("DRIVER")),
        booking("BOOKING_NO_SHOW", None),
    ] {
        assert_eq!(desk.channels(&told).await, ["EMAIL", "PUSH"], "{}", told.event_type);
    }
    desk.set(&ada, json!({ "email": false, "push": false })).await.unwrap();
    assert!(desk.channels(&booking("BOOKING_NO_SHOW", None)).await.is_empty());
}

#[tokio::test]
async fn a_run_killed_at_any_call_has_told_by_the_next_and_nobody_is_told_after_that() {
    let desk = Desk::new().await;
    let user = desk.world.account("Ada").await;
    let mut killed = 0;
    for (call, blow) in (0..).flat_map(|call| [(call, Blow::Before), (call, Blow::After)]) {
        let event = paid(user);
        let fuse = Fuse::at(call, blow);
        let (door, sns_door) = tokio::join!(fuse.door(&desk.world.door_url), fuse.door(&desk.aws.url));
        let sns = aws_sdk_sns::config::Builder::from(&scratch::aws()).endpoint_url(sns_door).build();
        let sns = aws_sdk_sns::Client::from_conf(sns);
        let notifier = Notifier::new(database_at(&door), sns, &desk.topic);
        let outcome = fuse.watch(notify(&notifier, read(&event), Utc::now())).await;
        if outcome.is_some() {
            break;
        }
        killed += 1;
        desk.tell(&event).await;
        let mut channels: Vec<_> = desk.heard().await.into_iter().map(|message| message.channel).collect();
        assert!((2..=4).contains(&channels.len()), "{call} {blow:?}: {channels:?}");
        channels.dedup();
        assert_eq!(channels, ["EMAIL", "PUSH"], "{call} {blow:?}");
        assert!(desk.channels(&event).await.is_empty());
    }
    // Decide, publish twice, note.
    assert_eq!(killed, 2 * 4);
}

#[tokio::test]
async fn a_topic_that_is_gone_fails_the_message_and_it_is_told_later() {
    let desk = Desk::new().await;
    let user = desk.world.account("Ada").await;
    let event = paid(user);
    let nowhere =
        Notifier::new(desk.world.database.clone(), desk.aws.sns.clone(), format!("{}-not", desk.topic));
    let failure = notify(&nowhere, read(&event), Utc::now()).await.unwrap_err();
    assert!(failure.retryable());
    assert_eq!(desk.channels(&event).await, ["EMAIL", "PUSH"]);
}

#[tokio::test]
async fn who_is_gone_is_told_nothing_and_leaves_no_settings() {
    let desk = Desk::new().await;
    let user = desk.world.account("Ada").await;
    let ada = caller(user, &[Role::Driver]);
    desk.set(&ada, json!({ "email": false })).await.unwrap();
    desk.world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{user}'")).await;

    let deleted = event("USER_DELETED", user, &json!({}));
    for _ in 0..2 {
        assert!(desk.channels(&deleted).await.is_empty());
    }
    assert_eq!(desk.world.one("SELECT count(*) FROM notification_settings").await, json!(0));
    for event in [paid(user), paid(UserId::new())] {
        assert!(desk.channels(&event).await.is_empty());
    }
    assert_eq!(desk.world.one("SELECT count(*) FROM notifications").await, json!(0));
    // A token outlives its account by minutes.
    assert!(matches!(desk.set(&ada, json!({ "push": true })).await, Err(Failure::NotFound(_))));
    assert!(matches!(desk.settings(&ada).await, Err(Failure::NotFound(_))));
    assert_eq!(desk.world.one("SELECT count(*) FROM notification_settings").await, json!(0));
}

#[tokio::test]
async fn settings_are_each_drivers_own_and_what_is_absent_stays() {
    let desk = Desk::new().await;
    let (ada, bob) = (desk.world.account("Ada").await, desk.world.account("Bob").await);
    let (ada, bob) = (caller(ada, &[Role::Driver]), caller(bob, &[Role::Driver]));
    let is = |email, push| NotificationSettings { email, push };
    assert_eq!(desk.settings(&ada).await.unwrap(), is(true, true));
    assert_eq!(desk.set(&ada, json!({})).await.unwrap(), is(true, true));
    assert_eq!(desk.set(&ada, json!({ "push": false })).await.unwrap(), is(true, false));
    assert_eq!(desk.set(&ada, json!({ "email": false })).await.unwrap(), is(false, false));
    assert_eq!(desk.set(&ada, json!({ "push": true, "email": null })).await.unwrap(), is(false, true));
    assert_eq!(desk.settings(&ada).await.unwrap(), is(false, true));
    assert_eq!(desk.settings(&bob).await.unwrap(), is(true, true));
    let nobody = Caller { user: None, ..operator() };
    assert!(matches!(desk.settings(&nobody).await, Err(Failure::Unauthenticated(_))));
    assert!(matches!(desk.set(&nobody, json!({})).await, Err(Failure::Unauthenticated(_))));
    assert!(shared::read_fields::<UpdateNotificationSettings>(json!({ "input": { "push": "no" } })).is_err());
}
