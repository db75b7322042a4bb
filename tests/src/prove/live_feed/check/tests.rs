#![allow(clippy::unwrap_used)]
//! The judgement is worth something only if it can be a bad one.

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

const STATION: Uuid = Uuid::from_u128(1);
const CONNECTOR: Uuid = Uuid::from_u128(2);

/// One connector's changes at these seconds.
fn changes(seconds: &[i64]) -> Changes {
    let change = |second: &i64| Change {
        station: STATION,
        word: "FAULTED",
        updated_at: at(*second).timestamp(),
        told_at: at(*second),
        heard_at: None,
    };
    Changes::from([(CONNECTOR, seconds.iter().map(change).collect())])
}

/// What changed then, heard a second later.
fn heard(second: i64) -> Heard {
    Heard {
        at: at(second + 1),
        station: STATION,
        connector: CONNECTOR,
        word: "FAULTED".to_owned(),
        updated_at: at(second).timestamp(),
    }
}

fn stay(subscribed: i64, leaving: Option<i64>) -> Stay {
    Stay {
        station: STATION,
        asked: at(subscribed),
        subscribed: at(subscribed),
        leaving: leaving.map(at),
        gone: leaving.map(at),
    }
}

/// A client who was there all the time, and heard that.
fn steady(seconds: &[i64]) -> Vec<Visit> {
    vec![Visit { stays: vec![stay(0, None)], heard: seconds.iter().map(|second| heard(*second)).collect() }]
}

fn judged(clients: &[Vec<Visit>]) -> Result<Told> {
    all_and_only(changes(&[10, 20, 30]), clients)
}

#[test]
fn all_in_order_is_good_and_an_overtaken_one_may_be_missing() {
    let told = judged(&[steady(&[10, 20, 30]), steady(&[10, 20, 30])]).unwrap();
    assert_eq!((told.updates, told.due, told.in_flight, told.overtaken), (3, 6, 0, 0));
    let told = judged(&[steady(&[10, 30]), steady(&[10, 30])]).unwrap();
    assert_eq!((told.due, told.overtaken), (4, 1));
}

#[test]
fn nothing_else_is() {
    let all = || steady(&[10, 20, 30]);
    for (wrong, client) in [
        ("one is missing", steady(&[10, 30])),
        ("the last is missing", steady(&[10, 20])),
        ("one comes twice", steady(&[10, 20, 20, 30])),
        ("one comes late", steady(&[20, 10, 30])),
        ("one never was", steady(&[10, 20, 25, 30])),
    ] {
        assert!(judged(&[all(), client]).is_err(), "{wrong}");
    }
    assert!(judged(&[steady(&[10, 20])]).is_err(), "nobody heard the newest");
    let mut other = all();
    other[0].heard[1].word = "AVAILABLE".to_owned();
    assert!(judged(&[all(), other]).is_err(), "another word");
    let mut other = all();
    other[0].stays[0].station = Uuid::nil();
    assert!(judged(&[all(), other]).is_err(), "of a station that was not asked for");
}

#[test]
fn who_comes_and_goes_hears_what_falls_between() {
    let visit = |stay: Stay, seconds: &[i64]| {
        vec![Visit { stays: vec![stay], heard: seconds.iter().map(|second| heard(*second)).collect() }]
    };
    let all = || steady(&[10, 20, 30]);
    // The first was told to the end before the second was, at 21.
    assert_eq!(judged(&[all(), visit(stay(5, Some(25)), &[10])]).unwrap().due, 4);
    assert_eq!(judged(&[all(), visit(stay(5, Some(25)), &[10, 20])]).unwrap().in_flight, 1);
    assert!(judged(&[all(), visit(stay(5, Some(25)), &[])]).is_err(), "it was there");
    assert!(judged(&[all(), visit(stay(5, Some(25)), &[10, 20, 30])]).is_err(), "it had gone");
    assert!(judged(&[all(), visit(stay(25, None), &[])]).is_err(), "it had come");
    assert!(judged(&[all(), visit(stay(25, None), &[10, 30])]).is_err(), "it had not come");
    assert_eq!(judged(&[all(), visit(stay(25, None), &[30])]).unwrap().due, 4);
}
