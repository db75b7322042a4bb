//! DynamoDB items, written and read; for the contexts that keep connections there.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use tracing::warn;

use crate::{Failure, Timestamp};

/// One item, by the names of its attributes.
pub type Item = HashMap<String, AttributeValue>;

/// The attribute that DynamoDB's time-to-live reads. It sweeps late, so readers look at it too.
pub const EXPIRES_AT: &str = "expiresAt";

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Unix seconds, rounded up.
pub fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N((at.timestamp() + 1).to_string())
}

/// An item of these attributes.
pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An item's text attribute; its absence is a defect.
pub fn read<'i>(item: &'i Item, name: &str) -> Result<&'i str, Failure> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Failure::fault(format!("an item without a text {name}")))
}

/// Whether the item's time is not over.
pub fn is_alive(item: &Item, at: Timestamp) -> bool {
    let expires_at = item.get(EXPIRES_AT).and_then(|value| value.as_n().ok()?.parse::<i64>().ok());
    expires_at.is_none_or(|expires_at| expires_at > at.timestamp())
}

/// A failed call of `what`: the SDK has tried again already.
pub fn failed<E, R>(what: &'static str, error: &SdkError<E, R>) -> Failure
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    warn!(cause = %DisplayErrorContext(error), "DynamoDB failed");
    Failure::Unavailable(what)
}
