//! A first look at a document, so that one which is too large is refused before the parser builds a tree of it and an
//! error for each of its tokens.

/// graphql-java, which AppSync runs, reads no more tokens than this.
pub(crate) const MAX_TOKENS: usize = 15_000;
/// What of a document may be within something else of it.
pub(crate) const MAX_NESTING: usize = 100;

/// Whether a document has few enough tokens and levels to be parsed. Blanks, commas, comments and what strings hold
/// count as nothing; whether the document means anything is not asked here.
pub(crate) fn are_kept(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut nesting) = (0, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += length(&bytes[at..], |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => string(&bytes[at..]),
            b'.' => length(&bytes[at..], |byte| byte == b'.'),
            byte if is_word(*byte) => length(&bytes[at..], is_word),
            _ => 1,
        };
        match byte {
            b'{' | b'[' | b'(' => nesting += 1,
            b'}' | b']' | b')' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        tokens += 1;
        at += length;
        if tokens > MAX_TOKENS || nesting > MAX_NESTING {
            return false;
        }
    }
    true
}

/// Of names and numbers; of what is not ASCII, and so no token, as well.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn length(bytes: &[u8], is_of: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_of(*byte)).unwrap_or(bytes.len())
}

/// How long the string is that begins here; one without an end ends with its line, a block with the document.
fn string(bytes: &[u8]) -> usize {
    let (quote, is_block): (&[u8], bool) =
        if bytes.starts_with(b"\"\"\"") { (b"\"\"\"", true) } else { (b"\"", false) };
    let mut at = quote.len();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        match rest {
            [b'\n' | b'\r', ..] if !is_block => return at,
            [b'\\', b'"', b'"', b'"', ..] if is_block => at += 4,
            [b'\\', _, ..] if !is_block => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn tokens_and_levels_are_counted_outside_of_strings_and_comments() {
        for kept in [
            "a ".repeat(MAX_TOKENS),
            format!("{}{}", "{".repeat(MAX_NESTING), "}".repeat(MAX_NESTING)),
            "{}".repeat(MAX_TOKENS / 2),
            format!("{{ a(b: \"{}\") }}", "{ ".repeat(50_000)),
            format!("{{ a(b: \"\\\"{}\") }}", "{ ".repeat(50_000)),
            format!("{{ a(b: \"\"\"{}\\\"\"\" {{ \" \"\"\") }}", "{\n".repeat(50_000)),
            format!("# {}\n{{ a }}", "{ ".repeat(50_000)),
            " ,\n".repeat(100_000),
            "a".repeat(100_000),
        ] {
            assert!(are_kept(&kept), "{:.40}", kept);
        }
        for beyond in [
            "a ".repeat(MAX_TOKENS + 1),
            "!".repeat(MAX_TOKENS + 1),
            "\"\" ".repeat(MAX_TOKENS + 1),
            "[".repeat(MAX_NESTING + 1),
            format!("\"\n{}", "{".repeat(MAX_NESTING + 1)),
            format!("\"\\\\\" {}", "{".repeat(MAX_NESTING + 1)),
            format!("\"\"\" \\\"\"\" \"\"\" {}", "(".repeat(MAX_NESTING + 1)),
        ] {
            assert!(!are_kept(&beyond), "{:.40}", beyond);
        }
    }
}
