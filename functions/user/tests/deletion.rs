//! Leaving, on a real database: refused while anything is open, and then nothing personal stays and nothing works.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{SessionId, UserId};
use support::{PASSWORD, World, after, arguments, caller, noon, told};
use uuid::Uuid;

const STATION: &str = "018f0000-0000-7000-8000-00000000000a";
const CONNECTOR: &str = "018f0000-0000-7000-8000-00000000000b";

impl World {
    /// A connector with a charger that is there.
    async fn connector(&self) {
        let charger = Uuid::now_v7();
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{STATION}', 'S', 0, 0, 'OPERATIONAL', now());
             INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
             VALUES ('{charger}', 'CP-1', '{STATION}', '-', '2025-01-01');
             INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
             VALUES ('{CONNECTOR}', '{STATION}', '{charger}', 1, 'CCS (Type 2)', 50, now());
             SELECT charger_connected('{charger}', 'socket', 'OCPP16', gen_random_uuid(), '{0}')",
            noon()
        ))
        .await;
    }

    async fn session(&self, driver: UserId, status: &str) -> SessionId {
        let id = SessionId::new();
        self.run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                                   created_at, updated_at)
             VALUES ('{id}', '{driver}', '{STATION}', '{CONNECTOR}', '{status}', 1, gen_random_uuid(), now(), now())"
        ))
        .await;
        id
    }

    /// An invoice over ten euros; paid if the wallet holds as much.
    async fn invoice(&self, driver: UserId, session: SessionId) -> Uuid {
        let id = Uuid::now_v7();
        let invoice = json!({
            "id": id, "entryId": Uuid::now_v7(), "userId": driver, "kind": "SESSION", "sessionId": session,
            "currency": "EUR", "gross": "10", "net": "10", "vat": "0", "vatRate": "0", "energyKwh": "20",
            "dueDate": "2026-03-07", "reason": "a session",
            "lines": [{ "description": "Energy", "quantity": "20", "unit": "kWh", "unitPrice": "0.5", "amount": "10" }],
        });
        self.run(&format!("SELECT issue_invoice('{invoice}', '{}', gen_random_uuid())", noon())).await;
        id
    }

    async fn credit(&self, driver: UserId, amount: &str) {
        self.run(&format!(
            "SELECT post_wallet_entry(gen_random_uuid(), '{driver}', {amount}, 'EUR', 'CREDIT', '{}', 'test', now())",
            Uuid::now_v7()
        ))
        .await;
    }
}

fn start(driver: UserId) -> String {
    format!(
        "SELECT start_session('{}', '{driver}', '{STATION}', NULL, NULL, '{{}}', gen_random_uuid(), '{}')::text",
        SessionId::new(),
        after(60.0)
    )
}

fn leave() -> Value {
    json!({ "password": PASSWORD })
}

