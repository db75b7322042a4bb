//! Invoices, the wallet, payments and refunds.

use serde_json::json;

use super::row::{BY_USER, OPERATORS, OWN, OWNER_ALONE, OWNER_OR_OPERATOR, Row, Scene, Thing};

fn adjustment(scene: &Scene<'_>) -> serde_json::Value {
    json!({ "input": {
        "userId": scene.owner.id, "amount": "1.23", "currency": "EUR", "reason": "for the proof",
        "idempotencyKey": format!("adjust-{}", scene.owner.id),
    } })
}

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.listInvoices", OWN, |_| json!({ "first": 100 })),
    Row::new("Query.listInvoices", BY_USER, |scene| json!({ "userId": scene.owner.id })),
    Row::new("Query.invoice", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.stage.invoice })),
    Row::new("Query.invoicePage", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.stage.invoice })),
    Row::new("Query.walletEntries", OWN, |_| json!({})),
    Row::new("Query.walletEntries", BY_USER, |scene| json!({ "userId": scene.owner.id })),
    Row::new("Query.payment", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.stage.payment })),
    Row::new("Mutation.creditWallet", OPERATORS, adjustment),
    Row::new("Mutation.debitWallet", OPERATORS, adjustment).with(Thing::Funds),
    Row::new("Mutation.payInvoice", OWNER_ALONE, |scene| {
        json!({ "input": {
            "invoiceId": scene.thing, "useWallet": true, "paymentMethod": "pm_card_visa", "idempotencyKey": "pay",
        } })
    })
    .with(Thing::Unpaid),
    Row::new("Mutation.topUpWallet", OWN, |_| {
        json!({ "input": {
            "amount": "20.00", "currency": "EUR", "paymentMethod": "pm_card_visa", "idempotencyKey": "top-up",
        } })
    }),
    Row::new("Mutation.refundInvoice", OPERATORS, |scene| {
        json!({ "input": {
            "invoiceId": scene.thing, "amount": "1.00", "to": "WALLET", "reason": "for the proof",
            "idempotencyKey": format!("refund-{}", scene.thing),
        } })
    })
    .with(Thing::Paid),
    Row::new("Mutation.settleRefund", OPERATORS, |scene| {
        json!({ "input": { "refundId": scene.thing, "settlement": "TO_WALLET", "reason": "for the proof" } })
    })
    .with(Thing::HeldRefund),
];
