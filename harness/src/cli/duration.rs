//! Durations on the command line: `30`, `30s`, `500ms`, `2m`, `1h`.

use std::time::Duration;

/// The longest duration that makes sense: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration; a bare number is seconds.
///
/// # Errors
/// A sentence that says what can be written.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no duration: write 30, 30s, 500ms, 2m or 1h");
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1_000.0,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(expected()),
    };
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| expected())?;
    if duration > LONGEST {
        return Err(format!("`{text}` is longer than a day"));
    }
    Ok(duration)
}

/// Whole milliseconds of a duration that [`parse`] made.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a day has fewer milliseconds than 2^64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written() {
        let ms = |text: &str| parse(text).map(millis);
        assert_eq!(ms("30"), Ok(30_000));
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        assert_eq!(ms("1.5"), Ok(1_500));
        for wrong in ["", "s", "30x", "-1", "1e9s", "99999999999"] {
            assert!(ms(wrong).is_err(), "{wrong}");
        }
    }
}
