//! Numbers, durations and foreign text, as the page shows them.

use keelhaul_checkers::Nanos;
use serde_json::Value;

/// Longest text of foreign origin that is shown in one piece: characters.
const LONGEST: usize = 600;

/// What stands where there is nothing to say.
pub(super) const NONE: &str = "–";

/// `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A length of time in three digits: `840 µs`, `4.21 ms`, `1.34 s`, `12 min 5 s`.
pub(super) fn duration(time: Nanos) -> String {
    let micros = time.0 as f64 / 1e3;
    match micros {
        0.0 => "0 s".to_owned(),
        us if us < 999.5 => format!("{} µs", digits(us)),
        us if us < 999_500.0 => format!("{} ms", digits(us / 1e3)),
        us if us < 120e6 => format!("{} s", digits(us / 1e6)),
        us => {
            let seconds = (us / 1e6).round() as u64;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

fn digits(number: f64) -> String {
    match number {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// A moment: seconds since the run's start, to the millisecond.
pub(super) fn moment(at: Nanos) -> String {
    format!("{:.3} s", at.0 as f64 / 1e9)
}

/// A moment to the microsecond, where order matters.
pub(super) fn instant(at: Nanos) -> String {
    format!("{:.6} s", at.0 as f64 / 1e9)
}

/// A number of nanoseconds in JSON as a duration, where there is one.
pub(super) fn duration_in(value: &Value) -> String {
    value
        .as_u64()
        .map_or(NONE.to_owned(), |nanos| duration(Nanos(nanos)))
}

/// A count in JSON, where there is one.
pub(super) fn count_in(value: &Value) -> String {
    value.as_u64().map_or(NONE.to_owned(), count)
}

/// Text in JSON as it is, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(text) => cut(text, LONGEST),
        other => cut(&other.to_string(), LONGEST),
    }
}

/// Foreign text of any length, cut where it would run away.
pub(super) fn sentence(text: &str) -> String {
    cut(text, 2 * LONGEST)
}

/// At most this many characters, with an ellipsis where some are missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(most.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// `1 episode`, `3 episodes`.
pub(super) fn plural(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_in_every_unit() {
        let shown = |nanos| duration(Nanos(nanos));
        assert_eq!(shown(840_000), "840 µs");
        assert_eq!(shown(4_213_000), "4.21 ms");
        assert_eq!(shown(999_600_000), "1.00 s");
        assert_eq!(shown(31_400_000_000), "31.4 s");
        assert_eq!(shown(725_000_000_000), "12 min 5 s");
    }

    #[test]
    fn counts_are_grouped_and_texts_cut() {
        assert_eq!(
            [count(7), count(1_234), count(1_000_000)],
            ["7", "1,234", "1,000,000"]
        );
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
