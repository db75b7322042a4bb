//! The provider's API over HTTP, as Stripe speaks it: forms in, JSON out, a key with whatever moves money. Bounded in
//! time and size; an answer that did not come leaves open what happened, and says so.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::{Failure, PaymentId, RefundId};
use tracing::{error, warn};

use crate::account::AccountSecret;
use crate::payment::Record;
use crate::tokens::{IntentRef, RefundRef};

/// The version of the API that answers are read as.
const VERSION: &str = "2024-06-20";
/// How long one answer is waited for. Banks take seconds; a resolver has twenty-five.
pub const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_TO_CONNECT: Duration = Duration::from_secs(3);
/// A hundred refunds have about 100 KB.
const LARGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer that counts.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The provider understood and will not do it, now or later.
    Refused {
        /// Its code, `card_declined`.
        code: String,
    },
    /// Nobody knows whether it was done: ask again later.
    Unknown,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused { code } => {
                Self::fault(format!("the payment provider refuses to answer: {code}"))
            }
            Trouble::Unknown => Self::Unavailable("the payment provider"),
        }
    }
}

/// One attempt to charge a card.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: IntentRef,
    pub(crate) status: IntentStatus,
    /// In the smallest unit.
    pub(crate) amount: i64,
    /// In small letters.
    pub(crate) currency: String,
    pub(crate) client_secret: Option<String>,
    last_payment_error: Option<ErrorBody>,
}

impl Intent {
    /// Why its last attempt failed, if one did.
    pub(crate) fn failure_code(&self) -> Option<String> {
        self.last_payment_error.as_ref().map(ErrorBody::code)
    }
}

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Canceled,
    Succeeded,
    /// None that we ever bring about.
    #[serde(other)]
    Other,
}

/// One giving back to a card.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CardRefund {
    pub(crate) id: RefundRef,
    pub(crate) status: CardRefundStatus,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: RefundMetadata,
}

impl CardRefund {
    pub(crate) fn failure_code(&self) -> String {
        tidy(self.failure_reason.as_deref(), "refund_failed")
    }

