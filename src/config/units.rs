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

/// Writes a duration as it is read: in the largest unit that keeps it whole.
pub fn show_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        // Up to two minutes people think in seconds.
        ms if ms % 60_000 == 0 && ms > 120_000 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// Writes a size as it is read: in the largest unit that keeps it whole.
pub fn show_size(bytes: usize) -> String {
    match bytes {
        b if b > 0 && b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b > 0 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b > 0 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
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

/// What a duration or a size that cannot be read can mean, written as it is read.
pub fn meant(text: &str) -> impl Iterator<Item = String> {
    let (number, unit) = split(text.trim()).unwrap_or_default();
    let unit = unit.to_ascii_lowercase();
    let is_one_of = move |words: &str| words.split(' ').any(|word| word == unit);
    let unit_of = move |units: &[(&str, &'static str)]| {
        let found = units.iter().find(|(words, _)| is_one_of(words));
        found.map(|(_, unit)| *unit)
    };
    let duration = unit_of(&[
        ("msec msecs millis millisecond milliseconds", "ms"),
        ("sec secs second seconds s", "s"),
        ("min mins minute minutes m", "m"),
        ("hr hrs hour hours h", "h"),
    ]);
    let size = unit_of(&[
        ("byte bytes b", "B"),
        ("k kib kb kilobyte kilobytes", "KiB"),
        ("m mib mb meg megs megabyte megabytes", "MiB"),
        ("g gib gb gig gigs gigabyte gigabytes", "GiB"),
    ]);
    let duration = duration.map(|unit| format!("{number}{unit}"));
    let size = size.map(|unit| format!("{number} {unit}"));
    duration.into_iter().chain(size)
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
    fn words_of_others_are_understood() {
        for (text, expected) in [
            ("5 seconds", Some("5s")),
            ("5 Sec", Some("5s")),
            ("10min", Some("10m")),
            ("100 millis", Some("100ms")),
            ("32 megs", Some("32 MiB")),
            ("32 mib", Some("32 MiB")),
            ("64k", Some("64 KiB")),
            ("many", None),
            ("5", None),
        ] {
            let read = |text: &String| duration(text).is_some() || size(text).is_some();
            assert_eq!(meant(text).find(read).as_deref(), expected, "{text}");
        }
    }

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
            let expected = expected.map(Duration::from_millis);
            assert_eq!(duration(text), expected, "{text}");
            assert!(
                expected.is_none_or(|read| duration(&show_duration(read)) == Some(read)),
                "{text}"
            );
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
            assert!(
                expected.is_none_or(|read| size(&show_size(read)) == Some(read)),
                "{text}"
            );
        }
    }
}
