//! Turns `:name` into `$n`, leaving alone every colon that PostgreSQL means something else by: casts, slices,
//! literals, quoted identifiers, dollar quotes and comments.

use std::collections::HashMap;

/// A statement with its parameters numbered in order of first use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbered<'a> {
    pub(crate) sql: String,
    /// Which name each `$n` stands for.
    pub(crate) order: Vec<&'a str>,
}

/// A `:name` of the statement for which the call has no parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

/// Numbers the parameters of `sql`; `is_given` tells which names the call has, and `is_untyped` which of them
/// get a number at each use, because PostgreSQL is to infer their type from each place.
pub(crate) fn number<'a>(
    sql: &'a str,
    is_given: impl Fn(&str) -> bool,
    is_untyped: impl Fn(&str) -> bool,
) -> Result<Numbered<'a>, Missing> {
    let bytes = sql.as_bytes();
    let mut out = String::with_capacity(sql.len() + 8);
    let mut order = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut brackets = 0_usize;
    let (mut at, mut copied) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'\'' => end_of_literal(bytes, at),
            b'"' => end_of_quoted(bytes, at + 1, b'"'),
            b'-' if bytes.get(at + 1) == Some(&b'-') => end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => end_of_comment(bytes, at),
            b'$' if !follows_word(bytes, at) => end_of_dollar_quote(bytes, at),
            b'[' => {
                brackets += 1;
                at + 1
            }
            b']' => {
                brackets = brackets.saturating_sub(1);
                at + 1
            }
            b':' if matches!(bytes.get(at + 1), Some(b':' | b'=')) => at + 2,
            b':' if brackets > 0 && follows_operand(bytes, at) => at + 1,
            b':' => {
                let end = end_of_word(bytes, at + 1);
                let name = &sql[at + 1..end];
                let is_position = name.bytes().all(|digit| digit.is_ascii_digit());
                if name.is_empty() || (is_position && !is_given(name)) {
                    at + 1
                } else if !is_given(name) {
                    return Err(Missing(name.to_owned()));
                } else {
                    let known = numbers.get(name).copied().filter(|_| !is_untyped(name));
                    let n = known.unwrap_or_else(|| {
                        order.push(name);
                        numbers.insert(name, order.len());
                        order.len()
                    });
                    out.push_str(&sql[copied..at]);
                    out.push('$');
                    out.push_str(&n.to_string());
                    copied = end;
                    end
                }
            }
            _ => at + 1,
        };
    }
    out.push_str(&sql[copied..]);
    Ok(Numbered { sql: out, order })
}

/// The word a statement begins with, past its comments: what it does, and so what it may leave behind.
pub(crate) fn first_word(sql: &str) -> &str {
    let bytes = sql.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'-' if bytes.get(at + 1) == Some(&b'-') => end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => end_of_comment(bytes, at),
            _ if byte.is_ascii_whitespace() || byte == b'(' => at + 1,
            _ => return &sql[at..end_of_word(bytes, at)],
        };
    }
    ""
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (is_word(bytes[at - 1]) || bytes[at - 1] == b'$')
}

/// Inside brackets a colon after a value separates the bounds of a slice.
fn follows_operand(bytes: &[u8], at: usize) -> bool {
    let before = bytes[..at].iter().rev().find(|byte| !byte.is_ascii_whitespace());
    before.is_some_and(|&byte| is_word(byte) || matches!(byte, b')' | b']' | b'"' | b'\''))
}

fn end_of_word(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|&byte| !is_word(byte)).map_or(bytes.len(), |length| from + length)
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| from + length)
}

/// Past the closing quote; a doubled one reads as the end of one literal and the start of the next, to the same
/// effect.
fn end_of_quoted(bytes: &[u8], from: usize, quote: u8) -> usize {
    bytes[from..].iter().position(|&byte| byte == quote).map_or(bytes.len(), |length| from + length + 1)
}

