//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::de::DeserializeOwned;
use serde_json::Value;
use user::{
    AddVehicle, ChangePassword, DeleteAccount, GrantRole, Login, Logout, Refresh, Register, RemoveVehicle,
    RotateKeys, UpdateProfile, UpdateVehicle, ViewUser,
};

fn sample(function: &str) -> Value {
    let path = format!("{}/../../events/{function}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn arguments<A: DeserializeOwned>(function: &str) -> A {
    serde_json::from_value(sample(function)["arguments"].clone()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    let _: Register = arguments("register");
    let _: Login = arguments("login");
    let _: Refresh = arguments("refresh-token");
    let _: Logout = arguments("logout");
    let _: ChangePassword = arguments("change-password");
    let _: UpdateProfile = arguments("update-profile");
    let _: AddVehicle = arguments("add-vehicle");
    let _: UpdateVehicle = arguments("update-vehicle");
    let _: RemoveVehicle = arguments("remove-vehicle");
    let _: DeleteAccount = arguments("delete-account");
    let _: ViewUser = arguments("user-summary");
    let _: RotateKeys = serde_json::from_value(sample("rotate-keys")).unwrap();
    let _: GrantRole = serde_json::from_value(sample("grant-role")).unwrap();
    assert!(sample("authorize-graphql")["authorizationToken"].is_string());
}

/// The contract of the first draft: what it shows as a registration and a login is one.
#[test]
fn the_drafts_payloads_are_understood() {
    let (email, password) = ("user@example.com", "SecurePass123");
    let vehicle = serde_json::json!({ "brand": "Tesla", "model": "Model 3", "batteryCapacity": 75 });
    let register = serde_json::json!({
        "input": { "email": email, "name": "John Doe", "password": password, "vehicle": vehicle },
    });
    let _: Register = serde_json::from_value(register).unwrap();
    let _: Login =
        serde_json::from_value(serde_json::json!({ "input": { "email": email, "password": password } }))
            .unwrap();
}

#[test]
fn what_does_not_fit_is_named_as_the_client_wrote_it() {
    let input = serde_json::json!({ "brand": "Renault", "model": "5", "batteryCapacity": 0 });
    let Err(failure) = shared::read_fields::<AddVehicle>(serde_json::json!({ "input": input })) else {
        panic!()
    };
    assert!(failure.to_string().starts_with("input.batteryCapacity: "), "{failure}");
    let input = serde_json::json!({ "currentPassword": "SecurePass123", "newPassword": "short" });
    let Err(failure) = shared::read_fields::<ChangePassword>(serde_json::json!({ "input": input })) else {
        panic!()
    };
    assert!(failure.to_string().starts_with("input.newPassword: "), "{failure}");
    let Err(failure) = shared::read_fields::<RemoveVehicle>(serde_json::json!({ "id": "1" })) else {
        panic!()
    };
    assert!(failure.to_string().starts_with("id: "), "{failure}");
}
