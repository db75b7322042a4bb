//! JSON from outside read into a type of ours: arguments, inputs, payloads. What does not fit is named by its path.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;

/// The fields of `json` as a `T`, or the invalid field.
pub fn read_fields<T: DeserializeOwned>(json: Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(json)
        .map_err(|error| Failure::invalid(error.path().to_string(), error.inner().to_string()))
}
