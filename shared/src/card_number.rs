//! Telling a card's number where none may be. Numbers belong to the payment provider alone: what looks like one is
//! refused before it can reach a table, a queue or a log.

use serde_json::Value;
use uuid::Uuid;

use crate::Failure;

/// Kept as hashes alone, if at all, and never to be refused for what they happen to hold.
const SECRETS: [&str; 4] = ["password", "currentPassword", "newPassword", "refreshToken"];
/// What people write between the groups of a number, beside spaces of any kind: hyphens and dashes, points, low lines and
/// slashes.
const SEPARATORS: &str = "-._/\\|\u{b7}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2022}\u{2024}\u{2044}\u{2212}\u{2215}\
                          \u{fe58}\u{fe63}\u{ff0d}\u{ff0e}\u{ff0f}\u{ff3f}";
/// What they write there as well, and in lists of numbers even more.
const COMMAS: &str = ",;\u{60c}\u{66b}\u{66c}\u{3001}\u{ff0c}\u{ff1b}";
/// What nobody sees: soft hyphens, joiners, marks of direction.
const INVISIBLE: [std::ops::RangeInclusive<char>; 5] = [
    '\u{ad}'..='\u{ad}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];
/// The most of them in a row that still hold a number together: ` - `.
const MOST_SEPARATORS: usize = 3;
/// The zeros that nine other digits follow, of the scripts whose decimal digits people type, and of the letters that
/// mathematicians write.
const ZEROS: [u32; 25] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50,
    0x0ed0, 0x0f20, 0x1040, 0x17e0, 0x1810, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1fbf0,
];
/// Digits before the point of a latitude or a longitude.
const MOST_DEGREES: usize = 3;
/// The longest number there is.
const MOST_DIGITS: usize = 19;

/// Refuses arguments of which some text, number or name, at any depth, holds a card's number: [`Failure::Invalid`] names
/// the field by its path (`input.reason`; of a name, what has it), and repeats nothing of it. Our operations' secrets
/// (`password`, `input.newPassword`, …) are not looked at.
pub fn refuse_card_numbers(arguments: &Value) -> Result<(), Failure> {
    match path_to_card_number(arguments, true) {
        Some(path) => Err(Failure::invalid(path, "must not hold a card number")),
        None => Ok(()),
    }
}

/// As `serde_path_to_error` writes paths: `input.list[0].text`. Secrets are where operations take them, and nowhere else.
fn path_to_card_number(value: &Value, may_have_secrets: bool) -> Option<String> {
    let found = |name: String, value| {
        let inner = path_to_card_number(value, may_have_secrets && name == "input")?;
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        Some(format!("{name}{dot}{inner}"))
    };
    match value {
        Value::String(text) => holds_card_number(text).then(String::new),
        Value::Array(list) => {
            list.iter().enumerate().find_map(|(index, value)| found(format!("[{index}]"), value))
        }
        Value::Object(fields) => {
            if fields.keys().any(|name| holds_card_number(name)) {
                return Some(String::new());
            }
            let is_secret = |name: &str| may_have_secrets && SECRETS.contains(&name);
            let mut fields = fields.iter().filter(|(name, _)| !is_secret(name.as_str()));
            fields.find_map(|(name, value)| found(name.clone(), value))
        }
        // What has a fraction is measured, not written on a card.
        Value::Number(number) => {
            let is_whole = number.as_f64().is_some_and(|value| value.fract() == 0.0);
            (is_whole && holds_card_number(&number.to_string())).then(String::new)
        }
        Value::Null | Value::Bool(_) => None,
    }
}

/// Whether `text` has 13 to 19 digits, of any script, that pass for a card's number (ISO/IEC 7812): of a length and a
/// beginning that schemes use, with the right check digit, and written without a break, or in any groups with a space or
/// one of `-._/` between them, or in the groups that schemes print with commas or up to three of these between them.
/// UUIDs, hashes, decimals and moments in milliseconds are none, nor are lists of such.
pub fn holds_card_number(text: &str) -> bool {
    let decimal = decimal(text);
    // A coordinate may have fifteen decimals: by chance, one in a hundred of those would be a card's.
    if decimal.is_some_and(|whole| whole.len() <= MOST_DEGREES) {
        return false;
    }
    // Runs of digits that belong together.
    let mut groups: Vec<Group> = Vec::new();
    let (mut separators, mut is_in_word, mut has_comma) = (0, false, false);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let id = if is_in_word { None } else { id_length(rest) };
        rest = &rest[id.unwrap_or(character.len_utf8())..];
        if is_invisible(character) {
            continue;
        }
        is_in_word = id.is_some() || character.is_ascii_alphanumeric();
        let is_comma = COMMAS.contains(character);
        if let (None, Some(digit)) = (id, digit(character)) {
            match groups.last_mut() {
                Some(group) if separators == 0 => group.digits.push(digit),
                _ => groups.push(Group { digits: vec![digit], is_apart: separators > 1 || has_comma }),
            }
            (separators, has_comma) = (0, false);
        } else if separators < MOST_SEPARATORS
            && !groups.is_empty()
            && (is_comma || is_separator(character))
            && decimal.is_none()
        {
            separators += 1;
            has_comma |= is_comma;
        } else if is_card(&std::mem::take(&mut groups)) {
            return true;
        } else {
            (separators, has_comma) = (0, false);
        }
    }
    is_card(&groups)
}

