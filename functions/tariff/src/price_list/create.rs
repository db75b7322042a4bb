//! A new tariff, by an operator's hand.

use serde::Deserialize;
use shared::{Caller, Currency, Database, Failure, Reason, Role, StationId, TariffId, Timestamp, Weekday};

use crate::input::{Minutes, Moment, Name, UnitPrice, VatRate};
use crate::price::{Band, LocalTime, Tariff, TimeZone};
use crate::store;

/// Each price, the 47 of the bands and the one beside them, may cost a line for energy and one for time; with the start
/// fee, the idle time and the minimum these are 2 * 48 + 3 = 99 lines, and an invoice has at most 100. And a page of
/// tariffs, 101 rows with the one ahead, stays below the 1 MiB of a Data API answer.
const MOST_BANDS: usize = 47;

/// Arguments of `Mutation.createTariff`.
#[derive(Debug, Deserialize)]
pub struct CreateTariff {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    station_id: Option<StationId>,
    operator: Option<Name>,
    currency: Currency,
    #[serde(rename = "perKWh")]
    per_kwh: UnitPrice,
    per_minute: Option<UnitPrice>,
    start_fee: Option<UnitPrice>,
    idle_per_minute: Option<UnitPrice>,
    idle_grace_minutes: Option<Minutes>,
    minimum: Option<UnitPrice>,
    booking_fee: Option<UnitPrice>,
    vat_rate: VatRate,
    time_zone: Option<TimeZone>,
    bands: Option<Vec<BandInput>>,
    valid_from: Option<Moment>,
    valid_to: Option<Moment>,
    reason: Reason,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BandInput {
    days: Vec<Weekday>,
    from: LocalTime,
    to: LocalTime,
    #[serde(rename = "perKWh")]
    per_kwh: UnitPrice,
    per_minute: Option<UnitPrice>,
}

/// What came of it.
#[derive(Debug, Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum CreateOutcome {
    Created { tariff: Box<Tariff> },
    Overlaps,
    NoStation,
}

/// Adds a tariff for a station, an operator's stations or all; no two of them for the same hold at the same time.
pub async fn create_tariff(
    database: &Database,
    caller: &Caller,
    CreateTariff { input }: CreateTariff,
) -> Result<Tariff, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let tariff = input.tariff(caller.at)?;
    match store::create_tariff(database, &tariff, operator, &input.reason, caller).await? {
        CreateOutcome::Created { tariff } => Ok(*tariff),
        CreateOutcome::NoStation => Err(Failure::NotFound("station")),
        CreateOutcome::Overlaps => Err(Failure::conflict(
            "TARIFF_OVERLAPS",
            "another tariff for the same holds in that time: end it first",
        )),
    }
}

impl Input {
    fn tariff(&self, now: Timestamp) -> Result<Tariff, Failure> {
        if self.station_id.is_some() && self.operator.is_some() {
            return Err(Failure::invalid("input.operator", "cannot be given beside a station"));
        }
        let valid_from = self.valid_from.map_or(now, |moment| moment.0);
        if valid_from < now {
            return Err(Failure::invalid("input.validFrom", "must not be in the past"));
        }
        let valid_to = self.valid_to.map(|moment| moment.0);
        if valid_to.is_some_and(|valid_to| valid_to <= valid_from) {
            return Err(Failure::invalid("input.validTo", "must be after the beginning"));
        }
        let booking_fee = self.booking_fee.unwrap_or_default().0;
        let digits = self.currency.minor_digits();
        // It is asked for alone: what is no coin cannot be paid.
        if booking_fee.normalize().scale() > digits {
            let message = format!("has more than the {digits} decimals of {}", self.currency);
            return Err(Failure::invalid("input.bookingFee", message));
        }
        let bands = self.bands.as_deref().unwrap_or_default();
        if bands.len() > MOST_BANDS {
            return Err(Failure::invalid("input.bands", format!("must be at most {MOST_BANDS} bands")));
        }
        if !bands.is_empty() && self.time_zone.is_none() {
            return Err(Failure::invalid("input.timeZone", "is needed for bands"));
        }
        let bands =
            bands.iter().enumerate().map(|(index, band)| band.band(index)).collect::<Result<_, _>>()?;
        Ok(Tariff {
            id: TariffId::new(),
            station_id: self.station_id,
            operator: self.operator.as_ref().map(|name| name.0.clone()),
            currency: self.currency,
            per_kwh: self.per_kwh.0,
            per_minute: self.per_minute.unwrap_or_default().0,
            start_fee: self.start_fee.unwrap_or_default().0,
            idle_per_minute: self.idle_per_minute.unwrap_or_default().0,
            idle_grace_minutes: self.idle_grace_minutes.unwrap_or_default().0,
            minimum: self.minimum.unwrap_or_default().0,
            booking_fee,
            vat_rate: self.vat_rate.0,
            time_zone: self.time_zone.unwrap_or(TimeZone::UTC),
            bands,
            valid_from,
            valid_to,
        })
    }
}