#[tokio::test]
async fn nobody_leaves_while_something_is_open() {
    let world = World::new().await;
    world.connector().await;
    let ada = world.account("ada").await;
    let refused = async |code: &str| {
        let giving_up = json!({ "password": PASSWORD, "forfeitBalance": true });
        assert_eq!(told(world.delete(ada.id, giving_up).await), code);
    };
    assert_eq!(told(world.delete(ada.id, json!({ "password": "not the password" })).await), "input.password");

    let session = world.session(ada.id, "STARTING").await;
    for status in ["STARTING", "IN_PROGRESS", "STOPPING"] {
        world.run(&format!("UPDATE sessions SET status = '{status}'")).await;
        refused("SESSION_OPEN").await;
    }
    // It is over, and its bill is on its way.
    world.run("UPDATE sessions SET status = 'COMPLETED'").await;
    refused("INVOICES_UNPAID").await;
    let invoice = world.invoice(ada.id, session).await;
    for status in ["PENDING", "OVERDUE"] {
        world.run(&format!("UPDATE invoices SET status = '{status}'")).await;
        refused("INVOICES_UNPAID").await;
    }
    world.run(&format!("SELECT pay_invoice('{invoice}', 10, 'CARD', now(), gen_random_uuid())")).await;

    world
        .run(&format!(
            "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, price,
                                   currency, vat_rate, confirmed_at, correlation_id, created_at, updated_at)
             VALUES (gen_random_uuid(), '{}', '{STATION}', '{CONNECTOR}', now(), now() + interval '1 hour', 'PENDING',
                     'hold', 0, 'EUR', 0, now(), gen_random_uuid(), now(), now())",
            ada.id
        ))
        .await;
    for status in ["PENDING", "CONFIRMED", "ACTIVE"] {
        world.run(&format!("UPDATE bookings SET status = '{status}'")).await;
        refused("BOOKING_OPEN").await;
    }
    world.run("UPDATE bookings SET status = 'COMPLETED'").await;

    world
        .run(&format!(
            "INSERT INTO payments (id, user_id, purpose, amount, currency, from_wallet, from_card, payment_method, status,
                                   idempotency_key, request, correlation_id, created_at, updated_at, looked_at)
             VALUES (gen_random_uuid(), '{}', 'TOP_UP', 10, 'EUR', 0, 10, 'pm', 'PENDING', 'key', '{{}}',
                     gen_random_uuid(), now(), now(), now())",
            ada.id
        ))
        .await;
    for status in ["PENDING", "REQUIRES_ACTION"] {
        world.run(&format!("UPDATE payments SET status = '{status}'")).await;
        refused("PAYMENT_PENDING").await;
    }
    world.run("UPDATE payments SET status = 'SUCCEEDED'").await;

    world.credit(ada.id, "12.5").await;
    assert_eq!(told(world.delete(ada.id, leave()).await), "WALLET_NOT_EMPTY");
    // Nothing of it has changed anything.
    let user = world.me(ada.id).await.unwrap();
    assert_eq!((&user["name"], &user["walletBalance"]["amount"]), (&json!("John Doe"), &json!("12.50")));
    assert_eq!(world.live(ada.id, noon()).await, 1);
    assert!(world.published("USER_DELETED").is_empty());
}

#[tokio::test]
async fn what_is_personal_goes_and_the_books_stay() {
    let world = World::new().await;
    world.connector().await;
    let ada = world.account("ada").await;
    world.credit(ada.id, "22.5").await;
    let session = world.session(ada.id, "COMPLETED").await;
    world.invoice(ada.id, session).await;
    world
        .run(&format!(
            "INSERT INTO plans (id, name, currency, monthly_price, fair_use_kwh, per_kwh_beyond, vat_rate, created_at)
             VALUES (gen_random_uuid(), 'Flat', 'EUR', 0, 100, 0.5, 0.2, now());
             INSERT INTO subscriptions (id, user_id, plan_id, status, idempotency_key, turns_at, created_at)
             SELECT gen_random_uuid(), '{}', id, 'ACTIVE', 'key', now(), now() FROM plans",
            ada.id
        ))
        .await;
    let (whole, row) = (
        async |table: &str| {
            world.text(&format!("SELECT COALESCE(json_agg(t), '[]')::text FROM {table} t")).await
        },
        async |columns: &str| {
            world.text(&format!("SELECT {columns} FROM users WHERE id = '{}'", ada.id)).await
        },
    );
    let id_tag = row("id_tag").await;
    let invoices = whole("invoices").await;

    assert!(world.delete(ada.id, json!({ "password": PASSWORD, "forfeitBalance": true })).await.unwrap());

    // No row of any table tells of the person.
    let tables = world
        .sql
        .query("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", &[])
        .await
        .unwrap();
    assert!(tables.len() > 20);
    for table in tables {
        let (table, content) = (table.get::<_, &str>(0), whole(table.get(0)).await);
        for personal in ["John", "Doe", "ada@example.com", "Model 3", &id_tag, "argon2"] {
            assert!(!content.contains(personal), "{table} tells of {personal}");
        }
    }
    assert!(row("id_tag").await.len() > 36);
    assert!(!row("email").await.contains('@'));
    assert_eq!(world.count("SELECT count(*) FROM refresh_tokens").await, 0);

    // The books: the invoice as it was, the ledger's sum the balance, the rest given up.
    assert_eq!(whole("invoices").await, invoices);
    assert_eq!(row("wallet_balance::text").await, "0.0000");
    assert_eq!(world.text("SELECT sum(amount)::text FROM wallet_entries").await, "0.0000");
    let forfeit = "SELECT amount::text FROM wallet_entries WHERE cause = 'FORFEIT'";
    assert_eq!(world.text(forfeit).await, "-12.5000");
    assert_eq!(world.text("SELECT status FROM subscriptions").await, "ENDED");
    let reason = "SELECT actor_id || ' ' || reason FROM audit_log WHERE action = 'ACCOUNT_DELETED'";
    assert_eq!(world.text(reason).await, format!("{} gave up 12.5000 EUR", ada.id));

    let told_of = world.published("USER_DELETED");
    assert_eq!((told_of.len(), &told_of[0]["userId"]), (1, &json!(ada.id)));
    assert_eq!(told_of[0]["deletedAt"], "2026-02-21T12:01:00.000Z");
}

