//! Whenever the runs come, a signature of today is one that everybody can check, for as long as it is good.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::access_token::{LEEWAY_SECONDS, LIFETIME};
use crate::keys::{MAX_AGE, SigningKey, VerifyingKey};

fn moment(minutes: i64) -> Timestamp {
    Timestamp::from_timestamp(1_770_000_000 + 60 * minutes, 0).unwrap()
}

/// As the foundation makes them.
fn first() -> (Signing, Verifying) {
    let key = PrivateKey::generate().unwrap();
    let public = PublicKey { published_at: None, ..key.public(moment(0)).unwrap() };
    (Signing { key, since: None, next: None }, Verifying { keys: vec![public] })
}

/// The two secrets over time.
struct History {
    signing: Vec<(i64, Signing)>,
    verifying: Vec<(i64, Verifying)>,
}

impl History {
    fn new() -> Self {
        let (signing, verifying) = first();
        Self { signing: vec![(0, signing)], verifying: vec![(0, verifying)] }
    }

    fn run(&mut self, minute: i64, at_once: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            let (signing, verifying) =
                (self.signing.last().unwrap().1.clone(), self.verifying.last().unwrap().1.clone());
            let at_once = at_once && steps.is_empty();
            let Some(step) = due(&signing, &verifying, moment(0), moment(minute), at_once) else {
                return steps;
            };
            match take(step, signing, verifying, moment(minute)).unwrap() {
                Change::Signing(signing) => self.signing.push((minute, signing)),
                Change::Verifying(verifying) => self.verifying.push((minute, verifying)),
            }
            steps.push(step);
        }
    }

    fn kids(&self) -> (String, Vec<String>) {
        let keys = &self.verifying.last().unwrap().1.keys;
        (self.signing.last().unwrap().1.key.kid.clone(), keys.iter().map(|key| key.kid.clone()).collect())
    }

    /// Each key with the minutes in which somebody may sign with it, or show what was signed with it.
    fn in_use(&self) -> Vec<(&str, i64, i64)> {
        let kept = (MAX_AGE + LIFETIME + TimeDelta::seconds(LEEWAY_SECONDS)).num_minutes() + 1;
        let until = self.signing.iter().skip(1).map(|(minute, _)| *minute).chain([i64::MAX - kept]);
        self.signing
            .iter()
            .zip(until)
            .map(|((from, s), until)| (s.key.kid.as_str(), *from, until + kept))
            .collect()
    }

    /// Each state of the published keys with the minutes in which somebody may go by it.
    fn gone_by(&self) -> Vec<(&Verifying, i64, i64)> {
        let until = self.verifying.iter().skip(1).map(|(minute, _)| *minute).chain([i64::MAX - 60]);
        let kept = MAX_AGE.num_minutes() + 1;
        self.verifying.iter().zip(until).map(|((from, v), until)| (v, *from, until + kept)).collect()
    }
}

#[test]
fn a_rotation_takes_three_runs_and_then_rests_for_a_month() {
    let mut history = History::new();
    let (old, _) = history.kids();
    let month = INTERVAL.num_minutes();
    assert_eq!(history.run(month - 1, false), []);

    assert_eq!(history.run(month, false), [Step::Stage, Step::Publish]);
    let (signing, verifying) = history.kids();
    assert_eq!((&signing, verifying.len(), &verifying[0]), (&old, 2, &old));
    let new = verifying[1].clone();
    assert_eq!(history.run(month + 14, false), []);

    assert_eq!(history.run(month + 15, false), [Step::Switch]);
    assert_eq!(history.kids(), (new.clone(), verifying));
    assert_eq!(history.run(month + 74, false), []);

    assert_eq!(history.run(month + 75, false), [Step::Retire]);
    assert_eq!(history.kids(), (new.clone(), vec![new]));
    assert_eq!(history.run(2 * month + 14, false), []);
    assert_eq!(history.run(2 * month + 15, false), [Step::Stage, Step::Publish]);
}

#[test]
fn asked_to_a_run_starts_early_and_hurries_nothing() {
    let mut history = History::new();
    assert_eq!(history.run(1, true), [Step::Stage, Step::Publish]);
    assert_eq!(history.run(2, true), []);
    assert_eq!(history.run(16, true), [Step::Switch]);
}

#[test]
fn a_run_that_was_killed_between_two_writes_is_finished_by_the_next() {
    let mut history = History::new();
    let (signing, verifying) = first();
    let Ok(Change::Signing(staged)) = take(Step::Stage, signing, verifying.clone(), moment(0)) else {
        panic!()
    };
    history.signing.push((0, staged));
    assert_eq!(history.run(600, false), [Step::Publish]);
    assert_eq!(history.run(615, false), [Step::Switch]);
}

#[test]
fn the_functions_read_what_a_rotation_writes() {
    let mut history = History::new();
    history.run(0, true);
    let signing = serde_json::to_value(&history.signing.last().unwrap().1).unwrap();
    let verifying = serde_json::to_value(&history.verifying.last().unwrap().1).unwrap();
    let keys = VerifyingKey::parse_all(&verifying.to_string()).unwrap();
    let key = SigningKey::parse(&signing.to_string()).unwrap();
    assert_eq!((&keys[0].kid, keys.len()), (&key.kid, 2));
    // The shape that README and foundation tell of stays what it was.
    assert_eq!(
        verifying["keys"][0],
        json!({ "kid": key.kid, "publicKey": verifying["keys"][0]["publicKey"] })
    );
    assert!(signing["privateKey"].is_string() && signing["next"]["privateKey"].is_string());
    let same: Signing = serde_json::from_value(signing).unwrap();
    assert_eq!(same, history.signing.last().unwrap().1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_good_token_is_ever_refused(runs in prop::collection::vec((1..90_i64, prop::bool::weighted(0.05)), 1..120)) {
        let mut history = History::new();
        let mut minute = 0;
        for (pause, at_once) in runs {
            minute += pause;
            history.run(minute, at_once);
        }
        for (kid, from, until) in history.in_use() {
            for (verifying, seen_from, seen_until) in history.gone_by() {
                let meet = from.max(seen_from) < until.min(seen_until);
                prop_assert!(!meet || verifying.keys.iter().any(|key| key.kid == kid));
            }
        }
    }
}
