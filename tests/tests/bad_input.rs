//! What is missing, oversized, wrongly typed, hostile or forbidden gets a typed error and leaves nothing behind.
//! Runs under `local run`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tests::accounts::Account;
use tests::graphql::{Auth, Client};
use tests::stack::Stack;
use uuid::Uuid;

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { user { id } } }";

fn registration(changes: Value) -> Value {
    let mut input = json!({
        "email": format!("{}@example.com", Uuid::new_v4()),
        "name": "Ada",
        "password": "a password long enough",
    });
    for (field, value) in changes.as_object().unwrap() {
        input[field] = value.clone();
    }
    json!({ "input": input })
}

#[tokio::test]
async fn a_registration_names_the_field_it_cannot_accept() {
    let stack = Stack::running().unwrap();
    let vehicle = |capacity: f64| json!({ "brand": "VW", "model": "ID.3", "batteryCapacity": capacity });
    let cases = [
        (json!({ "password": "short" }), "input.password"),
        (json!({ "password": "x".repeat(257) }), "input.password"),
        (json!({ "name": "" }), "input.name"),
        (json!({ "name": "x".repeat(101) }), "input.name"),
        (json!({ "name": "a\u{0}b" }), "input.name"),
        (json!({ "vehicle": vehicle(-1.0) }), "input.vehicle.batteryCapacity"),
        (json!({ "vehicle": { "brand": "", "model": "m", "batteryCapacity": 10.0 } }), "input.vehicle.brand"),
    ];
    let before = stack.count("SELECT count(*) FROM users WHERE name = 'Ada'").await.unwrap();
    for (changes, field) in cases {
        let error = stack.public().error(REGISTER, registration(changes.clone())).await.unwrap();
        assert_eq!(error.error_type.as_deref(), Some("Invalid"), "{changes}: {error:?}");
        assert_eq!(error.error_info["field"], field, "{changes}: {error:?}");
    }
    assert_eq!(stack.count("SELECT count(*) FROM users WHERE name = 'Ada'").await.unwrap(), before);
}

#[tokio::test]
async fn graphql_itself_refuses_wrong_types_and_unknown_fields() {
    let stack = Stack::running().unwrap();
    let huge = format!("{}@example.com", "x".repeat(300));
    let cases = [
        json!({ "email": "no address" }),
        json!({ "email": huge }),
        json!({ "name": 7 }),
        json!({ "surprise": true }),
    ];
    for changes in cases {
        let (_, answer) = stack.public().answer(REGISTER, registration(changes.clone())).await.unwrap();
        assert!(answer["errors"][0]["message"].is_string(), "{changes}: {answer}");
        assert!(answer["data"].is_null() || answer["data"]["register"].is_null(), "{changes}: {answer}");
    }
    let error = stack.public().error("{ nothing }", json!({})).await.unwrap();
    assert!(error.message.starts_with("Validation error"), "{error:?}");
}

#[tokio::test]
async fn an_address_is_registered_once() {
    let stack = Stack::running().unwrap();
    let driver = Account::driver(&stack, "Twice").await.unwrap();
    let again = registration(json!({ "email": driver.email.to_uppercase() }));
    let error = stack.public().error(REGISTER, again).await.unwrap();
    assert_eq!(
        (error.error_type.as_deref(), &error.error_info["code"]),
        (Some("Conflict"), &json!("EMAIL_TAKEN"))
    );
}

#[tokio::test]
async fn hostile_text_is_kept_as_text() {
    let stack = Stack::running().unwrap();
    let name = "Robert'); DROP TABLE users;-- :id ${x} <script>";
    let driver: Value = stack.public().field(REGISTER, registration(json!({ "name": name }))).await.unwrap();
    let id = driver["user"]["id"].as_str().unwrap();
    let rows = stack.sql(&format!("SELECT name FROM users WHERE id = '{id}'")).await.unwrap();
    assert_eq!(rows[0].get::<_, String>(0), name);
}

