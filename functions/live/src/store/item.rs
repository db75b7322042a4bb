//! DynamoDB items, written and read.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use shared::{Failure, Timestamp};
use tracing::warn;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The attribute that DynamoDB's time-to-live reads. It sweeps late, so readers look at it too.
pub(super) const EXPIRES_AT: &str = "expiresAt";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Unix seconds, rounded up.
pub(super) fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N((at.timestamp() + 1).to_string())
}

/// An item of these attributes.
pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A text attribute; its absence is a defect.
pub(super) fn read<'i>(item: &'i Item, name: &str) -> Result<&'i str, Failure> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Failure::fault(format!("an item without a text {name}")))
}

/// Whether the item's time is not over.
pub(super) fn is_alive(item: &Item, at: Timestamp) -> bool {
    let expires_at = item.get(EXPIRES_AT).and_then(|value| value.as_n().ok()?.parse::<i64>().ok());
    expires_at.is_none_or(|expires_at| expires_at > at.timestamp())
}

/// A failed call: the SDK has tried again already.
pub(super) fn failed<E, R>(error: &SdkError<E, R>) -> Failure
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    warn!(cause = %DisplayErrorContext(error), "DynamoDB failed");
    Failure::Unavailable("the live feed")
}
