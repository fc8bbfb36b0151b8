//! Durations in the notation of Go's `time.ParseDuration`, which the server's configuration uses.

use std::time::Duration;

/// Nanoseconds in each unit. Longer names come first, so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Go stores nanoseconds in a signed 64-bit integer.
const LONGEST: u128 = i64::MAX as u128;

/// Parses a non-negative Go duration such as `1h30m`, `1.5s`, `+250ms` or `0`.
///
/// `None` if Go refuses the text, if the duration is negative, or if it is beyond Go's range (about 292 years).
#[must_use]
pub fn parse_go(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (term, tail) = parse_term(rest)?;
        nanoseconds = nanoseconds.checked_add(term).filter(|sum| *sum <= LONGEST)?;
        rest = tail;
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// One number with its unit, in nanoseconds, and the rest of the text.
fn parse_term(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((*unit, rest.strip_prefix(name)?)))?;
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u128>().ok()?
    };
    let nanoseconds = whole
        .checked_mul(u128::from(unit))?
        .checked_add(fraction_of(fraction, unit))?;
    Some((nanoseconds, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `0.<digits>` of a unit, in whole nanoseconds. Digits beyond the eighteenth cannot change the result.
fn fraction_of(digits: &str, unit: u64) -> u128 {
    let digits = &digits[..digits.len().min(18)];
    let scale = 10_u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    digits
        .parse::<u128>()
        .map_or(0, |value| value * u128::from(unit) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("15m", 900_000_000_000),
            ("168h", 604_800_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+250ms", 250_000_000),
            ("3\u{b5}s2\u{3bc}s1us7ns", 6_007),
        ] {
            assert_eq!(parse_go(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "+",
            "15",
            "m",
            ".s",
            "1d",
            "1h ",
            "1 h",
            "1,5s",
            "9223372037s",
            "-5m",
            "99999999999999999999h",
        ] {
            assert_eq!(parse_go(text), None, "{text}");
        }
    }
}
