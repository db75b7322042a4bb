#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Overlap, SigningSecret};

/// The vector that Standard Webhooks' own libraries are tested with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIME: &str = "1614265330";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_614_265_330 + seconds, 0).unwrap()
}

fn key(secret: &str) -> Key {
    Key { secret: SigningSecret::try_from(secret.to_owned()).unwrap(), ..Key::new(at(0)) }
}

fn check(signature: &str, keys: &[Key], now: Timestamp) -> Result<bool, String> {
    let signed = Signed::read(Some(ID), Some(TIME), Some(signature), BODY, now);
    signed.map(|signed| signed.is_by(keys, now)).map_err(|failure| failure.to_string())
}

fn signed_with(key: &Key, id: &str, time: &str, body: &[u8]) -> String {
    format!("v1,{}", STANDARD.encode(sign(id, time, body, key.secret.bytes())))
}

#[test]
fn the_signature_is_what_the_reference_makes_of_the_same() {
    assert_eq!(signed_with(&key(SECRET), ID, TIME, BODY), SIGNATURE);
    assert_eq!(check(SIGNATURE, &[key(SECRET)], at(0)), Ok(true));
    // As openssl has it, of another secret, id and body:
    // printf 'msg_1.1771684260.{}' | openssl dgst -sha256 -hmac '0123456789abcdef01234567' -binary | base64
    let other = key("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3");
    assert_eq!(signed_with(&other, "msg_1", "1771684260", b"{}"), OF_OPENSSL);
}

const OF_OPENSSL: &str = "v1,bojAU0Q1xddLrcO0Oln5YeJECOhp5AfzCStA6tBs6qg=";

#[test]
fn any_of_several_signatures_and_either_of_two_keys_will_do() {
    let (old, new, strange) = (key(SECRET), Key::new(at(0)), Key::new(at(0)));
    let by = |key: &Key| signed_with(key, ID, TIME, BODY);
    for signatures in [
        by(&old),
        by(&new),
        format!("{} {}", by(&strange), by(&new)),
        format!("v1a,abcd v2,{} {}", &SIGNATURE[3..], by(&old)),
        format!("v1,not-base64 {}", by(&old)),
        format!("{}  {}", by(&old), by(&old)),
    ] {
        assert_eq!(check(&signatures, &[old.clone(), new.clone()], at(0)), Ok(true), "{signatures}");
    }
    assert_eq!(check(&by(&strange), &[old, new], at(0)), Ok(false));
    assert_eq!(check(SIGNATURE, &[], at(0)), Ok(false));
}

#[test]
fn a_key_is_good_until_it_expires() {
    let keys = crate::Keys::only(&key(SECRET), 1);
    let keys = keys.rotated(&Key::new(at(0)), Overlap::try_from(0).unwrap(), at(0)).unwrap();
    assert_eq!(check(SIGNATURE, &keys.keys, at(0)), Ok(false));
    let expiring = Key { expires_at: Some(at(1)), ..key(SECRET) };
    assert_eq!(check(SIGNATURE, std::slice::from_ref(&expiring), at(0)), Ok(true));
    assert_eq!(check(SIGNATURE, &[expiring], at(1)), Ok(false));
}

#[test]
fn five_minutes_either_way_are_enough() {
    for (seconds, good) in [(-301, false), (-300, true), (300, true), (301, false)] {
        assert_eq!(check(SIGNATURE, &[key(SECRET)], at(seconds)).is_ok(), good, "{seconds}");
    }
}

#[test]
fn anything_else_is_not_signed() {
    let many = [SIGNATURE; 17].join(" ");
    let long = "v1a,x ".repeat(400) + SIGNATURE;
    for signature in
        ["", "v1", "v1,", "v1,AAAA", &SIGNATURE[3..], &SIGNATURE.replace("v1,", "v1a,"), &many, &long]
    {
        assert_eq!(check(signature, &[key(SECRET)], at(0)), Err(UNSIGNED.to_string()), "{signature}");
    }
    for time in ["", "x", "-1614265330", "+1614265330", " 1614265330", "1614265330.0", "99999999999999999999"]
    {
        let read = Signed::read(Some(ID), Some(time), Some(SIGNATURE), BODY, at(0));
        assert_eq!(read.err().unwrap().error_type(), "Unauthenticated", "{time}");
    }
    for missing in 0..3 {
        let some = |place: usize, text| (place != missing).then_some(text);
        let read = Signed::read(some(0, ID), some(1, TIME), some(2, SIGNATURE), BODY, at(0));
        assert!(read.is_err(), "{missing}");
    }
}

/// With a point in it, an id could take over a part of what stands behind it.
#[test]
fn an_id_has_no_point_and_fits_into_a_column() {
    for id in ["", "msg.1", "msg 1", "msg_é", &"m".repeat(101), "4242424242424242"] {
        let read = Signed::read(Some(id), Some(TIME), Some(SIGNATURE), BODY, at(0));
        assert!(matches!(read.err(), Some(Failure::Invalid { field, .. }) if field == "webhook-id"), "{id}");
    }
}

proptest! {
    #[test]
    fn what_was_touched_is_refused(byte in 0usize..20, bit in 0u8..8, what in 0usize..3) {
        let touch = |text: &[u8]| {
            let mut text = text.to_vec();
            let place = byte % text.len();
            text[place] ^= 1 << bit;
            text
        };
        let (mut id, mut time, mut body) = (ID.to_owned(), TIME.to_owned(), BODY.to_vec());
        match what {
            0 => id = String::from_utf8_lossy(&touch(ID.as_bytes())).into_owned(),
            1 => time = String::from_utf8_lossy(&touch(TIME.as_bytes())).into_owned(),
            _ => body = touch(BODY),
        }
        let signed = Signed::read(Some(&id), Some(&time), Some(SIGNATURE), &body, at(0));
        prop_assert!(!signed.is_ok_and(|signed| signed.is_by(&[key(SECRET)], at(0))));
    }

    #[test]
    fn no_header_makes_it_panic(id in ".{0,120}", time in "[0-9]{0,25}", signature in ".{0,200}") {
        let _ = Signed::read(Some(&id), Some(&time), Some(&signature), BODY, at(0));
    }
}
