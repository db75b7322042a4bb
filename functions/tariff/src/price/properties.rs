//! What holds for every tariff and every session.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::TimeDelta;
use proptest::prelude::*;
use rust_decimal::Decimal;
use shared::{EnergyKwh, Money, StationId, TariffId, Timestamp, Weekday};
use uuid::Uuid;

use super::band::edges;
use super::bill::by_tariff;
use super::profile::Profile;
use super::{Band, Basis, LocalTime, Price, Reading, Tariff, TimeZone, Unit, Usage, model, price};

/// What divisions may leave of a sum of prices.
fn trace() -> Decimal {
    Decimal::new(1, 12)
}

fn days() -> impl Strategy<Value = Vec<Weekday>> {
    proptest::sample::subsequence(Weekday::ALL.to_vec(), 1..=7)
}

fn unit_price() -> impl Strategy<Value = Decimal> {
    prop_oneof![1 => Just(Decimal::ZERO), 4 => (0i64..2_000_000).prop_map(|micros| Decimal::new(micros, 6))]
}

fn local_time() -> impl Strategy<Value = LocalTime> {
    // Often around the hours that are skipped or shown twice.
    prop_oneof![0u32..1440, 100u32..200]
        .prop_map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60).parse().unwrap())
}

prop_compose! {
    fn band()(days in days(), from in local_time(), to in local_time(), per_kwh in unit_price(),
              per_minute in unit_price()) -> Band {
        Band { days, from, to, per_kwh, per_minute }
    }
}

prop_compose! {
    fn tariff()(
        per_kwh in unit_price(), per_minute in unit_price(), start_fee in unit_price(), minimum in unit_price(),
        idle_per_minute in unit_price(), idle_grace_minutes in 0u32..60, vat in 0i64..3000,
        currency in prop_oneof![Just("EUR"), Just("JPY"), Just("KWD")],
        zone in prop_oneof![
            3 => Just("Europe/Berlin"), 1 => Just("UTC"), 1 => Just("Australia/Lord_Howe"), 1 => Just("Asia/Kathmandu"),
            1 => Just("America/New_York"), 1 => Just("America/Santiago"),
        ],
        bands in proptest::collection::vec(band(), 0..4),
    ) -> Tariff {
        Tariff {
            id: TariffId::from(Uuid::nil()),
            station_id: None::<StationId>,
            operator: None,
            currency: currency.parse().unwrap(),
            per_kwh,
            per_minute,
            start_fee,
            idle_per_minute,
            idle_grace_minutes,
            minimum: minimum * Decimal::TEN,
            booking_fee: Decimal::ZERO,
            vat_rate: Decimal::new(vat, 4),
            time_zone: zone.parse::<TimeZone>().unwrap(),
            bands,
            valid_from: Timestamp::UNIX_EPOCH,
            valid_to: None,
        }
    }
}

/// A whole minute, mostly around the nights in which clocks change.
fn start() -> impl Strategy<Value = Timestamp> {
    let day = prop_oneof![
        2 => Just("2026-03-28T12:00:00Z"), 2 => Just("2026-10-24T12:00:00Z"), 1 => Just("2026-04-04T06:00:00Z"),
        1 => Just("2026-10-03T06:00:00Z"), 1 => Just("2026-09-05T12:00:00Z"), 1 => Just("2026-11-01T00:00:00Z"), 1 => Just("2026-06-30T00:00:00Z"),
    ];
    (day, 0i64..1440).prop_map(|(day, minute)| day.parse::<Timestamp>().unwrap() + TimeDelta::minutes(minute))
}

prop_compose! {
    /// Without readings.
    fn plain_usage()(started_at in start(), millis in 0i64..100_000_000, energy in 0i64..1_000_000) -> Usage {
        let ended_at = started_at + TimeDelta::milliseconds(millis);
        Usage { started_at, ended_at, energy: EnergyKwh(Decimal::new(energy, 4)), readings: Vec::new() }
    }
}

prop_compose! {
    /// At whole minutes, in order, ending with all of the energy; the meter stands still or grows as a car charges.
    fn metered_usage()(
        started_at in start(),
        stretches in proptest::collection::vec((1i64..90, prop_oneof![Just(0i64), 5_000i64..200_000]), 1..10),
        idle in 0i64..300,
    ) -> Usage {
        let (mut at, mut energy, mut readings) = (started_at, Decimal::ZERO, Vec::new());
        for (minutes, grown) in stretches {
            at += TimeDelta::minutes(minutes);
            energy += Decimal::new(grown, 4);
            readings.push(Reading { at, energy: EnergyKwh(energy) });
        }
        Usage { started_at, ended_at: at + TimeDelta::minutes(idle), energy: EnergyKwh(energy), readings }
    }
}