impl BandInput {
    fn band(&self, index: usize) -> Result<Band, Failure> {
        let mut days: Vec<Weekday> = Vec::new();
        for day in &self.days {
            if days.contains(day) {
                return Err(Failure::invalid(format!("input.bands[{index}].days"), "name a day twice"));
            }
            days.push(*day);
        }
        if days.is_empty() {
            return Err(Failure::invalid(format!("input.bands[{index}].days"), "must name a day"));
        }
        let per_minute = self.per_minute.unwrap_or_default().0;
        Ok(Band { days, from: self.from, to: self.to, per_kwh: self.per_kwh.0, per_minute })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::{Value, json};
    use shared::EnergyKwh;

    use super::*;
    use crate::price::{Basis, Reading, Usage, price};

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    /// The tariff of an input with these fields changed, or what is wrong with it.
    fn tariff(changes: &Value) -> Result<Tariff, String> {
        let mut input =
            json!({ "currency": "EUR", "perKWh": "0.49", "vatRate": "0.19", "reason": "New prices" });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let create: CreateTariff =
            shared::read_fields(json!({ "input": input })).map_err(|bad| bad.to_string())?;
        create.input.tariff(now()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_left_out_costs_nothing_and_holds_from_now_on() {
        let tariff = tariff(&json!({})).unwrap();
        assert_eq!(tariff.per_minute + tariff.start_fee + tariff.idle_per_minute + tariff.minimum, 0.into());
        assert_eq!(tariff.booking_fee, 0.into());
        assert_eq!((tariff.valid_from, tariff.valid_to), (now(), None));
        assert_eq!((tariff.station_id, tariff.operator), (None, None));
    }

    #[test]
    fn a_session_over_all_bands_fits_on_an_invoice() {
        let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
        let time = |half_hours: usize| format!("{:02}:{:02}", half_hours / 2, half_hours % 2 * 30);
        let bands = (0..MOST_BANDS).map(|n| {
            json!({ "days": days, "from": time(n), "to": time(n + 1), "perKWh": format!("0.1{n:02}"),
                    "perMinute": format!("0.2{n:02}") })
        });
        let tariff = tariff(&json!({
            "timeZone": "UTC", "bands": bands.collect::<Vec<_>>(), "perKWh": "0.49", "perMinute": "0.05",
            "startFee": "0.35", "idlePerMinute": "0.1", "minimum": "9999",
        }));
        // A day of charging, and an hour of none.
        let energy = EnergyKwh(24.into());
        let usage = Usage {
            started_at: "2026-11-22T00:00:00Z".parse().unwrap(),
            ended_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            energy,
            readings: vec![Reading { at: "2026-11-23T00:00:00Z".parse().unwrap(), energy }],
        };
        let price = price(&Basis::Tariff(&tariff.unwrap()), &usage).unwrap();
        assert_eq!(price.lines.len(), 99);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let band = json!({ "days": ["MONDAY"], "from": "22:00", "to": "06:00", "perKWh": "0.29" });
        let with = |key: &str, value: Value| {
            let mut band = band.clone();
            band[key] = value;
            json!({ "timeZone": "Europe/Berlin", "bands": [band] })
        };
        for (field, changes) in [
            ("input.operator", json!({ "stationId": StationId::new(), "operator": "Ionity" })),
            ("input.operator", json!({ "operator": " " })),
            ("input.validFrom", json!({ "validFrom": "2026-11-21T11:59:59Z" })),
            ("input.validTo", json!({ "validTo": "2026-11-21T12:00:00Z" })),
            ("input.perKWh", json!({ "perKWh": "-0.1" })),
            ("input.perKWh", json!({ "perKWh": 0.49 })),
            ("input.bookingFee", json!({ "bookingFee": "2.505" })),
            ("input.bookingFee", json!({ "bookingFee": "2.5", "currency": "JPY" })),
            ("input.bookingFee", json!({ "bookingFee": "-1" })),
            ("input.vatRate", json!({ "vatRate": "19" })),
            ("input.currency", json!({ "currency": "euro" })),
            ("input.reason", json!({ "reason": "" })),
            ("input.timeZone", json!({ "timeZone": "Berlin" })),
            ("input.timeZone", json!({ "bands": [band] })),
            ("input.idleGraceMinutes", json!({ "idleGraceMinutes": -1 })),
            ("input.bands", json!({ "timeZone": "UTC", "bands": vec![band.clone(); 48] })),
            ("input.bands[0].days", with("days", json!([]))),
            ("input.bands[0].days", with("days", json!(["MONDAY", "MONDAY"]))),
            ("input.bands[0].days[0]", with("days", json!(["MON"]))),
            ("input.bands[0].from", with("from", json!("24:00"))),
            ("input.bands[0].to", with("to", json!("6:00"))),
        ] {
            let failure = tariff(&changes).unwrap_err();
            assert!(failure.starts_with(&format!("{field}: ")), "{changes}: {failure}");
        }
        assert!(tariff(&with("to", json!("22:00"))).is_ok());
        let too_many = tariff(&json!({ "timeZone": "UTC", "bands": vec![band.clone(); 48] })).unwrap_err();
        assert_eq!(too_many, "input.bands: must be at most 47 bands");
        assert!(tariff(&json!({ "timeZone": "UTC", "bands": vec![band; 47] })).is_ok());
    }
}