    fn is_for(&self, refund: RefundId) -> bool {
        self.metadata.refund_id.as_deref() == Some(&refund.to_string())
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RefundMetadata {
    refund_id: Option<String>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CardRefundStatus {
    Succeeded,
    Failed,
    Canceled,
    #[serde(other)]
    Underway,
}

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct ErrorDocument {
    error: ErrorBody,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ErrorBody {
    code: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl ErrorBody {
    fn code(&self) -> String {
        tidy(self.code.as_deref(), "invalid_request")
    }
}

/// A code as we keep and show it: the provider's, if it looks like one.
fn tidy(code: Option<&str>, otherwise: &str) -> String {
    let is_code = |code: &&str| {
        (1..=64).contains(&code.len())
            && code.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    code.filter(is_code).unwrap_or(otherwise).to_owned()
}

/// One request.
struct Call<'a> {
    method: Method,
    path: String,
    form: &'a [(&'a str, &'a str)],
    /// Under which the provider does it once. Without a key: what may be done twice.
    key: Option<String>,
}

/// The API, as our account may use it.
pub struct Provider {
    http: Client,
    secret: AccountSecret,
}

impl Provider {
    /// An API that is waited for as long as `patience`, each time.
    pub fn new(secret: AccountSecret, patience: Duration) -> Result<Self, Failure> {
        let http = Client::builder()
            .user_agent(concat!("ev-payment/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(PATIENCE_TO_CONNECT.min(patience))
            .timeout(patience)
            // A redirect would carry our key to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::fault)?;
        Ok(Self { http, secret })
    }

    /// An intent for the card's part of a payment, not confirmed: as such it charges nobody, ever.
    pub(crate) async fn create_intent(&self, payment: &Record, units: i64) -> Result<Intent, Trouble> {
        let (amount, id) = (units.to_string(), payment.id.to_string());
        let currency = payment.asked_of_card().currency().code().to_ascii_lowercase();
        let method = payment.payment_method.as_ref().map(ToString::to_string).unwrap_or_default();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", &method),
            // Cards alone: anything else may send the driver to a page, and we have none to come back to.
            ("payment_method_types[]", "card"),
            ("metadata[payment_id]", &id),
        ];
        let path = "payment_intents".to_owned();
        self.call(Call { method: Method::POST, path, form: &form, key: Some(id.clone()) }).await
    }

    /// Charges the card, if the intent was not confirmed before.
    pub(crate) async fn confirm(&self, payment: PaymentId, intent: &IntentRef) -> Result<Intent, Trouble> {
        let (path, key) = (format!("payment_intents/{intent}/confirm"), format!("{payment}/confirm"));
        self.call(Call { method: Method::POST, path, form: &[], key: Some(key) }).await
    }

    /// Makes sure that the intent never charges anybody; refused when it has.
    pub(crate) async fn cancel(&self, intent: &IntentRef) -> Result<Intent, Trouble> {
        // With a key, an early refusal would be repeated when the intent can be cancelled at last.
        let path = format!("payment_intents/{intent}/cancel");
        self.call(Call { method: Method::POST, path, form: &[], key: None }).await
    }

    /// An intent as it is now.
    pub(crate) async fn intent(&self, intent: &IntentRef) -> Result<Intent, Trouble> {
        self.get(format!("payment_intents/{intent}")).await
    }

    /// Gives `units` of what an intent charged back to its card.
    pub(crate) async fn create_refund(
        &self,
        refund: RefundId,
        intent: &IntentRef,
        units: i64,
    ) -> Result<CardRefund, Trouble> {
        let (amount, id) = (units.to_string(), refund.to_string());
        let form = [("payment_intent", intent.as_str()), ("amount", &amount), ("metadata[refund_id]", &id)];
        let path = "refunds".to_owned();
        self.call(Call { method: Method::POST, path, form: &form, key: Some(id.clone()) }).await
    }

    /// A refund as it is now; never refused.
    pub(crate) async fn card_refund(&self, refund: &RefundRef) -> Result<CardRefund, Trouble> {
        self.look_up(format!("refunds/{refund}")).await
    }

    /// The one that was made of an intent's money for `refund`, if one was; never refused.
    pub(crate) async fn card_refund_for(
        &self,
        refund: RefundId,
        intent: &IntentRef,
    ) -> Result<Option<CardRefund>, Trouble> {
        let list: List<CardRefund> =
            self.look_up(format!("refunds?payment_intent={intent}&limit=100")).await?;
        Ok(list.data.into_iter().find(|card_refund| card_refund.is_for(refund)))
    }

    /// What we are not shown may be there all the same: a key of another account sees none of our refunds.
    async fn look_up<T: DeserializeOwned>(&self, path: String) -> Result<T, Trouble> {
        self.get(path).await.map_err(|trouble| {
            if let Trouble::Refused { code } = trouble {
                error!(code, "the payment provider does not show what became of a refund");
            }
            Trouble::Unknown
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Trouble> {
        self.call(Call { method: Method::GET, path, form: &[], key: None }).await
    }

    /// What the provider says is logged by its codes alone: its sentences may quote what it was sent.
    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Trouble> {
        let operation = format!("{} {}", call.method, call.path);
        let unknown = |cause: &str| {
            warn!(operation, cause, "the payment provider gave no answer that counts");
            Trouble::Unknown
        };
        let account =
            self.secret.get(chrono::Utc::now()).await.map_err(|failure| unknown(&failure.causes()))?;
        let url = format!("{}/v1/{}", account.url.trim_end_matches('/'), call.path);
        let mut request = self.http.request(call.method.clone(), url);
        request = request.header("Stripe-Version", VERSION);
        request = request.header(AUTHORIZATION, format!("Bearer {}", account.api_key));
        if call.method == Method::POST {
            request = request.form(call.form);
        }
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key);
        }
        // The address is left out of the errors: it may hold credentials of a proxy.
        let lost = |error: reqwest::Error| unknown(&error.without_url().to_string());
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(unknown("an answer too large to be one"));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                error!(operation, place = %format_args!("{}:{}", error.line(), error.column()), "not the answer asked for");
                Trouble::Unknown
            });
        }
        let told = serde_json::from_slice::<ErrorDocument>(&body).map(|document| document.error);
        let told = told.unwrap_or_default();
        let code = told.code();
        if is_final(status, told.kind.as_deref()) {
            return Err(Trouble::Refused { code });
        }
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            error!(operation, status = status.as_u16(), code, "the payment provider does not take our key");
            return Err(Trouble::Unknown);
        }
        Err(unknown(&format!("HTTP {}, {code}", status.as_u16())))
    }
}

/// Whether an error says that the request was not and will not be done. Conflicts, limits and outages pass; a key that
/// is refused says nothing of the request, and one reused nothing of the first.
fn is_final(status: StatusCode, kind: Option<&str>) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND)
        && kind.is_some_and(|kind| kind != "idempotency_error" && kind != "api_error")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_provider_decided_is_final() {
        let bad = StatusCode::BAD_REQUEST;
        assert!(is_final(bad, Some("invalid_request_error")));
        assert!(is_final(StatusCode::PAYMENT_REQUIRED, Some("card_error")));
        // A page of somebody between us and the provider.
        assert!(!is_final(bad, None));
        assert!(!is_final(bad, Some("idempotency_error")));
        for status in [401, 403, 409, 429, 500, 502, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(!is_final(status, Some("invalid_request_error")), "{status}");
        }
    }

    #[test]
    fn a_code_that_is_none_is_not_repeated() {
        assert_eq!(tidy(Some("card_declined"), "x"), "card_declined");
        assert_eq!(tidy(Some("4242 4242"), "x"), "x");
        assert_eq!(tidy(Some(&"a".repeat(65)), "x"), "x");
        assert_eq!(tidy(None, "x"), "x");
    }

    #[test]
    fn a_status_of_tomorrow_is_no_decision() {
        let intent = json!({ "id": "pi_1", "status": "requires_capture", "amount": 1, "currency": "eur" });
        assert_eq!(serde_json::from_value::<Intent>(intent).unwrap().status, IntentStatus::Other);
        let refund = json!({ "id": "re_1", "status": "requires_action", "metadata": {} });
        assert_eq!(serde_json::from_value::<CardRefund>(refund).unwrap().status, CardRefundStatus::Underway);
    }
}
