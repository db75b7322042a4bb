//! A hundred calls with one idempotency key at once: one effect and one answer. Another request under the same key is
//! refused. A first try whose function died can be tried again, and does what one call does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cast::{Cast, Site};
use super::faults::{Fate, Faults, Step};
use super::place::{Needs, OwnStack, Place};
use super::{Proof, Size};
use crate::accounts::Account;
use crate::graphql::Client;
use crate::stack::Stack;
use crate::{Result, wait};

const CALLS: usize = 100;
/// What became of a card's part comes by webhook.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Every mutation that takes an idempotency key.
pub(super) const OPERATIONS: [Operation; 8] = [
    Operation {
        name: "creditWallet",
        function: "credit-wallet",
        input: "CreditWalletInput",
        fields: "id amount { amount }",
    },
    Operation {
        name: "debitWallet",
        function: "debit-wallet",
        input: "DebitWalletInput",
        fields: "id amount { amount }",
    },
    Operation {
        name: "startSession",
        function: "start-session",
        input: "StartSessionInput",
        fields: "id connectorId",
    },
    Operation {
        name: "payInvoice",
        function: "pay-invoice",
        input: "PayInvoiceInput",
        fields: "id invoiceId",
    },
    Operation {
        name: "payInvoice by card",
        function: "pay-invoice",
        input: "PayInvoiceInput",
        fields: "id invoiceId",
    },
    Operation {
        name: "topUpWallet",
        function: "top-up-wallet",
        input: "TopUpWalletInput",
        fields: "id amount { amount }",
    },
    Operation {
        name: "refundInvoice",
        function: "refund-invoice",
        input: "RefundInvoiceInput",
        fields: "id creditNoteId",
    },
    Operation {
        name: "subscribeToPlan",
        function: "subscribe-to-plan",
        input: "SubscribeToPlanInput",
        fields: "id invoiceId",
    },
];

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    function: &'static str,
    pub(super) input: &'static str,
    /// What one answer is known by; what may change meanwhile is left out.
    fields: &'static str,
}

impl Operation {
    fn query(self) -> String {
        let field = self.name.split(' ').next().unwrap_or_default();
        format!("mutation($input: {}!) {{ {field}(input: $input) {{ {} }} }}", self.input, self.fields)
    }
}

/// A request that is ready to be sent, and one that differs from it.
struct Request {
    client: Client,
    input: Value,
    other: Value,
}

/// One effect, one answer.
pub(super) async fn run(size: Size, place: &Place) -> Result<Proof> {
    let needs = Needs { faults: true, ..Needs::default() };
    place.prove("idempotency", needs, async |own| prove(size, own).await).await
}

async fn prove(size: Size, own: &OwnStack) -> Result<Proof> {
    let (cast, faults) = (Cast::new(&own.stack).await?, own.faults()?);
    let stage = Stage {
        plans: [cast.plan("Flat", "0.00").await?, cast.plan("Flatter", "0.00").await?],
        site: cast.site(1).await?,
        cast,
    };
    let mut kills = 0;
    for operation in OPERATIONS {
        let told = |what: &str| format!("{}: {what}", operation.name);
        let driver = stage.driver(operation).await?;
        let once = stage.request(operation, &driver).await?;
        call(operation, &once.client, &once.input)
            .await?
            .map_err(|error| told(&format!("one call: {error}")))?;
        let effect = stage.effect(&driver, None).await?;

        // All at once.
        let driver = stage.driver(operation).await?;
        let request = stage.request(operation, &driver).await?;
        let calls = (0..CALLS).map(|_| call(operation, &request.client, &request.input));
        let mut answers = BTreeSet::new();
        for answer in try_join_all(calls).await? {
            answers
                .insert(answer.map_err(|error| told(&format!("one of {CALLS} calls: {error}")))?.to_string());
        }
        if answers.len() != 1 {
            return Err(told(&format!("{CALLS} calls got {} answers: {answers:?}", answers.len())).into());
        }
        stage.effect(&driver, Some(&effect)).await.map_err(|error| told(&error.to_string()))?;

        // Another request in the same clothes.
        match call(operation, &request.client, &request.other).await? {
            Err(error) if error["errorInfo"]["code"] == "IDEMPOTENCY_KEY_REUSED" => {}
            other => return Err(told(&format!("another request under the same key: {other:?}")).into()),
        }
        stage.effect(&driver, Some(&effect)).await.map_err(|error| told(&error.to_string()))?;

        // The first try dies at its first, second, … call.
        for nth in 0..size.of(2, 6) {
            for fate in Fate::DEATHS {
                let driver = stage.driver(operation).await?;
                let request = stage.request(operation, &driver).await?;
                let died = killed(operation, &request, faults, nth, fate).await?;
                kills += u64::from(died);
                let again = call(operation, &request.client, &request.input).await?;
                again.map_err(|error| told(&format!("tried again after {fate:?} of call {nth}: {error}")))?;
                let same = stage.effect(&driver, Some(&effect)).await;
                same.map_err(|error| told(&format!("after {fate:?} of call {nth}: {error}")))?;
            }
        }
    }
    stage.provider().await?;
    Ok(Proof {
        name: "idempotency",
        figure: format!(
            "{} operations, {CALLS} calls each with one key: one effect, one answer; another request refused; {kills} \
             killed first tries tried again",
            OPERATIONS.len()
        ),
    })
}

