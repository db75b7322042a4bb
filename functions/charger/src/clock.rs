//! Which time a report counts by: the charger's, unless its clock cannot be right.

use chrono::{DateTime, SubsecRound, TimeDelta};
use ocpp_kit::types::DateTime as OcppDateTime;
use shared::Timestamp;

/// How far a charger's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// 2010, in Unix seconds, which is before OCPP: earlier is the time of a clock that was never set.
const UNSET: i64 = 1_262_304_000;

/// When something happened that a charger says happened at `reported`. Past moments stand, however late they are told;
/// moments more than five minutes ahead of us, and those of a clock that was never set (before 2010), become the
/// moment of receipt.
pub(crate) fn charger_time(reported: OcppDateTime, received_at: Timestamp) -> Timestamp {
    believed(reported, received_at).unwrap_or(received_at)
}

/// The same to the millisecond, but none where [`charger_time`] is the moment of receipt.
pub(crate) fn told_time(reported: OcppDateTime, received_at: Timestamp) -> Option<Timestamp> {
    believed(reported, received_at).map(|at| at.trunc_subsecs(3))
}

fn believed(reported: OcppDateTime, received_at: Timestamp) -> Option<Timestamp> {
    let reported = DateTime::from_timestamp_micros(reported.timestamp().as_microsecond());
    reported.filter(|at| at.timestamp() >= UNSET && *at <= received_at + AHEAD)
}

/// Our time, for a charger to set its clock by.
pub(crate) fn ocpp_time(at: Timestamp) -> OcppDateTime {
    let text = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    OcppDateTime::parse(&text).unwrap_or(OcppDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn counted(reported: &str) -> Timestamp {
        charger_time(OcppDateTime::parse(reported).unwrap(), at("2026-02-21T14:00:00Z"))
    }

    #[test]
    fn checklist_28_a_past_moment_stands() {
        assert_eq!(counted("2026-02-20T03:00:00.5+02:00"), at("2026-02-20T01:00:00.5Z"));
        assert_eq!(counted("2024-01-01T00:00:00Z"), at("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn checklist_28_a_clock_that_runs_ahead_or_was_never_set_gives_way_to_ours() {
        assert_eq!(counted("2026-02-21T14:04:59Z"), at("2026-02-21T14:04:59Z"));
        assert_eq!(counted("2026-02-21T14:05:01Z"), at("2026-02-21T14:00:00Z"));
        assert_eq!(counted("1970-01-01T00:00:07Z"), at("2026-02-21T14:00:00Z"));
    }

    #[test]
    fn our_time_is_utc_to_the_millisecond() {
        assert_eq!(ocpp_time(at("2026-02-21T15:00:00.123456+01:00")).to_string(), "2026-02-21T14:00:00.123Z");
    }
}
