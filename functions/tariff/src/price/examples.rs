//! The rules of prices, one by one, in sessions small enough to reckon by hand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::{EnergyKwh, MoneyError, Timestamp};

use super::{Basis, Coverage, LocalTime, Price, Reading, Tariff, TimeZone, Usage, price};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn kwh(text: &str) -> EnergyKwh {
    EnergyKwh(text.parse().unwrap())
}

/// A tariff without prices but for these fields.
fn tariff(fields: &Value) -> Tariff {
    let mut tariff = json!({
        "id": "00000000-0000-4000-8000-000000000001", "stationId": null, "operator": null, "currency": "EUR",
        "perKWh": "0", "perMinute": "0", "startFee": "0", "idlePerMinute": "0", "idleGraceMinutes": 0,
        "minimum": "0", "vatRate": "0.19", "timeZone": "Europe/Berlin", "bands": [],
        "validFrom": "2020-01-01T00:00:00.000Z", "validTo": null,
    });
    tariff.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(tariff).unwrap()
}

fn usage(started: &str, ended: &str, energy: &str, readings: &[(&str, &str)]) -> Usage {
    let readings = readings.iter().map(|(when, energy)| Reading { at: at(when), energy: kwh(energy) });
    Usage { started_at: at(started), ended_at: at(ended), energy: kwh(energy), readings: readings.collect() }
}

fn billed(fields: &Value, usage: &Usage) -> Price {
    price(&Basis::Tariff(&tariff(fields)), usage).unwrap()
}

/// `description quantity unit × unit price = amount` of each line.
fn lines(price: &Price) -> Vec<String> {
    let line = |line: &super::Line| {
        let amount = line.amount.amount();
        format!(
            "{} {} {} × {} = {amount}",
            line.description,
            line.quantity,
            line.unit.name(),
            line.unit_price
        )
    };
    price.lines.iter().map(line).collect()
}

fn an_hour(energy: &str) -> Usage {
    usage("2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z", energy, &[])
}

/// From 22 to 6 o'clock each day.
fn night() -> Value {
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    json!([{ "days": days, "from": "22:00", "to": "06:00", "perKWh": "0.20", "perMinute": "0.01" }])
}

#[test]
fn energy_time_and_start_add_up_and_vat_is_within() {
    let price = billed(
        &json!({ "perKWh": "0.49", "perMinute": "0.05", "startFee": "0.35" }),
        &usage("2026-02-21T13:33:00Z", "2026-02-21T14:31:00Z", "22.4000", &[]),
    );
    assert_eq!(
        lines(&price),
        [
            "Energy 22.4 kWh × 0.49 = 10.98",
            "Time at the connector 58 min × 0.05 = 2.90",
            "Start fee 1 session × 0.35 = 0.35",
        ]
    );
    assert_eq!((price.gross.to_string(), price.net.to_string()), ("14.23 EUR".into(), "11.96 EUR".into()));
    assert_eq!(price.vat.to_string(), "2.27 EUR");
}