fn end_of_literal(bytes: &[u8], quote: usize) -> usize {
    let is_escaping = quote > 0 && matches!(bytes[quote - 1], b'e' | b'E') && !follows_word(bytes, quote - 1);
    if !is_escaping {
        return end_of_quoted(bytes, quote + 1, b'\'');
    }
    let mut at = quote + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_comment(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Past `$tag$ … $tag$`, or past the `$` alone when it opens no quote.
fn end_of_dollar_quote(bytes: &[u8], from: usize) -> usize {
    let tag_end = end_of_word(bytes, from + 1);
    let opens = bytes.get(tag_end) == Some(&b'$') && !bytes.get(from + 1).is_some_and(u8::is_ascii_digit);
    if !opens {
        return from + 1;
    }
    let tag = &bytes[from..=tag_end];
    let body = tag_end + 1;
    bytes[body..]
        .windows(tag.len())
        .position(|window| window == tag)
        .map_or(bytes.len(), |length| body + length + tag.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbered(sql: &str) -> (String, Vec<&str>) {
        let Numbered { sql, order } =
            number(sql, |name| !name.starts_with(char::is_numeric), |_| false).unwrap();
        (sql, order)
    }

    fn untouched(sql: &str) {
        assert_eq!(numbered(sql), (sql.to_owned(), vec![]));
    }

    #[test]
    fn a_name_used_twice_has_one_number() {
        assert_eq!(
            numbered("SELECT :a, :b_2 WHERE x=:a"),
            ("SELECT $1, $2 WHERE x=$1".to_owned(), vec!["a", "b_2"])
        );
    }

    #[test]
    fn an_untyped_name_has_a_number_at_each_use() {
        let found = number("SELECT :a, :b, :a, :b", |_| true, |name| name == "a").unwrap();
        assert_eq!(found, Numbered { sql: "SELECT $1, $2, $3, $2".into(), order: vec!["a", "b", "a"] });
    }

    #[test]
    fn casts_follow_parameters() {
        assert_eq!(numbered("SELECT :a::uuid, x::text"), ("SELECT $1::uuid, x::text".to_owned(), vec!["a"]));
    }

    #[test]
    fn literals_comments_and_quotes_are_left_alone() {
        untouched("SELECT ':a', 'it''s :a', E'\\':a', \":a\", $$ :a $$, $t$ :a $$ :a $t$ -- :a");
        untouched("SELECT 1 /* :a /* :b */ :c */ + 2");
        untouched("SELECT '12:30' -- it's :a\n, ':b'");
        untouched("DO $$ BEGIN x := 1; y:=:z; END $$");
        untouched("CALL f(x := 1)");
    }

    #[test]
    fn a_plain_literal_has_no_backslash_escapes() {
        assert_eq!(numbered(r"SELECT '\', :a, name'\'"), (r"SELECT '\', $1, name'\'".to_owned(), vec!["a"]));
    }

    #[test]
    fn slices_are_not_parameters() {
        untouched("SELECT a[1:3], a[lo:hi], a[f(1) : n]");
        untouched("SELECT a[:3]");
        assert_eq!(numbered("SELECT ARRAY[:a, :b]"), ("SELECT ARRAY[$1, $2]".to_owned(), vec!["a", "b"]));
        assert_eq!(numbered("SELECT x[:lo:5]"), ("SELECT x[$1:5]".to_owned(), vec!["lo"]));
    }

    #[test]
    fn text_after_a_dollar_in_a_word_is_no_quote() {
        assert_eq!(numbered("SELECT a$b$, :a, c$b$"), ("SELECT a$b$, $1, c$b$".to_owned(), vec!["a"]));
    }

    #[test]
    fn a_missing_parameter_is_named() {
        assert_eq!(number("SELECT :nope", |_| false, |_| false), Err(Missing("nope".into())));
    }

    #[test]
    fn the_first_word_is_past_comments_and_parentheses() {
        assert_eq!(first_word("-- x\n /* y */ (SELECT 1)"), "SELECT");
        assert_eq!(first_word("-- x"), "");
    }

    #[test]
    fn unfinished_quotes_reach_the_end() {
        for sql in ["SELECT 'a :b", "SELECT \"a :b", "SELECT $$ :b", "SELECT /* :b", "SELECT E'\\"] {
            untouched(sql);
        }
    }

    #[test]
    fn letters_beyond_ascii_are_kept() {
        assert_eq!(numbered("SELECT 'ä', :ä, é"), ("SELECT 'ä', $1, é".to_owned(), vec!["ä"]));
    }
}