/// The answer, or the error that it is; whoever was too busy or died is asked again.
async fn call(
    operation: Operation,
    client: &Client,
    input: &Value,
) -> Result<std::result::Result<Value, Value>> {
    let query = operation.query();
    wait::until(operation.name, Duration::from_secs(60), async || {
        let (_, mut answer) = client.answer(&query, json!({ "input": input })).await?;
        let error = answer["errors"].get(0).cloned().unwrap_or_default();
        match error["errorType"].as_str() {
            None => Ok(Some(Ok(answer["data"].take()))),
            Some(kind) if kind.starts_with("Lambda:") || kind == "Unavailable" => Ok(None),
            Some(_) => Ok(Some(Err(error))),
        }
    })
    .await
}

/// Sends it once, and kills its function at its `nth` call of the database; tells whether it made so many.
async fn killed(
    operation: Operation,
    request: &Request,
    faults: &Faults,
    nth: usize,
    fate: Fate,
) -> Result<bool> {
    let (before, seen) = (faults.kills(), Arc::new(AtomicUsize::default()));
    faults.follow(move |call| {
        let is_its = call.caller.as_ref().is_some_and(|caller| caller.function == operation.function);
        let is_it = is_its && call.step == Step::Write && seen.fetch_add(1, Ordering::Relaxed) == nth;
        if is_it { fate } else { Fate::Pass }
    });
    // Nobody hears of it.
    let _ = request.client.answer(&operation.query(), json!({ "input": request.input })).await?;
    faults.calm();
    Ok(faults.kills() > before)
}

struct Stage<'a> {
    cast: Cast<'a>,
    site: Site,
    plans: [String; 2],
}

impl Stage<'_> {
    /// A driver with what the operation needs beforehand.
    async fn driver(&self, operation: Operation) -> Result<Account> {
        let driver = self.cast.driver("Ida Idem").await?;
        if matches!(operation.name, "debitWallet" | "refundInvoice") {
            self.cast.operator.credit(&driver, "100.00").await?;
        }
        Ok(driver)
    }

    async fn request(&self, operation: Operation, driver: &Account) -> Result<Request> {
        let (own, operator) = (driver.client.clone(), self.cast.operator.client.clone());
        let wallet = json!({
            "userId": driver.id, "amount": "12.34", "currency": "EUR", "reason": "for the proof",
        });
        let (client, input, other) = match operation.name {
            "creditWallet" | "debitWallet" => (operator, wallet, json!({ "amount": "12.35" })),
            "startSession" => {
                let site = self.cast.site(2).await?;
                let input = json!({ "stationId": site.station, "connectorId": site.connectors[0] });
                (own, input, json!({ "connectorId": site.connectors[1] }))
            }
            "payInvoice" | "payInvoice by card" => {
                let invoice = self.cast.invoice(driver, &self.site, "10").await?;
                let another = self.cast.invoice(driver, &self.site, "10").await?;
                let card = operation.name.ends_with("card");
                if !card {
                    self.cast.operator.credit(driver, "100.00").await?;
                }
                let input = json!({
                    "invoiceId": invoice, "useWallet": !card,
                    "paymentMethod": if card { Some("pm_card_visa") } else { None },
                });
                (own, input, json!({ "invoiceId": another }))
            }
            "topUpWallet" => {
                let input = json!({ "amount": "20.00", "currency": "EUR", "paymentMethod": "pm_card_visa" });
                (own, input, json!({ "amount": "20.01" }))
            }
            "refundInvoice" => {
                let invoice = self.cast.invoice(driver, &self.site, "10").await?;
                let input = json!({ "invoiceId": invoice, "amount": "1.00", "reason": "for the proof" });
                (operator, input, json!({ "amount": "1.01" }))
            }
            "subscribeToPlan" => {
                (own, json!({ "planId": self.plans[0] }), json!({ "planId": self.plans[1] }))
            }
            other => return Err(format!("no request for {other}").into()),
        };
        let with_key = |mut input: Value, changes: &Value| {
            for (field, value) in changes.as_object().into_iter().flatten() {
                input[field] = value.clone();
            }
            input
        };
        let input = with_key(input, &json!({ "idempotencyKey": Uuid::new_v4() }));
        let other = with_key(input.clone(), &other);
        Ok(Request { client, input, other })
    }

    /// Everything that was done to the driver; waits until it is `expected`, and fails with both if that never comes.
    async fn effect(&self, driver: &Account, expected: Option<&str>) -> Result<String> {
        let mut last = String::new();
        let settled = wait::until("the effect to be that of one call", SETTLED_WITHIN, async || {
            let rows = self.cast.database.with(EFFECT, &json!(driver.id)).await?;
            let effect: String = rows.first().ok_or("the driver is gone")?.try_get(0)?;
            let is_settled = match expected {
                Some(expected) => effect == expected,
                None => !effect.contains("\"open\""),
            };
            last.clone_from(&effect);
            Ok(is_settled.then_some(effect))
        })
        .await;
        settled.map_err(|error| format!("{error}: {last} is not {}", expected.unwrap_or("settled")).into())
    }

    /// What the provider charged and gave back is what the books say.
    async fn provider(&self) -> Result<()> {
        let books =
            "SELECT COALESCE(sum(from_card * 100), 0)::bigint::text FROM payments WHERE status = 'SUCCEEDED'";
        let books = self.cast.database.texts(books).await?.concat();
        let charged = charged(self.cast.stack).await?;
        if books == charged.to_string() {
            Ok(())
        } else {
            Err(format!("the provider charged {charged} cents, the books say {books}").into())
        }
    }
}

