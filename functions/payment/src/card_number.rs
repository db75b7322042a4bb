//! Telling a card's number where none may be. Numbers belong to the provider alone: what looks like one is refused
//! before it can reach a table, a queue or a log.

/// Whether `text` has 13 to 19 digits that pass for a card's number (ISO/IEC 7812): written without a break, or in
/// groups with a space or one of `-._/` between them, of a length and a beginning that schemes use, and with the right
/// check digit.
pub fn holds_card_number(text: &str) -> bool {
    // Runs of digits that belong together, each a list of groups.
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut separators = 0;
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            match groups.last_mut() {
                Some(group) if separators == 0 => group.push(digit),
                _ => groups.push(vec![digit]),
            }
            separators = 0;
        } else if separators == 0 && !groups.is_empty() && is_separator(character) {
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
    character.is_whitespace() || "-._/\u{2010}\u{2011}\u{2013}".contains(character)
}

/// Whether some neighbouring groups are a card's number, all of them and nothing else.
fn is_card(groups: &[Vec<u32>]) -> bool {
    (0..groups.len()).any(|from| {
        let mut digits = Vec::new();
        groups[from..].iter().any(|group| {
            digits.extend(group);
            is_of_a_scheme(&digits) && passes_check(&digits)
        })
    })
}

fn is_of_a_scheme(digits: &[u32]) -> bool {
    let Some(first) = digits.first() else { return false };
    match digits.len() {
        13 => *first == 4,
        14 => *first == 3,
        15 => [2, 3].contains(first),
        16 => (2..=6).contains(first),
        17..=19 => (4..=6).contains(first),
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
mod tests {
    use super::*;

    /// Every spelling in the corpus that the end-to-end proof uses, too.
    #[test]
    fn every_number_of_the_corpus_is_told() {
        let corpus = include_str!("../tests/pans.txt").lines().filter(|line| !line.starts_with('#'));
        let mut numbers = 0;
        for number in corpus.filter(|line| !line.is_empty()) {
            assert!(holds_card_number(number), "{number}");
            assert!(holds_card_number(&format!("my card {number}, please")), "{number}");
            numbers += 1;
        }
        assert!(numbers >= 20);
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
            "invoices 2026-000042, 2026-000043 and 2026-000044",
            "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }
}
