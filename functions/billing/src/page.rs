//! `GET /invoices/{id}`: an invoice as a page to print, for whoever holds a link to it.

use aws_config::SdkConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::{Request, RequestExt, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::{Database, Failure, InvoiceId, MissingSetting, Money, Timestamp, setting};
use tracing::{error, warn};

use crate::html::{InvoiceHtml, NoticeHtml, STYLE};
use crate::invoices::Invoice;
use crate::link::{CustomerShown, LinkKeys, Linked};
use crate::store;

/// An invoice with what else is printed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Printable {
    pub(crate) invoice: Invoice,
    /// When the session was over, or the booking's time begins.
    pub(crate) supplied_at: Option<Timestamp>,
    pub(crate) method: Option<Method>,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) paid: Money,
    pub(crate) customer: Customer,
    /// Of a credit note: the number of the invoice that it corrects.
    pub(crate) corrects: Option<String>,
    pub(crate) credit_notes: Vec<CreditNote>,
}

/// How an invoice was paid.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Method {
    Wallet,
    Card,
    WalletAndCard,
    /// There was nothing to pay.
    None,
}

/// Who is billed, as far as the page may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "is", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Customer {
    Known {
        name: String,
        email: String,
    },
    /// The account is gone.
    Deleted,
    /// The link is not the owner's.
    Withheld,
}

/// What took (a part of) an invoice back.
#[derive(Debug, Deserialize)]
pub(crate) struct CreditNote {
    pub(crate) number: String,
    pub(crate) amount: Money,
}

/// Whose invoices they are, as their law wants it printed.
#[derive(Debug, Clone)]
pub struct Seller {
    /// The company.
    pub name: String,
    /// Its postal address; line breaks are kept.
    pub address: String,
    /// Its VAT identification number.
    pub vat_id: String,
}

impl Seller {
    /// From `SELLER_NAME`, `SELLER_ADDRESS` and `SELLER_VAT_ID`.
    pub fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self {
            name: setting("SELLER_NAME")?,
            address: setting("SELLER_ADDRESS")?,
            vat_id: setting("SELLER_VAT_ID")?,
        })
    }
}

/// What pages are made from.
pub struct Pages {
    database: Database,
    keys: LinkKeys,
    seller: Seller,
}

impl Pages {
    /// Pages of `seller`'s invoices.
    pub fn new(database: Database, keys: LinkKeys, seller: Seller) -> Self {
        Self { database, keys, seller }
    }

    /// From the settings of [`Database::from_env`], [`LinkKeys::from_env`] and [`Seller::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Database::from_env(config)?, LinkKeys::from_env(config)?, Seller::from_env()?))
    }

    /// The page, or one that says why there is none: 403 without a good link, 404 without such an invoice,
    /// 503 while the database does not answer. A defect fails the invocation.
    pub async fn answer(&self, request: &Request, now: Timestamp) -> Result<Response<String>, Failure> {
        match self.find(request, now).await {
            Ok(found) => {
                let page = InvoiceHtml { seller: &self.seller, printable: &found };
                html(StatusCode::OK, page.to_string())
            }
            Err(Failure::Forbidden(why)) => notice(StatusCode::FORBIDDEN, "This link does not work", why),
            Err(Failure::NotFound(_)) => {
                notice(StatusCode::NOT_FOUND, "Not found", "There is no such invoice.")
            }
            Err(failure @ Failure::Unavailable(_)) => {
                warn!(cause = failure.causes(), "no page");
                let why = "Please try again in a minute.";
                notice(StatusCode::SERVICE_UNAVAILABLE, "The page is not available now", why)
            }
            Err(failure) => {
                error!(cause = failure.causes(), "fault");
                Err(failure)
            }
        }
    }

    async fn find(&self, request: &Request, now: Timestamp) -> Result<Printable, Failure> {
        const REFUSAL: Failure =
            Failure::Forbidden("It has expired, or it is not complete. Open the invoice in the app again.");
        let (path, query) = (request.path_parameters(), request.query_string_parameters());
        let id = path.first("id").and_then(|id| id.parse::<InvoiceId>().ok());
        let expires = query.first("expires").and_then(|expires| expires.parse().ok());
        let customer = CustomerShown::parse(query.first("customer"));
        let (Some(id), Some(expires), Some(customer), Some(signature)) =
            (id, expires, customer, query.first("signature"))
        else {
            return Err(REFUSAL);
        };
        if !self.keys.admit(Linked { id, expires, customer }, signature, now).await? {
            return Err(REFUSAL);
        }
        store::printable(&self.database, id, customer).await?.ok_or(Failure::NotFound("invoice"))
    }
}

fn notice(status: StatusCode, title: &str, why: &str) -> Result<Response<String>, Failure> {
    html(status, NoticeHtml { title, why }.to_string())
}

/// A page that loads nothing, runs nothing, is framed by nobody and kept by no cache; its address, which opens it, is
/// told to no other site.
fn html(status: StatusCode, page: String) -> Result<Response<String>, Failure> {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(CONTENT_SECURITY_POLICY, policy)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, "private, no-store")
        .body(page)
        .map_err(Failure::fault)
}