prop_compose! {
    /// Readings of any kind: out of order, outside the session, beyond its energy or below nothing.
    fn odd_usage()(
        usage in plain_usage(),
        readings in proptest::collection::vec((-10_000_000i64..110_000_000, -1_000i64..2_000_000), 0..12),
    ) -> Usage {
        let readings = readings.into_iter().map(|(millis, energy)| Reading {
            at: usage.started_at + TimeDelta::milliseconds(millis),
            energy: EnergyKwh(Decimal::new(energy, 4)),
        });
        Usage { readings: readings.collect(), ..usage }
    }
}

fn billed(tariff: &Tariff, usage: &Usage) -> Price {
    price(&Basis::Tariff(tariff), usage).unwrap()
}

fn gross(tariff: &Tariff, usage: &Usage) -> Decimal {
    billed(tariff, usage).gross.amount()
}

/// Before any rounding.
fn exactly(tariff: &Tariff, usage: &Usage) -> Decimal {
    by_tariff(tariff, usage).unwrap().iter().map(|item| item.amount).sum()
}

/// What every instant costs for itself, without what is due once or depends on all of a session.
fn by_the_instant(tariff: Tariff) -> Tariff {
    let zero = Decimal::ZERO;
    Tariff { start_fee: zero, minimum: zero, idle_per_minute: zero, ..tariff }
}

/// A session as two, the energy divided as it flowed.
fn split(usage: &Usage, millis: i64) -> (Usage, Usage) {
    let at = Timestamp::from_timestamp_millis(millis).unwrap();
    let points = Profile::of(usage).unwrap().points;
    let after = points.iter().position(|point| point.at > millis).unwrap();
    let (from, to) = (points[after - 1], points[after]);
    let grown = (to.energy - from.energy) * Decimal::from(millis - from.at) / Decimal::from(to.at - from.at);
    let flowed = from.energy + grown;
    let (earlier, later): (Vec<Reading>, Vec<Reading>) =
        usage.readings.iter().partition(|reading| reading.at <= at);
    let later =
        later.into_iter().map(|reading| Reading { energy: EnergyKwh(reading.energy.0 - flowed), ..reading });
    (
        Usage { ended_at: at, energy: EnergyKwh(flowed), readings: earlier, ..*usage },
        Usage {
            started_at: at,
            energy: EnergyKwh(usage.energy.0 - flowed),
            readings: later.collect(),
            ..*usage
        },
    )
}

fn check_split(tariff: &Tariff, usage: &Usage, millis: i64) -> Result<(), TestCaseError> {
    let (earlier, later) = split(usage, millis);
    let parts = exactly(tariff, &earlier) + exactly(tariff, &later);
    let whole = exactly(tariff, usage);
    prop_assert!((parts - whole).abs() <= trace(), "{parts} {whole}");
    // Three roundings, half a coin each.
    let coin = Decimal::new(1, tariff.currency.minor_digits());
    let rounded = gross(tariff, &earlier) + gross(tariff, &later) - gross(tariff, usage);
    prop_assert!(rounded.abs() <= coin + coin / Decimal::TWO);
    Ok(())
}

