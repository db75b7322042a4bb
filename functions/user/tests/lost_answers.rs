//! Account operations where the answer of every statement is lost after it was done, so that it is sent again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::json;
use support::{PASSWORD, World, arguments, caller, noon, told};

const NEW: &str = "battery staple correct";

#[tokio::test]
async fn what_is_sent_again_is_done_once_and_told_as_done() {
    let world = World::with_lost_answers().await;
    let emitted = async |event: &str| {
        world.count(&format!("SELECT count(*) FROM outbox WHERE event_type = '{event}'")).await
    };
    let audited = async |action: &str| {
        world.count(&format!("SELECT count(*) FROM audit_log WHERE action = '{action}'")).await
    };

    let ada = world.account("ada").await;
    assert_eq!((world.live(ada.id, noon()).await, emitted("USER_REGISTERED").await), (1, 1));
    assert_eq!(world.count("SELECT count(*) FROM vehicles").await, 1);
    let again = json!({ "email": ada.email, "name": "J", "password": PASSWORD });
    assert_eq!(told(world.register(&caller(None, noon()), again).await), "EMAIL_TAKEN");

    let elsewhere = world.login(&ada.email, PASSWORD).await.unwrap();
    assert_eq!((elsewhere.id, world.live(ada.id, noon()).await), (ada.id, 2));

    let owner = caller(Some(ada.id), noon());
    let moving =
        json!({ "input": { "email": "king@example.com", "name": "Ada", "currentPassword": PASSWORD } });
    let moved = user::update_profile(&world.database, &world.cache, &owner, arguments(moving)).await.unwrap();
    assert_eq!(serde_json::to_value(&moved).unwrap()["email"], "king@example.com");
    assert_eq!(audited("EMAIL_CHANGED").await, 1);
    assert_eq!(told(world.login(&ada.email, PASSWORD).await), "Unauthenticated");

    let change = json!({ "input": { "currentPassword": PASSWORD, "newPassword": NEW } });
    let changed =
        user::change_password(&world.database, &world.cache, &world.issuer, &owner, arguments(change)).await;
    assert_eq!(told(changed), "done");
    assert_eq!((world.live(ada.id, noon()).await, audited("PASSWORD_CHANGED").await), (1, 1));

    assert_eq!(told(world.delete(ada.id, json!({ "password": NEW })).await), "done");
    assert_eq!((emitted("USER_DELETED").await, audited("ACCOUNT_DELETED").await), (1, 1));
    assert_eq!(told(world.delete(ada.id, json!({ "password": NEW })).await), "Unauthenticated");
}
