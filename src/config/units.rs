//! Durations (`"250ms"`, `"5s"`, `"2m"`, `"1h"`) and sizes (`"64 KiB"`, `"32 MiB"`): always with a unit.

use std::time::Duration;

/// Reads a duration.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Reads a size in bytes.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(bytes)?).ok()
}

/// The number and the unit, with or without a space between.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, expected) in [
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("5 s", Some(5_000)),
            ("0s", Some(0)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1.5s", None),
            ("5 sec", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text}");
        }
        for (text, expected) in [
            ("32 MiB", Some(32 << 20)),
            ("64KiB", Some(64 << 10)),
            ("1 MB", Some(1_000_000)),
            ("10 B", Some(10)),
            ("32", None),
            ("32 mib", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
