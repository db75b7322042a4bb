//! Accounts on a real database: what they hold, who may change it, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{Caller, Failure, Role, User, UserId};
use support::{PASSWORD, World, after, arguments, caller, noon, told};
use uuid::Uuid;

impl World {
    async fn update_profile(&self, owner: UserId, input: Value) -> Result<Value, Failure> {
        let (request, caller) = (arguments(json!({ "input": input })), caller(Some(owner), after(1.0)));
        let account = user::update_profile(&self.database, &self.cache, &caller, request).await?;
        Ok(serde_json::to_value(account).unwrap())
    }

    async fn add_vehicle(&self, owner: UserId, model: &str) -> Result<Value, Failure> {
        let request = arguments(json!({ "input": vehicle(model) }));
        let vehicle = user::add_vehicle(&self.database, &caller(Some(owner), after(1.0)), request).await?;
        Ok(serde_json::to_value(vehicle).unwrap())
    }

    async fn update_vehicle(&self, owner: UserId, id: &Value, model: &str) -> Result<Value, Failure> {
        let request = arguments(json!({ "id": id, "input": vehicle(model) }));
        let vehicle = user::update_vehicle(&self.database, &caller(Some(owner), noon()), request).await?;
        Ok(serde_json::to_value(vehicle).unwrap())
    }

    async fn remove_vehicle(&self, owner: UserId, id: &Value) -> Value {
        let request = arguments(json!({ "id": id }));
        let removed = user::remove_vehicle(&self.database, &caller(Some(owner), noon()), request).await;
        serde_json::to_value(removed.unwrap()).unwrap()
    }

    async fn summary(&self, viewer: &Caller, id: UserId) -> Result<Value, Failure> {
        let summary = user::user_summary(&self.database, viewer, arguments(json!({ "id": id }))).await?;
        Ok(serde_json::to_value(summary).unwrap())
    }

    async fn audited(&self, action: &str, subject: UserId) -> i64 {
        self.count(&format!(
            "SELECT count(*) FROM audit_log WHERE action = '{action}' AND subject = '{subject}'"
        ))
        .await
    }
}

fn vehicle(model: &str) -> Value {
    json!({ "brand": "Renault", "model": model, "batteryCapacity": 52.5 })
}

#[tokio::test]
async fn an_account_is_opened_with_its_car_and_told_of() {
    let world = World::new().await;
    let john = world.account("user").await;
    assert_eq!(john.user["vehicles"][0]["model"], "Model 3");
    assert_eq!(john.user["vehicles"][0]["batteryCapacity"], 75.0);
    assert_eq!(world.me(john.id).await.unwrap(), john.user);
    let told_of = world.published("USER_REGISTERED");
    assert_eq!((told_of.len(), &told_of[0]["userId"]), (1, &json!(john.id)));

    let again = json!({ "email": "USER@example.com", "name": "J", "password": PASSWORD });
    assert_eq!(told(world.register(&caller(None, noon()), again).await), "EMAIL_TAKEN");
}

#[tokio::test]
async fn a_network_opens_twenty_accounts_an_hour_and_its_neighbours_as_many() {
    let world = World::new().await;
    let register = async |address: &str, n: usize| {
        let caller = Caller { source_ip: Some(address.into()), ..caller(None, noon()) };
        let email = format!("{n}@{}.example.com", address.replace(['.', ':'], "-"));
        world.register(&caller, json!({ "email": email, "name": "J", "password": PASSWORD })).await
    };
    for n in 0..20 {
        assert!(register("2001:db8::1", n).await.is_ok());
    }
    // The same subscriber under another address.
    let Err(Failure::Limited { retry_after_seconds }) = register("2001:db8::2", 20).await else { panic!() };
    assert!((1..=3600).contains(&retry_after_seconds));
    assert!(register("2001:db8:0:1::1", 21).await.is_ok());
}

#[tokio::test]
async fn a_profile_changes_by_what_is_told_of_it() {
    let world = World::new().await;
    let (ada, eve) = (world.account("ada").await, world.account("eve").await);

    let renamed = world.update_profile(ada.id, json!({ "name": " Ada King " })).await.unwrap();
    assert_eq!((&renamed["name"], &renamed["email"]), (&json!("Ada King"), &json!("ada@example.com")));
    let nothing = world.update_profile(ada.id, json!({ "name": null, "email": null })).await.unwrap();
    assert_eq!(nothing, renamed);
    // The address that it has needs no password.
    assert_eq!(world.update_profile(ada.id, json!({ "email": "ADA@example.com" })).await.unwrap(), renamed);

    let change = |email: &str, password: Option<&str>| json!({ "email": email, "currentPassword": password });
    for (input, refusal) in [
        (change("ada.king@example.com", None), "input.currentPassword"),
        (change("ada.king@example.com", Some("not the password")), "input.currentPassword"),
        (change(&eve.email, Some(PASSWORD)), "EMAIL_TAKEN"),
    ] {
        assert_eq!(told(world.update_profile(ada.id, input).await), refusal);
    }
    assert_eq!(world.me(ada.id).await.unwrap(), renamed);
    assert_eq!(world.audited("EMAIL_CHANGED", ada.id).await, 0);

    let moved = world.update_profile(ada.id, change("ada.king@example.com", Some(PASSWORD))).await.unwrap();
    assert_eq!(moved["email"], "ada.king@example.com");
    assert_eq!(world.audited("EMAIL_CHANGED", ada.id).await, 1);
    assert_eq!(told(world.login(&ada.email, PASSWORD).await), "Unauthenticated");
    assert!(world.login("ada.king@example.com", PASSWORD).await.is_ok());

    // Whoever asks for one address after another learns of five.
    for n in 0..3 {
        let input = change(&format!("a{n}@example.com"), Some(PASSWORD));
        assert!(world.update_profile(ada.id, input).await.is_ok());
    }
    let sixth = change("a9@example.com", Some(PASSWORD));
    assert_eq!(told(world.update_profile(ada.id, sixth).await), "Limited");
}