/// In cents.
async fn charged(stack: &Stack) -> Result<i64> {
    let settle = stack.functions.iter().find_map(|function| function.variables.get("PAYMENT_SECRET_ARN"));
    let secret: Value = serde_json::from_str(&stack.secret(settle.ok_or("no payment secret")?).await?)?;
    let url = format!("{}/v1/payment_intents?limit=10000", secret["url"].as_str().unwrap_or_default());
    let request =
        reqwest::Client::new().get(url).basic_auth(secret["apiKey"].as_str().unwrap_or_default(), Some(""));
    let intents: Value = request.send().await?.json().await?;
    let list = intents["data"].as_array().ok_or_else(|| format!("no intents: {intents}"))?;
    let succeeded = list.iter().filter(|intent| intent["status"] == "succeeded");
    Ok(succeeded.filter_map(|intent| intent["amount"].as_i64()).sum())
}

/// Everything about the driver `$1` that a call may change, without ids and times. A session's own fate is left out: its
/// charger is not there. So are the amounts of a flat rate's first month, which shrink by the second.
const EFFECT: &str = "
    SELECT jsonb_build_object(
        'balance', account.wallet_balance,
        'entries', (SELECT jsonb_agg(jsonb_build_array(cause, amount) ORDER BY cause, amount)
                    FROM wallet_entries WHERE user_id = account.id),
        'sessions', (SELECT count(*) FROM sessions WHERE user_id = account.id),
        'payments', (SELECT jsonb_agg(jsonb_build_array(purpose, amount, from_wallet, from_card, status,
                         CASE WHEN status IN ('PENDING', 'REQUIRES_ACTION') THEN 'open' END) ORDER BY amount)
                     FROM payments WHERE user_id = account.id),
        'refunds', (SELECT jsonb_agg(jsonb_build_array(amount, to_wallet, to_card, status) ORDER BY amount)
                    FROM refunds WHERE user_id = account.id),
        'invoices', (SELECT jsonb_agg(jsonb_build_array(kind, status, paid_amount, refunded_amount,
                         CASE WHEN kind <> 'SUBSCRIPTION' THEN amount END) ORDER BY kind, status, amount)
                     FROM invoices WHERE user_id = account.id),
        'subscriptions', (SELECT jsonb_agg(status) FROM subscriptions WHERE user_id = account.id),
        'audit', (SELECT jsonb_agg(action ORDER BY action) FROM audit_log
                  WHERE subject = account.id::text
                      OR subject IN (SELECT id::text FROM invoices WHERE user_id = account.id)),
        'events', (SELECT jsonb_agg(event_type ORDER BY event_type) FROM outbox
                   WHERE payload->>'userId' = account.id::text AND event_type NOT LIKE 'SESSION_%')
    )::text
    FROM users AS account WHERE id = ($1::jsonb #>> '{}')::uuid";
