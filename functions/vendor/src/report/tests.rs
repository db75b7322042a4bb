#![allow(clippy::unwrap_used)]

use rust_decimal::Decimal;

use super::*;

const STATION: &str = "48f8fb15-814d-4e9d-97e1-d2caea2a162f";
const CONNECTOR: &str = "0198c0de-0000-7000-8000-000000000003";

fn body(kind: Kind) -> Value {
    match kind {
        Kind::ConnectorStatus => json!({
            "stationId": STATION, "connectorId": CONNECTOR, "vendorConnectorId": "vendor_123", "status": "AVAILABLE",
            "metadata": { "firmware": "1.2" },
        }),
        Kind::SessionStart => json!({
            "vendorSessionId": "vendor_session_123", "connectorId": CONNECTOR, "startMeterReading": 0.0,
            "bookingId": STATION, "idTag": "TAG-1",
        }),
        Kind::SessionEnd => json!({
            "vendorSessionId": "vendor_session_123", "endMeterReading": 25.5, "energyKwh": "25.5",
            "costAmount": 250.0,
        }),
    }
}

const KINDS: [Kind; 3] = [Kind::ConnectorStatus, Kind::SessionStart, Kind::SessionEnd];

fn parse(kind: Kind, body: &Value) -> Result<Told, String> {
    Told::parse(kind, body.to_string().as_bytes()).map_err(|failure| match failure {
        Failure::Invalid { field, .. } => field.into_owned(),
        failure => panic!("{failure:?}"),
    })
}

#[test]
fn every_report_survives_the_queue_word_for_word() {
    for kind in KINDS {
        let report = Report {
            vendor_id: VendorId::new(),
            webhook_id: "msg_1".to_owned().try_into().unwrap(),
            occurred_at: Timestamp::UNIX_EPOCH,
            correlation_id: CorrelationId::new(),
            told: parse(kind, &body(kind)).unwrap(),
        };
        let message = serde_json::to_string(&report).unwrap();
        let read = Report::read(serde_json::from_str(&message).unwrap()).unwrap();
        assert_eq!(read, report, "{message}");
        let message: Value = serde_json::from_str(&message).unwrap();
        assert_eq!((&message["kind"], kind.name()), (&json!(kind), message["kind"].as_str().unwrap()));
    }
}

#[test]
fn what_may_be_left_out_may_be_null() {
    for (kind, fields) in [
        (Kind::ConnectorStatus, vec!["connectorId", "metadata"]),
        (Kind::SessionStart, vec!["bookingId", "idTag"]),
        (Kind::SessionEnd, vec!["energyKwh", "costAmount"]),
    ] {
        for field in fields {
            let mut without = body(kind);
            without.as_object_mut().unwrap().remove(field);
            let mut null = body(kind);
            null[field] = Value::Null;
            assert_eq!(parse(kind, &without).unwrap(), parse(kind, &null).unwrap(), "{field}");
        }
    }
    let mut more = body(Kind::SessionEnd);
    more["soc"] = json!(80);
    assert!(parse(Kind::SessionEnd, &more).is_ok(), "vendors may tell more than we read");
}

#[test]
fn what_does_not_fit_is_named() {
    for (kind, field, value) in [
        (Kind::ConnectorStatus, "stationId", json!("42")),
        (Kind::ConnectorStatus, "connectorId", json!("42")),
        (Kind::ConnectorStatus, "vendorConnectorId", json!("")),
        (Kind::ConnectorStatus, "vendorConnectorId", json!("x".repeat(65))),
        (Kind::ConnectorStatus, "vendorConnectorId", json!(7)),
        (Kind::ConnectorStatus, "status", json!("available")),
        (Kind::ConnectorStatus, "status", json!("CHARGING")),
        (Kind::ConnectorStatus, "metadata", json!([])),
        (Kind::ConnectorStatus, "metadata", json!({ "x": "y".repeat(4096) })),
        (Kind::ConnectorStatus, "metadata", json!({ "x": "\0" })),
        (Kind::SessionStart, "vendorSessionId", json!("two\nlines")),
        (Kind::SessionStart, "connectorId", Value::Null),
        (Kind::SessionStart, "startMeterReading", json!(-0.1)),
        (Kind::SessionStart, "startMeterReading", json!("1,5")),
        (Kind::SessionStart, "startMeterReading", json!({})),
        (Kind::SessionStart, "bookingId", json!("b")),
        (Kind::SessionStart, "idTag", json!("x".repeat(37))),
        (Kind::SessionEnd, "endMeterReading", json!(1e9)),
        (Kind::SessionEnd, "endMeterReading", json!(0.1234567)),
        (Kind::SessionEnd, "energyKwh", json!("much")),
        (Kind::SessionEnd, "costAmount", json!(-1)),
    ] {
        let mut wrong = body(kind);
        wrong[field] = value.clone();
        assert_eq!(parse(kind, &wrong).unwrap_err(), field, "{value}");
    }
    for kind in KINDS {
        for field in ["vendorConnectorId", "stationId", "status", "vendorSessionId", "endMeterReading"] {
            let mut missing = body(kind);
            if missing.as_object_mut().unwrap().remove(field).is_some() {
                assert_eq!(parse(kind, &missing).unwrap_err(), field);
            }
        }
        for text in ["", "{", "[]", "null", "{}{}", "\"text\"", &"[".repeat(60_000)] {
            let Err(Failure::Invalid { field, .. }) = Told::parse(kind, text.as_bytes()) else {
                panic!("{text} was taken")
            };
            assert_eq!(field, "body", "{text}");
        }
    }
}

#[test]
fn a_reading_is_taken_digit_by_digit() {
    let text = body(Kind::SessionEnd).to_string().replace("25.5,", "9007199.254741,");
    let Told::SessionEnd(end) = Told::parse(Kind::SessionEnd, text.as_bytes()).unwrap() else {
        unreachable!()
    };
    assert_eq!(end.end_meter_reading.0, "9007199.254741".parse::<Decimal>().unwrap());
    let twice = text.replacen('{', r#"{"endMeterReading":1,"#, 1);
    assert!(Told::parse(Kind::SessionEnd, twice.as_bytes()).is_err());
}

#[test]
fn no_card_number_gets_in() {
    let number = "4242 4242 4242 4242";
    for (kind, field) in [
        (Kind::ConnectorStatus, "vendorConnectorId"),
        (Kind::SessionStart, "idTag"),
        (Kind::SessionEnd, "vendorSessionId"),
    ] {
        let mut wrong = body(kind);
        wrong[field] = json!(number);
        assert_eq!(parse(kind, &wrong).unwrap_err(), field);
    }
    let mut deep = body(Kind::ConnectorStatus);
    deep["metadata"] = json!({ "payment": { "card": number } });
    assert_eq!(parse(Kind::ConnectorStatus, &deep).unwrap_err(), "metadata.payment.card");
}

#[test]
fn a_message_that_nobody_sent_is_hopeless() {
    let report = json!({
        "vendorId": STATION, "webhookId": "msg_1", "kind": "SESSION_END", "occurredAt": "2026-02-21T14:31:00Z",
        "correlationId": CONNECTOR, "body": body(Kind::SessionEnd),
    });
    assert!(Report::read(report.clone()).is_ok());
    for (field, value) in [
        ("kind", json!("SESSION_START")),
        ("webhookId", json!("a.b")),
        ("occurredAt", json!(1)),
        ("body", json!({})),
    ] {
        let mut wrong = report.clone();
        wrong[field] = value;
        assert!(!Report::read(wrong).unwrap_err().retryable(), "{field}");
    }
}
