//! PostgreSQL's binary values as the text that it would write itself. `None` is a value that has not the form
//! its type promises.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Timelike};

const MICROSECONDS: i64 = 1_000_000;
/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in Unix time.
const EPOCH: i64 = 946_684_800;

fn array<const N: usize>(raw: &[u8]) -> Option<[u8; N]> {
    raw.try_into().ok()
}

pub(crate) fn long(raw: &[u8]) -> Option<i64> {
    match raw.len() {
        2 => array(raw).map(|bytes| i16::from_be_bytes(bytes).into()),
        4 => array(raw).map(|bytes| i32::from_be_bytes(bytes).into()),
        _ => array(raw).map(i64::from_be_bytes),
    }
}

/// A `real` is widened by way of its decimal text, so that 1.1 stays 1.1.
pub(crate) fn double(raw: &[u8]) -> Option<f64> {
    match raw.len() {
        4 => f32::from_be_bytes(array(raw)?).to_string().parse().ok(),
        _ => array(raw).map(f64::from_be_bytes),
    }
}

fn fraction(microseconds: u32) -> String {
    if microseconds == 0 {
        return String::new();
    }
    format!(".{microseconds:06}").trim_end_matches('0').to_owned()
}

/// `timestamp` as it is, `timestamptz` in UTC: the two have the same binary form.
pub(crate) fn timestamp(raw: &[u8]) -> Option<String> {
    let microseconds = i64::from_be_bytes(array(raw)?);
    match microseconds {
        i64::MAX => return Some("infinity".to_owned()),
        i64::MIN => return Some("-infinity".to_owned()),
        _ => {}
    }
    let seconds = microseconds.div_euclid(MICROSECONDS) + EPOCH;
    let rest = u32::try_from(microseconds.rem_euclid(MICROSECONDS)).ok()?;
    let moment = DateTime::from_timestamp(seconds, rest * 1000)?;
    Some(format!("{}{}", moment.format("%Y-%m-%d %H:%M:%S"), fraction(rest)))
}

pub(crate) fn date(raw: &[u8]) -> Option<String> {
    let days = i32::from_be_bytes(array(raw)?);
    match days {
        i32::MAX => return Some("infinity".to_owned()),
        i32::MIN => return Some("-infinity".to_owned()),
        _ => {}
    }
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    let distance = Days::new(days.unsigned_abs().into());
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    date.map(|date| date.format("%Y-%m-%d").to_string())
}

pub(crate) fn time(raw: &[u8]) -> Option<String> {
    let microseconds = i64::from_be_bytes(array(raw)?);
    if microseconds == 86_400 * MICROSECONDS {
        return Some("24:00:00".to_owned());
    }
    let seconds = u32::try_from(microseconds / MICROSECONDS).ok()?;
    let rest = u32::try_from(microseconds % MICROSECONDS).ok()?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0)?;
    Some(format!("{:02}:{:02}:{:02}{}", time.hour(), time.minute(), time.second(), fraction(rest)))
}

/// Base-10,000 digits, the first worth 10,000^weight, cut or padded to `scale` decimals.
pub(crate) fn numeric(raw: &[u8]) -> Option<String> {
    let mut words = raw.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign, scale) =
        (words.next()?, words.next()?.cast_signed(), words.next()?, words.next()?);
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let digits: Vec<u16> = words.collect();
    if digits.len() != usize::from(count) {
        return None;
    }
    let digit =
        |index: i32| usize::try_from(index).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    } else {
        text.push_str(&digit(0).to_string());
        for index in 1..=weight {
            text.push_str(&format!("{:04}", digit(index)));
        }
    }
    if scale > 0 {
        let groups = i32::from(scale.div_ceil(4));
        let decimals: String =
            (weight + 1..=weight + groups).map(|index| format!("{:04}", digit(index))).collect();
        text.push('.');
        text.push_str(decimals.get(..usize::from(scale))?);
    }
    Some(text)
}

/// `inet` and `cidr`: the prefix is written where it says something, and always for a network.
pub(crate) fn address(raw: &[u8]) -> Option<String> {
    let [_, prefix, is_network, _, octets @ ..] = raw else { return None };
    let (address, full) = match octets.len() {
        4 => (IpAddr::V4(Ipv4Addr::from(array::<4>(octets)?)), 32),
        _ => (IpAddr::V6(Ipv6Addr::from(array::<16>(octets)?)), 128),
    };
    let is_host = *is_network == 0 && *prefix == full;
    Some(if is_host { address.to_string() } else { format!("{address}/{prefix}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_of_the_wrong_length_is_refused() {
        assert_eq!(timestamp(&[0; 7]), None);
        assert_eq!(date(&[0; 8]), None);
        assert_eq!(long(&[0; 3]), None);
        assert_eq!(numeric(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(address(&[2, 32, 0, 4, 127, 0, 0]), None);
    }

    #[test]
    fn reals_keep_their_decimal_text() {
        assert_eq!(double(&1.1_f32.to_be_bytes()).unwrap().to_string(), "1.1");
    }

    #[test]
    fn midnight_at_the_end_of_a_day_is_24_hours() {
        assert_eq!(time(&(86_400 * MICROSECONDS).to_be_bytes()).unwrap(), "24:00:00");
    }
}
