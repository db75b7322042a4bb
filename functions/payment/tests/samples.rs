//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use payment::{GetPayment, Hint, PayInvoice, ReconcileRequest, RefundInvoice, SettleRefund, TopUpWallet};
use serde_json::Value;

fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// `stripe-webhook.json` is posted in `webhooks.rs`.
#[test]
fn every_sample_is_understood() {
    let arguments = |name: &str| read(name)["arguments"].take();
    let _: PayInvoice = shared::read_fields(arguments("pay-invoice")).unwrap();
    let _: TopUpWallet = shared::read_fields(arguments("top-up-wallet")).unwrap();
    let _: RefundInvoice = shared::read_fields(arguments("refund-invoice")).unwrap();
    let _: SettleRefund = shared::read_fields(arguments("settle-refund")).unwrap();
    let _: GetPayment = shared::read_fields(arguments("get-payment")).unwrap();
    let _: ReconcileRequest = shared::read_fields(read("reconcile-payments")).unwrap();
    for record in read("settle-payment")["Records"].as_array().unwrap() {
        let _: Hint = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
    }
    let request: lambda_http::request::LambdaRequest =
        serde_json::from_value(read("stripe-webhook")).unwrap();
    let request = lambda_http::Request::from(request);
    assert_eq!(request.uri().path(), "/webhooks/stripe");
    assert!(request.headers().contains_key("stripe-signature") && !request.body().is_empty());
}