#[test]
fn the_total_is_rounded_once_halves_away_from_zero_and_the_lines_share_it() {
    // Half a cent only when nothing was rounded before.
    let cents = billed(
        &json!({ "perKWh": "0.0025", "perMinute": "0.0025" }),
        &usage("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "1", &[]),
    );
    assert_eq!(cents.gross.to_string(), "0.01 EUR");
    assert_eq!(
        cents.lines.iter().map(|line| line.amount.amount().to_string()).collect::<Vec<_>>(),
        ["0.01", "0.00"]
    );
    // 0.006 + 0.006: each line alone would be rounded up.
    let cents = billed(&json!({ "perKWh": "0.006", "startFee": "0.006" }), &an_hour("1"));
    assert_eq!(cents.gross.to_string(), "0.01 EUR");
    let yen = billed(&json!({ "perKWh": "0.5", "currency": "JPY" }), &an_hour("1"));
    assert_eq!(yen.gross.to_string(), "1 JPY");
    let dinar = billed(&json!({ "perKWh": "0.0005", "currency": "KWD" }), &an_hour("1"));
    assert_eq!(dinar.gross.to_string(), "0.001 KWD");
}

#[test]
fn a_division_leaves_no_trace_in_the_cents() {
    // A third of an hour in the night at 0.015, two thirds at 0.0225: 10 kWh are 0.05 + 0.15 = 0.20, and 0.995 with it.
    let fields = json!({ "perKWh": "0.0225", "startFee": "0.795", "timeZone": "UTC", "bands": [
        { "days": ["SATURDAY"], "from": "12:00", "to": "12:20", "perKWh": "0.015", "perMinute": "0" },
    ] });
    let price = billed(&fields, &an_hour("10"));
    assert_eq!(price.gross.to_string(), "1.00 EUR");
    assert_eq!(lines(&price)[..2], ["Energy 3.3333 kWh × 0.015 = 0.05", "Energy 6.6667 kWh × 0.0225 = 0.15"]);
}

#[test]
fn a_band_over_midnight_has_seven_hours_in_spring_and_nine_in_autumn() {
    let fields = json!({ "perKWh": "0.50", "perMinute": "0.10", "bands": night() });
    for (evening, morning, hours, energy, time) in [
        ("2026-02-10T21:00:00Z", "2026-02-11T05:00:00Z", 8, "8 kWh × 0.2 = 1.60", "480 min × 0.01 = 4.80"),
        ("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z", 7, "7 kWh × 0.2 = 1.40", "420 min × 0.01 = 4.20"),
        ("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z", 9, "9 kWh × 0.2 = 1.80", "540 min × 0.01 = 5.40"),
    ] {
        let night = usage(evening, morning, &hours.to_string(), &[]);
        let expected = [format!("Energy {energy}"), format!("Time at the connector {time}")];
        assert_eq!(lines(&billed(&fields, &night)), expected);
        // An hour more on both sides costs the day's price.
        let longer = Usage {
            started_at: night.started_at - TimeDelta::hours(1),
            ended_at: night.ended_at + TimeDelta::hours(1),
            energy: kwh(&(hours + 2).to_string()),
            readings: vec![],
        };
        let longer = lines(&billed(&fields, &longer));
        assert_eq!(longer[..2], ["Energy 2 kWh × 0.5 = 1.00".to_owned(), format!("Energy {energy}")]);
        assert_eq!(longer[2], "Time at the connector 120 min × 0.1 = 12.00");
    }
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_twice_in_its_band_and_one_it_skips_never() {
    let fields = json!({ "bands": [
        { "days": ["SUNDAY"], "from": "02:15", "to": "02:45", "perKWh": "0", "perMinute": "1" },
    ] });
    let autumn = billed(&fields, &usage("2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z", "0", &[]));
    assert_eq!(lines(&autumn), ["Time at the connector 60 min × 1 = 60.00"]);
    let spring = billed(&fields, &usage("2026-03-28T22:00:00Z", "2026-03-29T04:00:00Z", "0", &[]));
    assert_eq!(lines(&spring), ["Energy 0 kWh × 0 = 0.00"]);
}

#[test]
fn a_band_over_midnight_belongs_to_the_day_on_which_it_begins_and_the_first_that_fits_holds() {
    let band = |days: &str, from: &str, to: &str, per_kwh: &str| json!({ "days": [days], "from": from, "to": to, "perKWh": per_kwh, "perMinute": "0" });
    let price_at = |bands: Value, moment: &str| {
        let fields = json!({ "perKWh": "9", "timeZone": "UTC", "bands": bands });
        let start = at(moment);
        let one = Usage { started_at: start, ended_at: start, energy: kwh("1"), readings: vec![] };
        billed(&fields, &one).gross.amount().to_string()
    };
    // 2026-11-21 is a Saturday.
    let saturday_night = || json!([band("SATURDAY", "22:00", "06:00", "1")]);
    assert_eq!(price_at(saturday_night(), "2026-11-21T05:59:59Z"), "9.00");
    assert_eq!(price_at(saturday_night(), "2026-11-21T21:59:59.999Z"), "9.00");
    assert_eq!(price_at(saturday_night(), "2026-11-21T22:00:00Z"), "1.00");
    assert_eq!(price_at(saturday_night(), "2026-11-22T05:59:59.999Z"), "1.00");
    assert_eq!(price_at(saturday_night(), "2026-11-22T06:00:00Z"), "9.00");
    assert_eq!(price_at(saturday_night(), "2026-11-22T22:00:00Z"), "9.00");
    // From an hour to the same hour is a whole day.
    let from_noon = || json!([band("SATURDAY", "12:00", "12:00", "2")]);
    assert_eq!(price_at(from_noon(), "2026-11-21T12:00:00Z"), "2.00");
    assert_eq!(price_at(from_noon(), "2026-11-22T11:59:59Z"), "2.00");
    assert_eq!(price_at(from_noon(), "2026-11-22T12:00:00Z"), "9.00");
    let both = json!([band("SUNDAY", "00:00", "03:00", "3"), band("SATURDAY", "22:00", "06:00", "1")]);
    assert_eq!(price_at(both.clone(), "2026-11-22T02:00:00Z"), "3.00");
    assert_eq!(price_at(both, "2026-11-22T03:00:00Z"), "1.00");
}

#[test]
fn energy_is_billed_when_the_meter_saw_it() {
    let fields = json!({ "perKWh": "1", "timeZone": "UTC", "bands": [
        { "days": ["SATURDAY"], "from": "13:00", "to": "14:00", "perKWh": "2", "perMinute": "0" },
    ] });
    let told = |energy: &str, readings: &[(&str, &str)]| {
        lines(&billed(&fields, &usage("2026-11-21T12:00:00Z", "2026-11-21T14:00:00Z", energy, readings)))
    };
    // Evenly without readings, by them where they are.
    assert_eq!(told("10", &[]), ["Energy 5 kWh × 1 = 5.00", "Energy 5 kWh × 2 = 10.00"]);
    let most_early = [("2026-11-21T13:00:00Z", "9"), ("2026-11-21T14:00:00Z", "10")];
    assert_eq!(told("10", &most_early), ["Energy 9 kWh × 1 = 9.00", "Energy 1 kWh × 2 = 2.00"]);
    // What they lack flowed after them; what they have too much is scaled down.
    assert_eq!(told("10", &most_early[..1]), ["Energy 9 kWh × 1 = 9.00", "Energy 1 kWh × 2 = 2.00"]);
    assert_eq!(told("5", &most_early), ["Energy 4.5 kWh × 1 = 4.50", "Energy 0.5 kWh × 2 = 1.00"]);
    // A last reading at the end has no time left for what it lacks: all grow alike.
    assert_eq!(told("20", &most_early), ["Energy 18 kWh × 1 = 18.00", "Energy 2 kWh × 2 = 4.00"]);
    let nothing = [("2026-11-21T13:00:00Z", "0"), ("2026-11-21T14:00:00Z", "0")];
    assert_eq!(told("10", &nothing), ["Energy 5 kWh × 1 = 5.00", "Energy 5 kWh × 2 = 10.00"]);
    // In any order, outside the session, running back, below nothing.
    let odd = [
        ("2026-11-21T13:30:00Z", "4"),
        ("2026-11-21T11:00:00Z", "-3"),
        ("2026-11-21T13:00:00Z", "9"),
        ("2026-11-21T15:00:00Z", "10"),
    ];
    assert_eq!(told("10", &odd), ["Energy 9 kWh × 1 = 9.00", "Energy 1 kWh × 2 = 2.00"]);
}

#[test]
fn idle_time_begins_after_the_last_energy_and_the_grace() {
    let fields = json!({ "perMinute": "0.05", "idlePerMinute": "0.10", "idleGraceMinutes": 15 });
    let two_hours =
        |readings: &[(&str, &str)]| usage("2026-11-21T12:00:00Z", "2026-11-21T14:00:00Z", "10", readings);
    let full = [("2026-11-21T12:30:00Z", "10"), ("2026-11-21T13:59:00Z", "10")];
    assert_eq!(
        lines(&billed(&fields, &two_hours(&full))),
        [
            "Energy 10 kWh × 0 = 0.00",
            "Time at the connector 45 min × 0.05 = 2.25",
            "Idle time 75 min × 0.1 = 7.50"
        ]
    );
    // Without readings nobody knows, and without a price it does not matter.
    let time = ["Energy 10 kWh × 0 = 0.00", "Time at the connector 120 min × 0.05 = 6.00"];
    assert_eq!(lines(&billed(&fields, &two_hours(&[]))), time);
    assert_eq!(lines(&billed(&json!({ "perMinute": "0.05" }), &two_hours(&full))), time);
    // A trickle of 60 W, and the rest of a watt-hour that the meter tells at the end, are no charging.
    let trickle = [("2026-11-21T12:30:00Z", "9.94"), ("2026-11-21T13:30:00Z", "9.9995")];
    assert_eq!(lines(&billed(&fields, &two_hours(&trickle)))[2], "Idle time 75 min × 0.1 = 7.50");
    // What the last reading lacks flowed until the end.
    let charging = [("2026-11-21T12:30:00Z", "5")];
    assert_eq!(lines(&billed(&fields, &two_hours(&charging))), time);
    // Nothing ever flowed.
    let never = Usage { energy: kwh("0"), ..two_hours(&[("2026-11-21T13:00:00Z", "0")]) };
    assert_eq!(lines(&billed(&fields, &never))[1], "Idle time 105 min × 0.1 = 10.50");
    // A grace beyond the end.
    let patient = json!({ "perMinute": "0.05", "idlePerMinute": "0.10", "idleGraceMinutes": 90 });
    assert_eq!(lines(&billed(&patient, &two_hours(&full))), time);
}

#[test]
fn a_session_costs_the_minimum_if_anything() {
    let fields = json!({ "perKWh": "0.333333", "minimum": "1" });
    let price = billed(&fields, &an_hour("1"));
    assert_eq!(
        lines(&price),
        ["Energy 1 kWh × 0.333333 = 0.33", "Up to the minimum 1 session × 0.67 = 0.67"]
    );
    assert_eq!(price.gross.to_string(), "1.00 EUR");
    assert_eq!(billed(&fields, &an_hour("0")).gross.to_string(), "0.00 EUR");
    assert_eq!(lines(&billed(&fields, &an_hour("4"))), ["Energy 4 kWh × 0.333333 = 1.33"]);
}

#[test]
fn a_flat_rate_covers_energy_while_it_lasts_and_asks_for_nothing_else() {
    let left = |kwh: &str| -> Coverage {
        serde_json::from_value(json!({
            "periodId": "018f4c6e-0000-7000-8000-000000000001", "planId": "018f4c6e-0000-7000-8000-000000000002",
            "planName": "JUCR Flat", "currency": "EUR", "perKwhBeyond": "0.39", "vatRate": "0.19", "remainingKwh": kwh,
        }))
        .unwrap()
    };
    let billed =
        |remaining: &str, energy: &str| price(&Basis::Plan(&left(remaining)), &an_hour(energy)).unwrap();
    let within = billed("100", "22.4");
    assert_eq!(lines(&within), ["Energy within the fair use of JUCR Flat 22.4 kWh × 0 = 0.00"]);
    assert_eq!((within.covered, within.vat.to_string()), (kwh("22.4"), "0.00 EUR".into()));
    let partly = billed("10.4", "22.4");
    assert_eq!(
        lines(&partly),
        [
            "Energy within the fair use of JUCR Flat 10.4 kWh × 0 = 0.00",
            "Energy beyond the fair use of JUCR Flat 12 kWh × 0.39 = 4.68",
        ]
    );
    assert_eq!((partly.covered, partly.net.to_string()), (kwh("10.4"), "3.93 EUR".into()));
    let used_up = billed("-3", "1");
    assert_eq!(lines(&used_up), ["Energy beyond the fair use of JUCR Flat 1 kWh × 0.39 = 0.39"]);
    assert_eq!(used_up.covered, kwh("0"));
    assert_eq!(billed("5", "0").lines.len(), 1);
}

#[test]
fn clocks_that_went_back_and_energy_below_nothing_cost_nothing() {
    let fields = json!({ "perMinute": "1", "perKWh": "1" });
    let back = usage("2026-11-21T12:00:00Z", "2026-11-21T11:00:00Z", "-5", &[]);
    assert_eq!(billed(&fields, &back).gross.to_string(), "0.00 EUR");
}

#[test]
fn prices_beyond_what_an_invoice_holds_are_refused() {
    let overflow = |fields: &Value, usage: &Usage| {
        assert_eq!(
            price(&Basis::Tariff(&tariff(fields)), usage).unwrap_err(),
            MoneyError::Overflow,
            "{fields}"
        );
    };
    let most = Decimal::MAX.to_string();
    overflow(&json!({ "perKWh": most }), &an_hour("2"));
    overflow(&json!({ "perMinute": most }), &an_hour("0"));
    overflow(&json!({ "startFee": most }), &an_hour("0"));
    overflow(&json!({ "perKWh": "9999", "startFee": "9999999999" }), &an_hour("1"));
    overflow(&json!({ "perKWh": "1" }), &an_hour(&most));
    let odd_reading = Usage {
        readings: vec![Reading { at: at("2026-11-21T12:30:00Z"), energy: kwh(&most) }],
        ..an_hour("1")
    };
    assert_eq!(billed(&json!({ "perKWh": "1" }), &odd_reading).gross.to_string(), "1.00 EUR");
}

#[test]
fn times_of_day_and_zones_are_read_strictly() {
    for bad in ["24:00", "6:00", "06:00:00", "06.00", "-6:00", "", "aa:bb", "06:60"] {
        assert!(bad.parse::<LocalTime>().is_err(), "{bad}");
    }
    assert_eq!(String::from("06:05".parse::<LocalTime>().unwrap()), "06:05");
    assert!("Mars/Olympus".parse::<TimeZone>().is_err());
    assert_eq!(String::from("Europe/Berlin".parse::<TimeZone>().unwrap()), "Europe/Berlin");
}

#[test]
fn a_tariff_is_told_as_it_is_read() {
    let fields = json!({ "perKWh": "0.49", "bands": night() });
    let told = serde_json::to_value(tariff(&fields)).unwrap();
    assert_eq!(serde_json::from_value::<Tariff>(told.clone()).unwrap(), tariff(&fields));
    assert_eq!((&told["perKWh"], &told["bands"]), (&json!("0.49"), &night()));
}