#[tokio::test]
async fn nobody_gets_past_the_authorizer() {
    let stack = Stack::running().unwrap();
    let tokens = ["", "x", "Bearer ", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."];
    for token in tokens {
        let client = Client::new(&stack.graphql_url, Auth::Token(token.into()));
        let (status, answer) = client.answer("{ me { id } }", json!({})).await.unwrap();
        assert_eq!(status, 401, "{token:?}: {answer}");
        assert_eq!(answer["errors"][0]["errorType"], "UnauthorizedException", "{token:?}");
    }
    let (status, _) =
        Client::new(&stack.graphql_url, Auth::Nobody).answer("{ me { id } }", json!({})).await.unwrap();
    assert_eq!(status, 401);
    let error = stack.public().error("{ me { id } }", json!({})).await.unwrap();
    assert_eq!(error.error_type.as_deref(), Some("Unauthorized"), "an API key is no login");
}

#[tokio::test]
async fn a_driver_is_no_operator_and_no_bus() {
    let stack = Stack::running().unwrap();
    let driver = Account::driver(&stack, "Mallory").await.unwrap();
    let credit = "mutation($input: CreditWalletInput!) { creditWallet(input: $input) { id } }";
    let input = json!({
        "userId": driver.id, "amount": "1000", "currency": "EUR", "reason": "greed", "idempotencyKey": Uuid::new_v4(),
    });
    let error = driver.client.error(credit, json!({ "input": input })).await.unwrap();
    assert!(matches!(error.error_type.as_deref(), Some("Unauthorized" | "Forbidden")), "{error:?}");
    let publish =
        "mutation($input: SessionStatusInput!) { publishSessionStatus(input: $input) { sessionId } }";
    let input = json!({
        "sessionId": Uuid::new_v4(), "stationId": Uuid::new_v4(), "status": "COMPLETED", "energyKWh": 1.0,
        "timestamp": "2026-01-01T00:00:00Z",
    });
    let error = driver.client.error(publish, json!({ "input": input })).await.unwrap();
    assert_eq!(error.error_type.as_deref(), Some("Unauthorized"));
}

#[tokio::test]
async fn an_operators_credit_is_checked_and_counts_once() {
    let stack = Stack::running().unwrap();
    let operator = Account::operator(&stack).await.unwrap();
    let driver = Account::driver(&stack, "Credit").await.unwrap();
    let credit =
        "mutation($input: CreditWalletInput!) { creditWallet(input: $input) { id balance { amount } } }";
    let key = Uuid::new_v4();
    let input = |amount: &str, currency: &str| {
        json!({ "input": {
            "userId": driver.id, "amount": amount, "currency": currency, "reason": "test", "idempotencyKey": key,
        } })
    };
    for amount in ["0", "-1", "1.001", "1e3", "lots", "100000000"] {
        let error = operator.client.error(credit, input(amount, "EUR")).await.unwrap();
        assert_eq!(error.error_info["field"], "input.amount", "{amount}: {error:?}");
    }
    let error = operator.client.error(credit, input("1.00", "USD")).await.unwrap();
    assert_eq!(error.error_info["code"], "CURRENCY_MISMATCH", "{error:?}");
    let first: Value = operator.client.field(credit, input("7.50", "EUR")).await.unwrap();
    let again: Value = operator.client.field(credit, input("7.50", "EUR")).await.unwrap();
    assert_eq!(first, again);
    let error = operator.client.error(credit, input("8.50", "EUR")).await.unwrap();
    assert_eq!(error.error_info["code"], "IDEMPOTENCY_KEY_REUSED", "{error:?}");
    let balance = format!("SELECT (wallet_balance * 100)::bigint FROM users WHERE id = '{}'", driver.id);
    assert_eq!(stack.count(&balance).await.unwrap(), 750);
}

#[tokio::test]
async fn sessions_of_others_do_not_exist() {
    let stack = Stack::running().unwrap();
    let driver = Account::driver(&stack, "Eve").await.unwrap();
    for id in [Uuid::new_v4().to_string(), Uuid::nil().to_string()] {
        for query in [
            "query($id: ID!) { getSession(id: $id) { id } }",
            "mutation($id: ID!) { endSession(id: $id) { id } }",
        ] {
            let error = driver.client.error(query, json!({ "id": id })).await.unwrap();
            assert_eq!(error.error_type.as_deref(), Some("NotFound"), "{error:?}");
        }
    }
    let error = driver.client.error("query { getSession(id: \"7\") { id } }", json!({})).await.unwrap();
    assert_eq!((error.error_type.as_deref(), &error.error_info["field"]), (Some("Invalid"), &json!("id")));
}

#[tokio::test]
async fn a_station_that_nobody_controls_says_so() {
    let stack = Stack::running().unwrap();
    tests::journey::mirror(&stack, &mut |_| ()).await.unwrap();
    let driver = Account::driver(&stack, "Hopeful").await.unwrap();
    let row = "SELECT s.id::text FROM stations s LEFT JOIN chargers c ON c.station_id = s.id WHERE c.id IS NULL LIMIT 1";
    let station: String = stack.sql(row).await.unwrap()[0].get(0);
    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id } }";
    let error = driver.client.error(start, json!({ "input": { "stationId": station } })).await.unwrap();
    assert_eq!(error.error_info["code"], "STATION_NOT_CONTROLLED", "{error:?}");
    let error =
        driver.client.error(start, json!({ "input": { "stationId": Uuid::new_v4() } })).await.unwrap();
    assert_eq!(error.error_type.as_deref(), Some("NotFound"), "{error:?}");
    assert_eq!(
        stack.count(&format!("SELECT count(*) FROM sessions WHERE user_id = '{}'", driver.id)).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn nearby_names_the_argument_that_is_out_of_range() {
    let stack = Stack::running().unwrap();
    let cases = [
        ("latitude: 91, longitude: 0", "latitude"),
        ("latitude: 0, longitude: -181", "longitude"),
        ("latitude: 0, longitude: 0, radiusKm: 0", "radiusKm"),
        ("latitude: 0, longitude: 0, radiusKm: 101", "radiusKm"),
        ("latitude: 0, longitude: 0, minPowerKW: -1", "minPowerKW"),
        ("latitude: 0, longitude: 0, first: 0", "first"),
        ("latitude: 0, longitude: 0, first: 101", "first"),
        ("latitude: 0, longitude: 0, after: \"zzz\"", "after"),
    ];
    for (arguments, field) in cases {
        let query = format!("{{ nearbyStations({arguments}) {{ edges {{ cursor }} }} }}");
        let error = stack.public().error(&query, json!({})).await.unwrap();
        assert_eq!(error.error_info["field"], field, "{arguments}: {error:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let stack = Stack::running().unwrap();
    let driver = Account::driver(&stack, "Fresh").await.unwrap();
    let refresh = "mutation($t: String!) { refreshToken(refreshToken: $t) { refreshToken accessToken } }";
    let fresh: Value = stack.public().field(refresh, json!({ "t": driver.refresh_token })).await.unwrap();
    assert_ne!(fresh["refreshToken"], json!(driver.refresh_token));
    for token in ["", "nonsense", &"x".repeat(10_000)] {
        let error = stack.public().error(refresh, json!({ "t": token })).await.unwrap();
        assert!(matches!(error.error_type.as_deref(), Some("Invalid" | "Unauthenticated")), "{error:?}");
    }
}
