//! dnsmasq's lines: quotation marks, escapes, comments. Which directive a line is, is [`parse`](crate::parse)'s job.
//!
//! dnsmasq 2.90 hides the characters that could mean something (digits, hex
//! letters, space, `:`, `,`, `.`) when they stand inside quotes: it replaces
//! them by control characters, splits and classifies the line, and brings them
//! back in the pieces that it keeps as text. Reading the same way means that a
//! quoted comma never splits and that a quoted number is never a number here
//! either.

use crate::ValueError;
use crate::error::LineError;
use crate::value::hex_byte;

/// Bytes of a line that dnsmasq reads at once, without the newline (`fgets` of MAXDNAME, 2.90).
pub(crate) const LINE_MAX: usize = 1023;

/// The characters that quotes hide; the position is the control character that stands for each.
/// Tab, newline, backspace, return and escape stand for themselves.
const META: &[u8; 32] = b"\x00123456 \x08\t\n78\r90abcdefABCDE\x1bF:,.";

fn hide(c: char) -> char {
    META.iter()
        .position(|meta| char::from(*meta) == c)
        .and_then(|at| u8::try_from(at).ok())
        .map_or(c, char::from)
}

/// Brings hidden characters back.
pub(crate) fn unhide(text: &str) -> String {
    text.chars()
        .map(|c| META.get(c as usize).map_or(c, |meta| char::from(*meta)))
        .collect()
}

/// Says whether something of `text` stood inside quotes and would have meant something outside.
pub(crate) fn has_hidden(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_control())
}

/// Splits at commas, without the spaces around them.
pub(crate) fn fields(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|field| field.trim_matches(' '))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:+@%=~!-".contains(c)
}

/// Renders text, with quotes where dnsmasq needs them.
pub(crate) fn text(text: &str) -> String {
    let prefixed = ["tag:", "set:", "net:"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    if !text.is_empty() && !prefixed && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Renders text where dnsmasq guesses the type: bare only if it cannot be a number, hex or an address.
pub(crate) fn text_not_number(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() && !c.is_ascii_hexdigit());
    if word && text.len() > 1 && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Renders text inside quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{1b}' => out.push_str("\\e"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Renders bytes as `01:aa:ff`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// Reads `01:aa:ff`.
pub(crate) fn parse_hex(raw: &str) -> Result<Vec<u8>, ValueError> {
    raw.split(':')
        .map(|part| hex_byte(part).filter(|_| !part.is_empty()))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            ValueError::new(
                "bytes",
                raw,
                "write one or two hexadecimal digits per byte, `01:aa:ff`",
            )
        })
}

fn escaped(c: char) -> Option<char> {
    match c {
        '"' | '\\' => Some(c),
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'e' => Some('\u{1b}'),
        _ => None,
    }
}

/// Returns the line without comment, quotes and outer spaces; quoted characters hidden.
pub(crate) fn clean(line: &str) -> Result<String, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong(line.len()));
    }
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}');
    if let Some(c) = line.chars().find(|c| c.is_ascii_control() && !is_space(*c)) {
        return Err(LineError::ControlCharacter(c));
    }
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    // A `#` starts a comment at the start of the line and after a space only.
    let mut after_space = true;
    while let Some(mut c) = chars.next() {
        if c == '"' {
            loop {
                match chars.next().ok_or(LineError::UnclosedQuote)? {
                    '"' => break,
                    '\\' => match chars.clone().next().and_then(escaped) {
                        Some(special) => {
                            chars.next();
                            out.push(hide(special));
                        }
                        None => out.push('\\'),
                    },
                    c if matches!(c, '\u{b}' | '\u{c}') => {
                        return Err(LineError::ControlCharacter(c));
                    }
                    c => out.push(hide(c)),
                }
            }
            // dnsmasq steps over whatever follows the closing mark, another mark included (2.90).
            match chars.next() {
                Some(next) => c = next,
                None => break,
            }
        }
        if is_space(c) {
            out.push(' ');
            after_space = true;
        } else if c == '#' && after_space {
            break;
        } else {
            out.push(c);
            after_space = false;
        }
    }
    Ok(out.trim_matches(' ').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hide_commas_comments_and_numbers() {
        let line = clean(r#" a = "1,2 # \"x\"" ,b # comment"#).unwrap();
        let value = line.strip_prefix("a = ").unwrap();
        let parts: Vec<String> = fields(value).map(unhide).collect();
        assert_eq!(parts, [r#"1,2 # "x""#, "b"]);
        assert!(fields(value).next().unwrap().parse::<u8>().is_err());
    }

    #[test]
    fn a_hash_inside_a_word_is_no_comment() {
        assert_eq!(clean("server=1.2.3.4#53 #x").unwrap(), "server=1.2.3.4#53");
    }

    #[test]
    fn whatever_is_quoted_comes_back() {
        let all: String = ('\u{1}'..'\u{200}')
            .filter(|c| !c.is_ascii_control() || "\t\n\r\u{8}\u{1b}".contains(*c))
            .collect();
        assert_eq!(unhide(&clean(&quoted(&all)).unwrap()), all);
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(clean("a=\"b"), Err(LineError::UnclosedQuote));
    }
}
