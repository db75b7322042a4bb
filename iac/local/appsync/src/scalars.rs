//! AppSync's own scalars: which values each accepts, in arguments and in results.
//! <https://docs.aws.amazon.com/appsync/latest/devguide/scalars.html>

use std::net::IpAddr;

use chrono::{NaiveDate, NaiveTime};
use serde_json::Value;
use url::Url;

/// A scalar that AppSync defines beyond GraphQL's five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AwsScalar {
    Date,
    Time,
    DateTime,
    Timestamp,
    Email,
    Json,
    Url,
    Phone,
    IpAddress,
}

impl AwsScalar {
    /// By its name in a schema.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "AWSDate" => Self::Date,
            "AWSTime" => Self::Time,
            "AWSDateTime" => Self::DateTime,
            "AWSTimestamp" => Self::Timestamp,
            "AWSEmail" => Self::Email,
            "AWSJSON" => Self::Json,
            "AWSURL" => Self::Url,
            "AWSPhone" => Self::Phone,
            "AWSIPAddress" => Self::IpAddress,
            _ => return None,
        })
    }

    /// What a resolver receives for `value`; `None` if it is not one. `AWSJSON` arrives parsed.
    pub(crate) fn input(self, value: &Value) -> Option<Value> {
        match self {
            Self::Timestamp => value.as_i64().map(Value::from),
            Self::Json => value.as_str().and_then(|text| serde_json::from_str(text).ok()),
            _ => value.as_str().filter(|text| self.accepts(text)).map(Value::from),
        }
    }

    /// What a client receives for `value`; `None` if it is not one. `AWSJSON` leaves as text.
    pub(crate) fn output(self, value: &Value) -> Option<Value> {
        match self {
            Self::Timestamp => value.as_i64().map(Value::from),
            Self::Json => Some(match value.as_str() {
                Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => value.clone(),
                _ => Value::String(value.to_string()),
            }),
            _ => value.as_str().filter(|text| self.accepts(text)).map(Value::from),
        }
    }

    /// How AppSync's serialisation errors call the scalar.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Date => "Date",
            Self::Time => "Time",
            Self::DateTime => "DateTime",
            Self::Timestamp => "timestamp",
            Self::Email => "email",
            Self::Json => "JSON",
            Self::Url => "URL",
            Self::Phone => "phone number",
            Self::IpAddress => "IP address",
        }
    }

    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Date => is_date(text),
            Self::Time => is_time(text, Offset::Optional),
            Self::DateTime => text.split_once('T').is_some_and(|(date, time)| {
                NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && is_time(time, Offset::Required)
            }),
            Self::Email => is_email(text),
            Self::Url => Url::parse(text)
                .is_ok_and(|url| !url.path().contains("//") && (url.has_host() || url.scheme() == "mailto")),
            Self::Phone => is_phone(text),
            Self::IpAddress => is_address(text),
            Self::Timestamp | Self::Json => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Offset {
    Optional,
    Required,
}

fn is_date(text: &str) -> bool {
    // `YYYY-MM-DD` is ten bytes; what follows can only be an offset.
    text.split_at_checked(10).is_some_and(|(date, offset)| {
        NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && (offset.is_empty() || is_offset(offset))
    })
}

fn is_time(text: &str, offset: Offset) -> bool {
    let end = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let clock_is_valid = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"]
        .iter()
        .any(|format| NaiveTime::parse_from_str(clock, format).is_ok());
    let zone_is_valid = if zone.is_empty() { offset == Offset::Optional } else { is_offset(zone) };
    clock_is_valid && zone_is_valid
}

/// `Z`, `±hh:mm` or `±hh:mm:ss`.
fn is_offset(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let Some(clock) = text.strip_prefix(['+', '-']) else { return false };
    let parts: Vec<&str> = clock.split(':').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().zip([18, 59, 59]).all(|(part, limit)| {
            part.len() == 2
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part.parse::<u8>().is_ok_and(|number| number <= limit)
        })
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let local_is_valid = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|letter| letter.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(letter));
    let labels: Vec<&str> = domain.split('.').collect();
    let domain_is_valid = domain.len() <= 255
        && labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
        });
    local_is_valid && domain_is_valid
}

fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let body = text.strip_prefix('+').unwrap_or(text);
    (7..=15).contains(&digits)
        && body.chars().all(|letter| letter.is_ascii_digit() || " -().".contains(letter))
}

/// An address, or a block in CIDR notation.
fn is_address(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    address.parse::<IpAddr>().is_ok_and(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|length| length <= bits))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn each_scalar_accepts_its_documented_forms_and_no_others() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            (
                "AWSDate",
                &["1970-01-01", "1970-01-01Z", "1970-01-01-07:00", "1970-01-01+05:30:30"],
                &["1970-13-01", "70-01-01", "1970-01-01T00:00Z", "", "1970-01-0é"],
            ),
            (
                "AWSTime",
                &["12:30", "12:30Z", "12:30:24-07:00", "12:30:24.500+05:30"],
                &["25:00", "12", "12:30:24 Z", "12:30:24+1:00"],
            ),
            (
                "AWSDateTime",
                &["2026-01-01T12:30Z", "2026-01-01T12:30:24-07:00", "2026-01-01T12:30:24.500+05:30"],
                &["2026-01-01", "2026-01-01T12:30:24", "2026-02-30T00:00:00Z", "2026-01-01 12:30:24Z"],
            ),
            (
                "AWSEmail",
                &["username@example.com", "a.b+c@mail.example.co.uk"],
                &["username", "@example.com", "a@b", "a b@example.com", "a..b@example.com", "a@-x.com"],
            ),
            (
                "AWSURL",
                &["https://www.example.com/path", "http://localhost:3000/a?b=c", "mailto:a@example.com"],
                &["www.example.com", "https://example.com/a//b", "not a url"],
            ),
            ("AWSPhone", &["+49 89 1234567", "555-123-4567"], &["12", "+49 abc", "12345678901234567"]),
            (
                "AWSIPAddress",
                &["127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"],
                &["256.0.0.1", "10.0.0.0/33", "localhost"],
            ),
        ];
        for (name, good, bad) in cases {
            let scalar = AwsScalar::named(name).unwrap();
            for text in good {
                assert_eq!(scalar.input(&json!(text)), Some(json!(text)), "{name} {text}");
                assert_eq!(scalar.output(&json!(text)), Some(json!(text)), "{name} {text}");
            }
            for text in bad {
                assert_eq!(scalar.input(&json!(text)), None, "{name} {text}");
            }
            assert_eq!(scalar.input(&json!(5)), None, "{name}");
        }
    }

    #[test]
    fn json_is_parsed_on_the_way_in_and_text_on_the_way_out() {
        assert_eq!(AwsScalar::Json.input(&json!("{\"a\":1}")), Some(json!({"a": 1})));
        assert_eq!(AwsScalar::Json.input(&json!("nope")), None);
        assert_eq!(AwsScalar::Json.output(&json!({"a": 1})), Some(json!("{\"a\":1}")));
        assert_eq!(AwsScalar::Json.output(&json!("{\"a\":1}")), Some(json!("{\"a\":1}")));
        assert_eq!(AwsScalar::Json.output(&json!("plain")), Some(json!("\"plain\"")));
        assert_eq!(AwsScalar::Timestamp.input(&json!(1_700_000_000)), Some(json!(1_700_000_000)));
        assert_eq!(AwsScalar::Timestamp.input(&json!("1700000000")), None);
    }
}
