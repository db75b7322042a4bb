//! The ids and times that requests bear, in the forms API Gateway gives them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use chrono::{DateTime, Utc};

/// As `QyWi9eXiPHcCE-w=`: of a request, a message or a connection.
pub(crate) fn request_id() -> String {
    URL_SAFE.encode(rand::random::<[u8; 11]>())
}

/// As `21/Apr/2020:15:08:21 +0000`.
pub(crate) fn request_time(moment: DateTime<Utc>) -> String {
    moment.format("%d/%b/%Y:%H:%M:%S +0000").to_string()
}
