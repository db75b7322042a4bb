//! Accounts, logins and vehicles.

use serde_json::json;
use uuid::Uuid;

use super::row::{
    BEFORE_LOGIN, LOGGED_IN, NO_LOGIN, OPERATORS, OWN, OWNER_ALONE, PUBLIC, REMOVED, Row, Thing,
};
use crate::accounts::PASSWORD;

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.me", OWN, |_| json!({})),
    Row::new("Query.user", OPERATORS, |scene| json!({ "id": scene.owner.id })),
    Row::new("Mutation.register", BEFORE_LOGIN, |_| {
        json!({ "input": {
            "email": format!("{}@example.com", Uuid::new_v4()), "name": "Rosa Register", "password": PASSWORD,
            "vehicle": { "brand": "VW", "model": "ID.3", "batteryCapacity": 58.0 },
        } })
    }),
    Row::new(
        "Mutation.login",
        BEFORE_LOGIN,
        |scene| json!({ "input": { "email": scene.stage.login.email, "password": PASSWORD } }),
    ),
    Row::new(
        "Mutation.login",
        NO_LOGIN,
        |scene| json!({ "input": { "email": scene.owner.email, "password": "a guess that is wrong" } }),
    ),
    Row::new("Mutation.refreshToken", BEFORE_LOGIN, |scene| json!({ "refreshToken": scene.thing }))
        .with(Thing::Login),
    Row::new("Mutation.logout", PUBLIC, |scene| json!({ "refreshToken": scene.thing })).with(Thing::Login),
    Row::new("Mutation.updateProfile", OWN, |_| json!({ "input": { "name": "Nora Newname" } })),
    Row::new(
        "Mutation.addVehicle",
        OWN,
        |_| json!({ "input": { "brand": "Renault", "model": "Zoe", "batteryCapacity": 52.0 } }),
    ),
    Row::new("Mutation.updateVehicle", OWNER_ALONE, |scene| {
        let input = json!({ "brand": "Renault", "model": "Megane", "batteryCapacity": 60.0 });
        json!({ "id": scene.thing, "input": input })
    })
    .with(Thing::Vehicle),
    Row::new("Mutation.removeVehicle", REMOVED, |scene| json!({ "id": scene.thing })).with(Thing::Vehicle),
    Row::new(
        "Mutation.changePassword",
        OWN,
        |_| json!({ "input": { "currentPassword": PASSWORD, "newPassword": "another long password" } }),
    )
    .last(),
    Row::new(
        "Mutation.deleteAccount",
        LOGGED_IN,
        |_| json!({ "input": { "password": PASSWORD, "forfeitBalance": true } }),
    )
    .last(),
];
