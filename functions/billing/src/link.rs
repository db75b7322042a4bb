//! Links that open an invoice in a browser without a login: signed for one invoice, and good for a quarter of an hour.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{SubsecRound, TimeDelta};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use shared::{Caller, Database, Failure, InvoiceId, MissingSetting, Timestamp, setting};
use tokio::sync::Mutex;
use tracing::warn;

use crate::invoices::{GetInvoice, visible_to};
use crate::store;

/// How long a link opens its invoice.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(15);
/// A rotated key signs no longer than this.
const MAX_AGE: TimeDelta = TimeDelta::minutes(5);
/// However many forged links are tried, the secret is read no more often.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(10);
/// Fewer bytes than a SHA-256 could be guessed.
const MIN_KEY_BYTES: usize = 32;

/// What a page says of whom an invoice bills; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CustomerShown {
    /// Name and e-mail address: the link is their owner's.
    InFull,
    /// Neither: operators see no more of a person than they need.
    Withheld,
}

impl CustomerShown {
    const WITHHELD: &str = "withheld";

    /// From a link's parameter `customer`; none when it is not one of ours.
    pub(crate) fn parse(parameter: Option<&str>) -> Option<Self> {
        match parameter {
            None => Some(Self::InFull),
            Some(Self::WITHHELD) => Some(Self::Withheld),
            Some(_) => None,
        }
    }
}

/// What a link opens, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linked {
    pub(crate) id: InvoiceId,
    /// In epoch seconds.
    pub(crate) expires: i64,
    pub(crate) customer: CustomerShown,
}

/// What signs links and verifies them.
#[derive(Clone)]
pub(crate) struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    /// From the secret's text, `{"key": "…"}`; the bytes of the key are those of its text.
    fn parse(secret: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Document {
            key: String,
        }
        let document: Document =
            serde_json::from_str(secret).map_err(|_| Failure::fault("no secret for links to invoices"))?;
        if document.key.len() < MIN_KEY_BYTES {
            return Err(Failure::fault("the key for links to invoices is too short"));
        }
        Hmac::new_from_slice(document.key.as_bytes()).map(Self).map_err(Failure::fault)
    }

    fn over(&self, Linked { id, expires, customer }: Linked) -> Hmac<Sha256> {
        let customer = match customer {
            CustomerShown::InFull => "in-full",
            CustomerShown::Withheld => CustomerShown::WITHHELD,
        };
        self.0.clone().chain_update(format!("invoice-page\n{id}\n{expires}\n{customer}"))
    }

    fn sign(&self, linked: Linked) -> String {
        URL_SAFE_NO_PAD.encode(self.over(linked).finalize().into_bytes())
    }

    fn signed(&self, linked: Linked, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.over(linked).verify_slice(&signature).is_ok())
    }
}

struct Kept {
    key: Arc<LinkKey>,
    read_at: Timestamp,
}

/// The secret that links are signed with: read at first use, and again when it may have been rotated.
pub struct LinkKeys {
    client: Client,
    arn: String,
    kept: Mutex<Option<Kept>>,
}

impl LinkKeys {
    /// The secret of that ARN; reads nothing yet.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into(), kept: Mutex::default() }
    }

    /// From `INVOICE_LINK_SECRET_ARN`.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("INVOICE_LINK_SECRET_ARN")?))
    }

    /// Whether a link is ours and still good.
    pub(crate) async fn admit(
        &self,
        linked: Linked,
        signature: &str,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        if linked.expires <= now.timestamp() {
            return Ok(false);
        }
        // A key younger than ours may have signed it.
        for max_age in [MAX_AGE, MIN_PAUSE] {
            if self.key(now, max_age).await?.signed(linked, signature) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The key as it was `max_age` ago or later. One that cannot be replaced now is better than none.
    async fn key(&self, now: Timestamp, max_age: TimeDelta) -> Result<Arc<LinkKey>, Failure> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| now - kept.read_at < max_age) {
            return Ok(Arc::clone(&kept.key));
        }
        match (self.read().await, kept.as_ref()) {
            (Ok(key), _) => {
                let key = Arc::new(key);
                *kept = Some(Kept { key: Arc::clone(&key), read_at: now });
                Ok(key)
            }
            (Err(failure), Some(kept)) => {
                warn!(cause = failure.causes(), "the key of earlier stays in use");
                Ok(Arc::clone(&kept.key))
            }
            (Err(failure), None) => Err(failure),
        }
    }

    async fn read(&self) -> Result<LinkKey, Failure> {
        // On the heap: the SDK's futures nest deeper than the compiler follows.
        let answer = Box::pin(self.client.get_secret_value().secret_id(&self.arn).send()).await;
        let answer = answer.map_err(|error| {
            warn!(cause = %DisplayErrorContext(error), "a secret cannot be read");
            Failure::Unavailable("the service of invoice pages")
        })?;
        LinkKey::parse(answer.secret_string().unwrap_or_default())
    }
}