#[tokio::test]
async fn nothing_works_with_what_is_left_of_a_deleted_account() {
    let world = World::new().await;
    world.connector().await;
    let ada = world.account("ada").await;
    let car = ada.user["vehicles"][0]["id"].clone();
    world.delete(ada.id, leave()).await.unwrap();

    assert_eq!(told(world.login(&ada.email, PASSWORD).await), "Unauthenticated");
    assert_eq!(told(world.refresh(&ada.refresh_token, after(61.0)).await), "Unauthenticated");
    // With an access token that is good for minutes more.
    assert_eq!(told(world.me(ada.id).await), "Unauthenticated");
    assert_eq!(told(world.delete(ada.id, leave()).await), "Unauthenticated");
    let caller = caller(Some(ada.id), after(61.0));
    let rename = arguments(json!({ "input": { "name": "Ada" } }));
    assert_eq!(
        told(user::update_profile(&world.database, &world.cache, &caller, rename).await),
        "Unauthenticated"
    );
    let car = json!({ "id": car, "input": { "brand": "Renault", "model": "5", "batteryCapacity": 52 } });
    assert_eq!(
        told(user::add_vehicle(&world.database, &caller, arguments(car.clone())).await),
        "Unauthenticated"
    );
    assert_eq!(told(user::update_vehicle(&world.database, &caller, arguments(car)).await), "NotFound");
    let change = arguments(
        json!({ "input": { "currentPassword": PASSWORD, "newPassword": "battery staple correct" } }),
    );
    let changed = user::change_password(&world.database, &world.cache, &world.issuer, &caller, change).await;
    assert_eq!(told(changed), "Unauthenticated");
    assert_eq!(world.text(&start(ada.id)).await, r#"{"outcome": {"refusal": "NO_USER"}}"#);

    // The address is free for a new account, which is another one.
    let again = world.account("ada").await;
    assert!(again.id != ada.id);
    assert_eq!(world.count("SELECT count(*) FROM users").await, 2);
}

#[tokio::test]
async fn an_account_is_deleted_once() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let deleted = join_all((0..4).map(|_| world.delete(ada.id, leave()))).await;
    let done = deleted.into_iter().map(told).filter(|told| told == "done").count();
    assert_eq!((done, world.published("USER_DELETED").len()), (1, 1));
}

#[tokio::test]
async fn of_a_session_that_begins_and_an_account_that_ends_one_gives_way() {
    let world = World::new().await;
    world.connector().await;
    let (ada, eve) = (world.account("ada").await, world.account("eve").await);
    let beside = world.beside().await;

    // The session was first.
    beside.batch_execute("BEGIN").await.unwrap();
    beside.batch_execute(&start(ada.id)).await.unwrap();
    let commit = async {
        world.until_one_waits().await;
        beside.batch_execute("COMMIT").await.unwrap();
    };
    let (deleted, ()) = tokio::join!(world.delete(ada.id, leave()), commit);
    assert_eq!(told(deleted), "SESSION_OPEN");
    world.run("DELETE FROM open_sessions").await;

    // The account was first.
    beside.batch_execute("BEGIN").await.unwrap();
    let delete = format!(
        "SELECT delete_account(id, password_hash, false, gen_random_uuid(), now(), gen_random_uuid())
         FROM users WHERE id = '{}'",
        eve.id
    );
    beside.batch_execute(&delete).await.unwrap();
    let commit = async {
        world.until_one_waits().await;
        beside.batch_execute("COMMIT").await.unwrap();
    };
    let late = world.beside().await;
    let begin = start(eve.id);
    let (refused, ()) = tokio::join!(late.query_one(&begin, &[]), commit);
    let refused: Value = serde_json::from_str(refused.unwrap().get(0)).unwrap();
    assert_eq!(refused["outcome"]["refusal"], "NO_USER");
    assert_eq!(world.count("SELECT count(*) FROM sessions").await, 1);
}