/// Digits without a break.
struct Group {
    digits: Vec<u32>,
    /// Whether more than a plain separator is between the group before it and this.
    is_apart: bool,
}

fn digit(character: char) -> Option<u32> {
    let of_script = |zero: &u32| u32::from(character).checked_sub(*zero).filter(|digit| *digit < 10);
    if character.is_ascii() { character.to_digit(10) } else { ZEROS.iter().find_map(of_script) }
}

fn is_invisible(character: char) -> bool {
    !character.is_ascii() && INVISIBLE.iter().any(|range| range.contains(&character))
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || SEPARATORS.contains(character)
}

/// The whole part of `-12.50`, if it is that: its point joins no groups.
fn decimal(text: &str) -> Option<&str> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.strip_prefix('-').unwrap_or(text).split_once('.')?;
    (digits(whole) && digits(fraction)).then_some(whole)
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
fn is_card(groups: &[Group]) -> bool {
    groups.split(is_moment).any(|groups| (0..groups.len()).any(|from| begins_with_card(&groups[from..])))
}

fn begins_with_card(groups: &[Group]) -> bool {
    let (mut digits, mut lengths, mut is_apart) = (Vec::new(), Vec::new(), false);
    for group in groups {
        is_apart |= group.is_apart && !lengths.is_empty();
        lengths.push(group.digits.len());
        if lengths.iter().sum::<usize>() > MOST_DIGITS {
            return false;
        }
        digits.extend(&group.digits);
        if is_of_a_scheme(&digits) && passes_check(&digits) && (!is_apart || is_as_printed(&lengths)) {
            return true;
        }
    }
    false
}

/// Whether schemes group their numbers like that: what else stands so far apart is a list.
fn is_as_printed(lengths: &[usize]) -> bool {
    matches!(lengths, [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] | [4, 6, 4 | 5] | [6, 13] | [8, 8])
}

/// Milliseconds since 1970, from 2020 to 2033: clients make keys of them.
fn is_moment(group: &Group) -> bool {
    group.digits.len() == 13 && matches!(*group.digits, [1, 6..=9, ..])
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
            "12.50, 4.24, 24.24, 42.42, 42.42, 42.4",
            "42.424242, 42.424242",
            "42, 42, 42, 42, 42, 42, 42, 42",
            "EUR 4,242,424,242,424,242.00",
            "2026-02-21, 2026-02-22 and 2026-02-23",
            "+49 (30) 901820, +44 20 7946 0958",
            "4242; 2424 and then 2424, 4242",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn digits_of_any_script_are_digits() {
        let digits = |zero: u32| -> String {
            let number = "4242424242424242".chars().filter_map(|digit| digit.to_digit(10));
            number.filter_map(|digit| char::from_u32(zero + digit)).collect()
        };
        for zero in ZEROS {
            assert!(holds_card_number(&digits(zero)), "{zero:#x}");
        }
        // Neighbours of digits are none.
        assert_eq!(
            ["\u{65f}", "\u{66a}", "\u{ff0f}", "\u{ff1a}"].map(|text| text.chars().find_map(digit)),
            [None; 4]
        );
    }

    #[test]
    fn a_long_text_of_digits_is_read_once() {
        let text = "4 ".repeat(200_000);
        let begun = std::time::Instant::now();
        holds_card_number(&text);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    /// From `-most` to `most`, with six decimals.
    fn degrees(random: u128, most: i128) -> String {
        let millionths = i128::try_from(random % 1_000_000_000).unwrap() % (most * 1_000_000);
        let sign = if random.is_multiple_of(2) { "-" } else { "" };
        format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
    }

    /// Ten readings of up to a hundred kWh.
    fn energies(random: u128) -> String {
        let readings = (0..10).map(|place| (random >> (12 * place)) % 10_000);
        readings
            .map(|reading| format!("{}.{:02}", reading / 100, reading % 100))
            .collect::<Vec<_>>()
            .join(", ")
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
                format!("-{}.{:015}", random % 180, (random >> 32) % 1_000_000_000_000_000),
                format!("{}, {}", degrees(random, 90), degrees(random >> 32, 180)),
                energies(random),
                format!("+{}", random % 1_000_000_000_000),
                format!("{at} - {}, {}", at.date_naive(), at.to_rfc3339()),
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
            (json!({ "metadata": { "note": 4_242_424_242_424_242_i64 } }), "metadata.note"),
            (json!({ "metadata": { "4242424242424242": true } }), "metadata"),
            (json!({ "metadata": { "password": number } }), "metadata.password"),
            (json!({ "metadata": { "input": { "password": number } } }), "metadata.input.password"),
        ] {
            let Err(Failure::Invalid { field, message }) = refuse_card_numbers(&arguments) else {
                panic!("{path} passed");
            };
            assert_eq!((&*field, &*message), (path, "must not hold a card number"));
        }
        assert!(refuse_card_numbers(&json!(number)).is_err());
    }

    #[test]
    fn secrets_may_be_what_they_like_and_measures_too() {
        let number = "4242424242424242";
        let arguments = json!({
            "refreshToken": number,
            "input": { "password": number, "currentPassword": number, "newPassword": number, "first": 20 },
            "nothing": null, "longitude": 0.424_242_424_242_424_2,
        });
        assert!(refuse_card_numbers(&arguments).is_ok());
        assert!(refuse_card_numbers(&json!({ "input": { "passwordHint": number } })).is_err());
    }
}
