//! Numbers that a floating-point number cannot tell apart, kept as they are written.
//!
//! A whole number below -2^63 or from 2^64 becomes a text of its digits, as in EDN; so does a decimal of more than 17 digits.
//! `-0` is 0.

use std::ops::Range;

/// Decimals of more digits than this may be equal as floating-point numbers and not as they are written.
const DIGITS: usize = 17;

/// The same JSON with such numbers as texts; `None` where there are none.
pub(super) fn rewritten(json: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let number = at..end(json, at);
                at = number.end;
                if let Some(exact) = exact(&json[number.clone()]) {
                    copy(&mut out, &json[copied..number.start], &exact);
                    copied = number.end;
                }
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| [&out, &json[copied..]].concat())
}

fn copy(out: &mut Vec<u8>, before: &[u8], exact: &[u8]) {
    out.extend_from_slice(before);
    out.extend_from_slice(exact);
}

fn end(json: &[u8], begin: usize) -> usize {
    let goes_on = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = json[begin..].iter().take_while(|byte| goes_on(byte));
    begin + length.count()
}

/// How it is to be written instead, if it is.
fn exact(number: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(number).ok()?;
    if text == "-0" {
        return Some(b"0".to_vec());
    }
    is_lost(text).then(|| format!("\"{text}\"").into_bytes())
}

/// Whether a machine's numbers do not tell this one from others.
pub(super) fn is_lost(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.parse::<i64>().is_err() && number.parse::<u64>().is_err();
    }
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let bytes = mantissa.bytes().filter(u8::is_ascii_digit);
    let digits: Vec<u8> = bytes.collect();
    significant(&digits).len() > DIGITS
}

/// Without the zeros before and behind.
fn significant(digits: &[u8]) -> Range<usize> {
    let is_one = |digit: &u8| *digit != b'0';
    let first = digits.iter().position(is_one).unwrap_or_default();
    let end = digits
        .iter()
        .rposition(is_one)
        .map_or(first, |last| last + 1);
    first..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_would_be_rounded_become_texts() {
        let same = |json: &str| assert_eq!(rewritten(json.as_bytes()), None, "{json}");
        same(r#"{"a":[1,-1,0,18446744073709551615,-9223372036854775808,0.1,1e300]}"#);
        same(r#"{"18446744073709551616":"18446744073709551616 \" 18446744073709551616"}"#);
        same("0.10000000000000000000");
        let becomes = |json: &str, other: &str| {
            assert_eq!(rewritten(json.as_bytes()), Some(other.as_bytes().to_vec()));
        };
        becomes("[18446744073709551616, 2]", "[\"18446744073709551616\", 2]");
        becomes("-9223372036854775809", "\"-9223372036854775809\"");
        becomes("[0.10000000000000000001]", "[\"0.10000000000000000001\"]");
        becomes("[-0,-0.5]", "[0,-0.5]");
    }
}