proptest! {
    #[test]
    fn lines_add_up_to_the_rounded_total_and_to_the_energy(tariff in tariff(), usage in odd_usage()) {
        let bill = billed(&tariff, &usage);
        let items = by_tariff(&tariff, &usage).unwrap();
        let exact: Decimal = items.iter().map(|item| item.amount).sum();
        prop_assert_eq!(bill.gross, Money::new(exact, tariff.currency).rounded());
        prop_assert_eq!(bill.gross.amount(), bill.lines.iter().map(|line| line.amount.amount()).sum::<Decimal>());
        prop_assert_eq!(bill.net.amount() + bill.vat.amount(), bill.gross.amount());
        prop_assert!(bill.vat.amount() >= Decimal::ZERO && bill.net.amount() >= Decimal::ZERO);

        let digits = tariff.currency.minor_digits();
        for (line, item) in bill.lines.iter().zip(&items) {
            prop_assert!(line.amount.amount() >= Decimal::ZERO && line.quantity >= Decimal::ZERO);
            prop_assert_eq!(line.amount.amount().scale(), digits);
            prop_assert!((line.amount.amount() - item.amount).abs() < Decimal::new(1, digits));
        }
        let energy: Decimal =
            bill.lines.iter().filter(|line| line.unit == Unit::Kwh).map(|line| line.quantity).sum();
        prop_assert_eq!(energy, usage.energy.0);
        prop_assert!(!bill.lines.is_empty() && bill.covered == EnergyKwh::default());
    }

    #[test]
    fn more_energy_never_costs_less(tariff in tariff(), usage in plain_usage(), more in 0i64..1_000_000) {
        let longer = Usage { energy: EnergyKwh(usage.energy.0 + Decimal::new(more, 4)), ..usage.clone() };
        prop_assert!(gross(&tariff, &longer) >= gross(&tariff, &usage));
    }

    #[test]
    fn more_energy_that_flows_alike_never_costs_less(
        tariff in tariff(), usage in metered_usage(), percent in 100i64..500,
    ) {
        let more = |energy: EnergyKwh| EnergyKwh(energy.0 * Decimal::new(percent, 2));
        let readings = usage.readings.iter().map(|reading| Reading { energy: more(reading.energy), ..*reading });
        let longer = Usage { energy: more(usage.energy), readings: readings.collect(), ..usage.clone() };
        prop_assert!(gross(&tariff, &longer) >= gross(&tariff, &usage));
    }

    #[test]
    fn more_time_never_costs_less_if_energy_costs_the_same_at_all_times(
        tariff in tariff(), usage in plain_usage(), more in 0i64..100_000_000,
    ) {
        let bands = tariff.bands.iter().map(|band| Band { per_kwh: tariff.per_kwh, ..band.clone() }).collect();
        let tariff = Tariff { bands, ..tariff };
        let longer = Usage { ended_at: usage.ended_at + TimeDelta::milliseconds(more), ..usage.clone() };
        prop_assert!(gross(&tariff, &longer) >= gross(&tariff, &usage));
    }

    #[test]
    fn more_time_never_costs_less_if_energy_flows_when_it_flowed(
        tariff in tariff(), usage in metered_usage(), more in 0i64..100_000_000,
    ) {
        let longer = Usage { ended_at: usage.ended_at + TimeDelta::milliseconds(more), ..usage.clone() };
        prop_assert!(gross(&tariff, &longer) >= gross(&tariff, &usage));
    }

    #[test]
    fn splitting_a_session_at_any_instant_changes_nothing_but_rounding(
        tariff in tariff(), usage in prop_oneof![plain_usage(), metered_usage()], part in 0i64..1000,
    ) {
        let (start, end) = (usage.started_at.timestamp_millis(), usage.ended_at.timestamp_millis());
        prop_assume!(start < end);
        check_split(&by_the_instant(tariff), &usage, start + (end - 1 - start) * part / 1000)?;
    }

    #[test]
    fn splitting_a_session_at_a_band_edge_changes_nothing_but_rounding(
        tariff in tariff(), usage in prop_oneof![plain_usage(), metered_usage()],
    ) {
        let (start, end) = (usage.started_at.timestamp_millis(), usage.ended_at.timestamp_millis());
        let tariff = by_the_instant(tariff);
        for edge in edges(&tariff.bands, tariff.time_zone, start, end) {
            check_split(&tariff, &usage, edge)?;
        }
    }

    #[test]
    fn a_minute_by_minute_reckoning_comes_to_the_same(
        tariff in tariff(), usage in prop_oneof![plain_usage(), metered_usage()], minutes in 0i64..3000,
        lacking in prop_oneof![Just(0i64), 5_000i64..200_000],
    ) {
        let mut usage = usage;
        if usage.readings.is_empty() {
            usage.ended_at = usage.started_at + TimeDelta::minutes(minutes);
        } else if usage.ended_at > usage.readings.last().unwrap().at {
            // What the last reading lacks is enough for a car to charge until the end.
            let rest = usage.ended_at - usage.readings.last().unwrap().at;
            let least = Decimal::from(rest.num_minutes()) / Decimal::from(600);
            usage.energy.0 += if lacking > 0 { Decimal::new(lacking, 4).max(least.round_dp(4) + Decimal::new(1, 3)) } else { Decimal::ZERO };
        }
        // The model has no instant that lasts no time.
        prop_assume!(usage.ended_at > usage.started_at);
        let tariff = Tariff { minimum: Decimal::ZERO, ..tariff };
        let (fast, slow) = (exactly(&tariff, &usage), model::total(&tariff, &usage));
        prop_assert!((fast - slow).abs() <= trace(), "{fast} {slow}");
    }

    #[test]
    fn what_is_due_once_is_all_that_no_energy_in_no_time_costs(tariff in tariff(), start in start()) {
        let nothing = Usage { started_at: start, ended_at: start, energy: EnergyKwh::default(), readings: Vec::new() };
        let due = if tariff.start_fee.is_zero() { Decimal::ZERO } else { tariff.start_fee.max(tariff.minimum) };
        prop_assert_eq!(billed(&tariff, &nothing).gross, Money::new(due, tariff.currency).rounded());
    }
}
