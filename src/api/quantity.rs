//! Kubernetes resource quantities, read as numbers.
//!
//! Grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. The crate for
//! this (`kube_quantity`) follows k8s-openapi releases late, and types of two k8s-openapi versions do not mix.

/// The value in billionths (10⁻⁹ of a byte, a core, …). `None` if `text` is not a quantity, or is too large for `i128`.
///
/// A fraction below one billionth is rounded up, as the API server does.
#[must_use]
pub fn nanos(text: &str) -> Option<i128> {
    let number_end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let magnitude = scaled(digits, suffix)?;
    Some(if negative { -magnitude } else { magnitude })
}

fn scaled(digits: &str, suffix: &str) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, exponent) = scale(suffix)?;
    let exponent = exponent
        .checked_add(9)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let product = mantissa.checked_mul(factor)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        product.checked_mul(power)
    } else {
        product.checked_add(power - 1).map(|sum| sum / power)
    }
}

/// The suffix as (factor, power of ten).
fn scale(suffix: &str) -> Option<(i128, i32)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(step) = (1_u32..)
        .zip(BINARY)
        .find_map(|(step, name)| (name == suffix).then_some(step))
    {
        return Some((1024_i128.pow(step), 0));
    }
    let exponent = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    Some((1, exponent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::nanos;

    const ONE: i128 = 1_000_000_000;

    #[test]
    fn suffixes_scale_as_kubernetes_says() {
        for (text, value) in [
            ("1", ONE),
            ("0.5", ONE / 2),
            ("500m", ONE / 2),
            ("1Gi", 1_073_741_824 * ONE),
            ("1024Mi", 1_073_741_824 * ONE),
            ("1e3", 1000 * ONE),
            ("12E", 12 * 10_i128.pow(18) * ONE),
            ("-1k", -1000 * ONE),
            ("0.1n", 1),
        ] {
            assert_eq!(nanos(text), Some(value), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_quantity_is_refused() {
        for text in [
            "",
            "Gi",
            "1GB",
            "1 Gi",
            "1.2.3",
            "--1",
            "e",
            "1e",
            "one",
            "1e2147483647",
            "1e-2147483648",
            "1e99999999999",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([-+]?[0-9]{1,3}[.]?[0-9]{0,3}[eE][-+]?[0-9]{1,12}|.{0,40})") {
            let _ = nanos(&text);
        }

        #[test]
        fn a_larger_number_is_a_larger_quantity(small in 0_u32..1_000_000, more in 1_u32..1_000_000, suffix in "(m|k|Mi|Gi)?") {
            let larger = u64::from(small) + u64::from(more);
            let (before, after) = (format!("{small}{suffix}"), format!("{larger}{suffix}"));
            prop_assert!(nanos(&before) < nanos(&after));
        }
    }
}