#[tokio::test]
async fn two_accounts_that_want_one_address_do_not_both_get_it() {
    let world = World::new().await;
    let (ada, eve) = (world.account("ada").await, world.account("eve").await);
    let input = json!({ "email": "wanted@example.com", "currentPassword": PASSWORD });
    let (one, other) = tokio::join!(
        world.update_profile(ada.id, input.clone()),
        world.update_profile(eve.id, input.clone())
    );
    let mut both = [told(one), told(other)];
    both.sort();
    assert_eq!(both, ["EMAIL_TAKEN", "done"]);
}

#[tokio::test]
async fn cars_are_their_owners() {
    let world = World::new().await;
    let (ada, eve) = (world.account("ada").await, world.account("eve").await);
    let car = world.add_vehicle(ada.id, "5").await.unwrap();
    assert_eq!(car["batteryCapacity"], 52.5);
    assert_eq!(world.me(ada.id).await.unwrap()["vehicles"][1], car);

    assert_eq!(told(world.update_vehicle(eve.id, &car["id"], "Zoe").await), "NotFound");
    let unknown = json!(Uuid::now_v7());
    assert_eq!(told(world.update_vehicle(ada.id, &unknown, "Zoe").await), "NotFound");
    let changed = world.update_vehicle(ada.id, &car["id"], "Zoe").await.unwrap();
    assert_eq!((&changed["id"], &changed["model"]), (&car["id"], &json!("Zoe")));
    assert_eq!(world.me(ada.id).await.unwrap()["vehicles"][1], changed);

    // Who does not have it is not told whether it exists, and removes nothing.
    assert_eq!(world.remove_vehicle(eve.id, &car["id"]).await, car["id"]);
    assert_eq!(world.remove_vehicle(ada.id, &unknown).await, unknown);
    assert_eq!(world.me(ada.id).await.unwrap()["vehicles"].as_array().unwrap().len(), 2);
    for _ in 0..2 {
        assert_eq!(world.remove_vehicle(ada.id, &car["id"]).await, car["id"]);
        assert_eq!(world.me(ada.id).await.unwrap()["vehicles"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_account_has_twenty_cars_and_no_more_however_many_are_added_at_once() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let models: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let added = join_all(models.iter().map(|model| world.add_vehicle(ada.id, model))).await;
    let told: Vec<_> = added.into_iter().map(told).collect();
    assert_eq!(told.iter().filter(|told| *told == "done").count(), 19);
    assert_eq!(told.iter().filter(|told| *told == "TOO_MANY_VEHICLES").count(), 11);
}

#[tokio::test]
async fn an_operator_sees_enough_to_help_and_leaves_a_trace() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let driver = caller(Some(ada.id), noon());
    let operator =
        Caller { user: Some(User { id: UserId::new(), roles: vec![Role::Operator] }), ..driver.clone() };
    let summary = world.summary(&operator, ada.id).await.unwrap();
    assert_eq!(
        summary,
        json!({
            "id": ada.id, "email": "a***@example.com", "name": "JD", "roles": ["DRIVER"], "vehicleCount": 1,
            "walletBalance": { "amount": "0.00", "currency": "EUR" }, "openSessions": 0, "unpaidInvoices": 0,
            "createdAt": ada.user["createdAt"], "deletedAt": null,
        })
    );
    assert_eq!(world.audited("USER_VIEWED", ada.id).await, 1);
    let nobody = UserId::new();
    assert_eq!(told(world.summary(&operator, nobody).await), "NotFound");
    assert_eq!(told(world.summary(&driver, ada.id).await), "Forbidden");
    assert_eq!(world.count("SELECT count(*) FROM audit_log WHERE action = 'USER_VIEWED'").await, 1);

    world.delete(ada.id, json!({ "password": PASSWORD })).await.unwrap();
    let summary = world.summary(&operator, ada.id).await.unwrap();
    assert_eq!(
        (&summary["email"], &summary["name"], &summary["vehicleCount"]),
        (&json!(""), &json!(""), &json!(0))
    );
    assert!(summary["deletedAt"].is_string());
}
