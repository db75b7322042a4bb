//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tariff::{
    CreatePlan, CreateTariff, EndTariff, EstimateCost, GetTariff, ListTariffs, RenewRequest, RetirePlan,
    SubscribeToPlan,
};

fn understood<A: DeserializeOwned>(sample: &str, field: &str) {
    let event = support::read(sample);
    assert_eq!(event["info"]["fieldName"], json!(field), "{sample}");
    let _: A = shared::read_fields(event["arguments"].clone()).unwrap();
}

#[test]
fn every_sample_is_understood() {
    understood::<GetTariff>("get-tariff", "tariff");
    understood::<ListTariffs>("list-tariffs", "listTariffs");
    understood::<CreateTariff>("create-tariff", "createTariff");
    understood::<EndTariff>("end-tariff", "endTariff");
    understood::<EstimateCost>("estimate-cost", "estimateCost");
    understood::<Value>("list-plans", "plans");
    understood::<CreatePlan>("create-plan", "createPlan");
    understood::<RetirePlan>("retire-plan", "retirePlan");
    understood::<Value>("my-subscription", "mySubscription");
    understood::<SubscribeToPlan>("subscribe-to-plan", "subscribeToPlan");
    understood::<Value>("cancel-subscription", "cancelSubscription");
    let _: RenewRequest = shared::read_fields(support::read("renew-subscriptions")).unwrap();
}