/// GraphQL `InvoicePage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoicePage {
    /// Opens in a browser, without a login.
    pub url: String,
    /// Until then, to the second.
    pub expires_at: Timestamp,
}

/// What links are made from.
pub struct InvoiceLinks {
    database: Database,
    keys: LinkKeys,
    base_url: String,
}

impl InvoiceLinks {
    /// Links below `base_url`, `https://…/invoices`.
    pub fn new(database: Database, keys: LinkKeys, base_url: impl Into<String>) -> Self {
        Self { database, keys, base_url: base_url.into() }
    }

    /// From `INVOICE_PAGE_URL` and the settings of [`LinkKeys::from_env`] and [`Database::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let keys = LinkKeys::from_env(config)?;
        Ok(Self::new(Database::from_env(config)?, keys, setting("INVOICE_PAGE_URL")?))
    }
}

/// A link to an invoice of the caller's own, or to anybody's for an operator: to a page without the customer then, and
/// noted.
pub async fn invoice_page_link(
    links: &InvoiceLinks,
    caller: &Caller,
    GetInvoice { id }: GetInvoice,
) -> Result<InvoicePage, Failure> {
    let (viewer, visible) = (caller.user()?.id, visible_to(caller)?);
    // First, so that no link is noted that was not given.
    let key = links.keys.key(caller.at, MAX_AGE).await?;
    let owner = store::invoice_to_link(&links.database, id, visible, viewer, caller).await?;
    let owner = owner.ok_or(Failure::NotFound("invoice"))?;
    let expires_at = (caller.at + GOOD_FOR).trunc_subsecs(0);
    let expires = expires_at.timestamp();
    let (customer, parameter) = if owner == viewer {
        (CustomerShown::InFull, String::new())
    } else {
        (CustomerShown::Withheld, format!("&customer={}", CustomerShown::WITHHELD))
    };
    let signature = key.sign(Linked { id, expires, customer });
    let base_url = links.base_url.trim_end_matches('/');
    let url = format!("{base_url}/{id}?expires={expires}{parameter}&signature={signature}");
    Ok(InvoicePage { url, expires_at })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn key(text: &str) -> LinkKey {
        LinkKey::parse(&format!(r#"{{"key": "{text}"}}"#)).unwrap()
    }

    #[test]
    fn a_signature_is_good_for_one_invoice_until_one_moment_under_one_key() {
        let (key, other) = (key(&"k".repeat(32)), key(&"o".repeat(32)));
        let linked =
            Linked { id: InvoiceId::new(), expires: 1_771_684_260, customer: CustomerShown::Withheld };
        let signature = key.sign(linked);
        assert!(key.signed(linked, &signature));
        assert!(!key.signed(Linked { id: InvoiceId::new(), ..linked }, &signature));
        assert!(!key.signed(Linked { expires: linked.expires + 1, ..linked }, &signature));
        assert!(!key.signed(Linked { customer: CustomerShown::InFull, ..linked }, &signature));
        assert!(!other.signed(linked, &signature));
        for length in 0..signature.len() {
            assert!(!key.signed(linked, &signature[..length]));
        }
        for position in 0..signature.len() {
            let mut forged = signature.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            assert!(!key.signed(linked, std::str::from_utf8(&forged).unwrap()));
        }
        assert!(!key.signed(linked, &format!("{signature}=")));
        assert!(!key.signed(linked, &format!("{signature}A")));
    }

    #[test]
    fn a_secret_without_a_strong_key_is_refused() {
        for secret in ["", "{}", r#"{"key": ""}"#, r#"{"key": "0123456789abcdef0123456789abcde"}"#] {
            assert!(LinkKey::parse(secret).is_err(), "{secret}");
        }
    }
}
