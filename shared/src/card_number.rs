//! Telling a card's number where none may be. Numbers belong to the payment provider alone: what looks like one is
//! refused before it can reach a table, a queue or a log.

use serde_json::Value;
use uuid::Uuid;

use crate::Failure;

/// Kept as hashes alone, if at all, and never to be refused for what they happen to hold.
const SECRETS: [&str; 4] = ["password", "currentPassword", "newPassword", "refreshToken"];
/// What people write between the groups of a number.
const SEPARATORS: &str = "-._/\u{2010}\u{2011}\u{2013}";

/// Refuses arguments of which some text, at any depth, holds a card's number: [`Failure::Invalid`] names the field by
/// its path (`input.reason`), and repeats nothing of it. Secrets (`password`, `refreshToken`, …) and keys are not
/// looked at.
pub fn refuse_card_numbers(arguments: &Value) -> Result<(), Failure> {
    match path_to_card_number(arguments) {
        Some(path) => Err(Failure::invalid(path, "must not hold a card number")),
        None => Ok(()),
    }
}

/// As `serde_path_to_error` writes paths: `input.list[0].text`.
fn path_to_card_number(value: &Value) -> Option<String> {
    let found = |name: String, value| {
        let inner = path_to_card_number(value)?;
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        Some(format!("{name}{dot}{inner}"))
    };
    match value {
        Value::String(text) => holds_card_number(text).then(String::new),
        Value::Array(list) => {
            list.iter().enumerate().find_map(|(index, value)| found(format!("[{index}]"), value))
        }
        Value::Object(fields) => {
            let mut fields = fields.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
            fields.find_map(|(name, value)| found(name.clone(), value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Whether `text` has 13 to 19 digits that pass for a card's number (ISO/IEC 7812): written without a break, or in
/// groups with a space or one of `-._/` between them, of a length and a beginning that schemes use, and with the right
/// check digit. UUIDs, hashes, decimals and moments in milliseconds are none.
pub fn holds_card_number(text: &str) -> bool {
    let is_decimal = is_decimal(text);
    // Runs of digits that belong together, each a list of groups.
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let (mut separators, mut is_in_word) = (0, false);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let id = if is_in_word { None } else { id_length(rest) };
        rest = &rest[id.unwrap_or(character.len_utf8())..];
        is_in_word = id.is_some() || character.is_ascii_alphanumeric();
        if let (None, Some(digit)) = (id, character.to_digit(10)) {
            match groups.last_mut() {
                Some(group) if separators == 0 => group.push(digit),
                _ => groups.push(vec![digit]),
            }
            separators = 0;
        } else if separators == 0 && !groups.is_empty() && is_separator(character) && !is_decimal {
            separators = 1;
        } else if is_card(&std::mem::take(&mut groups)) {
            return true;
        } else {
            separators = 0;
        }
    }
    is_card(&groups)
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || SEPARATORS.contains(character)
}

/// `-12.50`: its point joins no groups.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix('-').unwrap_or(text).split_once('.');
    parts.is_some_and(|(whole, fraction)| digits(whole) && digits(fraction))
}

/// The length of the UUID or the hexadecimal hash that `text` begins with, as a word of its own.
fn id_length(text: &str) -> Option<usize> {
    let ends = |at: usize| !text[at..].starts_with(|next: char| next.is_ascii_alphanumeric());
    if text.get(..36).is_some_and(|id| Uuid::try_parse(id).is_ok()) && ends(36) {
        return Some(36);
    }
    let length = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let has_letter = text[..length].bytes().any(|byte| byte.is_ascii_alphabetic());
    (matches!(length, 32 | 40 | 64) && has_letter && ends(length)).then_some(length)
}

/// Whether some neighbouring groups are a card's number, all of them and nothing else.
fn is_card(groups: &[Vec<u32>]) -> bool {
    groups.split(|group| is_moment(group)).any(|groups| {
        (0..groups.len()).any(|from| {
            let mut digits = Vec::new();
            groups[from..].iter().any(|group| {
                digits.extend(group);
                is_of_a_scheme(&digits) && passes_check(&digits)
            })
        })
    })
}

/// Milliseconds since 1970, from 2020 to 2033: clients make keys of them.
fn is_moment(group: &[u32]) -> bool {
    group.len() == 13 && matches!(group, [1, 6..=9, ..])
}

fn is_of_a_scheme(digits: &[u32]) -> bool {
    let [a, b, c, d, ..] = digits else { return false };
    match (digits.len(), a * 1000 + b * 100 + c * 10 + d) {
        // Visa
        (13 | 16..=19, 4000..=4999) => true,
        // American Express, enRoute, JCB
        (15, 3400..=3499 | 3700..=3799 | 2014 | 2131 | 2149) => true,
        // Diners Club
        (14..=19, 3000..=3059 | 3095 | 3600..=3699 | 3800..=3999) => true,
        // Mir and Borica, Mastercard, JCB
        (16..=19, 2200..=2205 | 2221..=2720 | 3528..=3589) => true,
        // Mastercard, Maestro, Discover, UnionPay, RuPay
        (16..=19, 5000..=6999) => true,
        _ => false,
    }
}

/// Luhn's check digit.
fn passes_check(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Cursor, Timestamp};

    fn corpus() -> impl Iterator<Item = &'static str> {
        let lines = include_str!("../tests/pans.txt").lines();
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    #[test]
    fn every_number_of_the_corpus_is_told() {
        assert!(corpus().count() >= 20);
        let uuid = Uuid::new_v4();
        for number in corpus() {
            for text in [
                number.to_owned(),
                format!("my card {number}, please"),
                format!("x{number}y"),
                format!("{number}.0"),
                format!("{uuid} {number} {uuid}"),
                format!("1763727206123 {number}"),
            ] {
                assert!(holds_card_number(&text), "{text}");
            }
        }
    }

    #[test]
    fn other_digits_are_no_card() {
        for text in [
            "",
            "goodwill of 12.50 EUR",
            "4242424242424241",
            "424242424242",
            "0000000000000000",
            "+49 30 901820",
            "pm_1OqYwZ2eZvKYlo2CkH8f3AbC",
            "2026-02-21T14:31:02",
            "2026-02-21 14:31:02.123456",
            "2026-02-21 - 2026-03-21",
            "20260221143102",
            "20260221143102123",
            "invoices 2026-000042, 2026-000043 and 2026-000044",
            "DE89 3704 0044 0532 0130 00",
            "52.520008123456789",
            "4242424242.424242",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    /// Ten thousand of each kind of text that clients send by the million; one in ten digit strings passes the check.
    #[test]
    fn ids_cursors_moments_and_decimals_are_never_refused() {
        for number in 0..10_000_u32 {
            let uuid = Uuid::new_v4();
            let random = uuid.as_u128();
            let millis = 1_600_000_000_000 + i64::try_from(random % 399_000_000_000).unwrap();
            let at = Timestamp::from_timestamp_millis(millis).unwrap();
            let cursor = serde_json::to_value(Cursor::of(&(at, uuid)).unwrap()).unwrap();
            let (whole, fraction) = (random % 1_000_000_000_000, (random >> 64) % 1_000_000_000_000);
            for text in [
                uuid.to_string(),
                uuid.simple().to_string(),
                format!("retry-{uuid}-{number}"),
                format!("{}{}", uuid.simple(), Uuid::new_v4().simple()),
                cursor.as_str().unwrap().to_owned(),
                millis.to_string(),
                (millis * 1000).to_string(),
                format!("{number}-{millis}"),
                format!("top-up-{millis}-{number}"),
                at.to_rfc3339(),
                at.format("%Y%m%d%H%M%S").to_string(),
                format!("{whole}.{fraction}"),
            ] {
                assert!(!holds_card_number(&text), "{text}");
            }
        }
    }

    #[test]
    fn a_number_is_refused_wherever_it_is_and_never_repeated() {
        let number = "4242 4242 4242 4242";
        for (arguments, path) in [
            (json!({ "input": { "amount": "1.00", "reason": number } }), "input.reason"),
            (json!({ "input": { "bands": [{ "name": "a" }, { "name": number }] } }), "input.bands[1].name"),
            (json!({ "subject": number }), "subject"),
            (json!({ "list": [["a", number]] }), "list[0][1]"),
        ] {
            let Err(Failure::Invalid { field, message }) = refuse_card_numbers(&arguments) else {
                panic!("{path} passed");
            };
            assert_eq!((&*field, &*message), (path, "must not hold a card number"));
        }
        assert!(refuse_card_numbers(&json!(number)).is_err());
    }

    #[test]
    fn secrets_may_be_what_they_like_and_numbers_are_no_texts() {
        let number = "4242424242424242";
        let arguments = json!({
            "refreshToken": number,
            "input": { "password": number, "currentPassword": number, "newPassword": number, "first": 20 },
            "nothing": null,
        });
        assert!(refuse_card_numbers(&arguments).is_ok());
        assert!(refuse_card_numbers(&json!({ "input": { "passwordHint": number } })).is_err());
    }
}
