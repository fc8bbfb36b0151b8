//! The forms in which a value is searched.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter values, for example `on`, are searched as whole words only.
pub(super) const SHORTEST: usize = 4;
/// Fewer characters of base64 than this occur in too many other words.
const SHORTEST_BASE64: usize = 4;

/// Something to search for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) bytes: Vec<u8>,
    /// Whether it must not be next to a letter or digit.
    pub(super) is_word: bool,
}

/// All forms in which a value is searched.
pub(super) fn of(value: &[u8]) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for form in plain(value) {
        if form.len() < SHORTEST {
            patterns.push(Pattern {
                bytes: form.to_vec(),
                is_word: true,
            });
            continue;
        }
        patterns.push(whole(form));
        let once = in_base64(form);
        let twice: Vec<_> = [STANDARD_NO_PAD.encode(form), URL_SAFE_NO_PAD.encode(form)]
            .iter()
            .flat_map(|encoded| in_base64(encoded.as_bytes()))
            .collect();
        patterns.extend(once.into_iter().chain(twice).map(|core| whole(core.as_bytes())));
        patterns.extend(in_hex(form).map(|digits| whole(digits.as_bytes())));
    }
    patterns
}

fn whole(bytes: &[u8]) -> Pattern {
    Pattern {
        bytes: bytes.to_vec(),
        is_word: false,
    }
}

/// The value without surrounding white space, and each of its lines: a log may wrap it, and YAML indents it.
fn plain(value: &[u8]) -> Vec<&[u8]> {
    let mut forms = vec![value.trim_ascii()];
    let lines = value.split(|byte| matches!(byte, b'\n' | b'\r'));
    forms.extend(lines.map(<[u8]>::trim_ascii).filter(|line| !is_common(line)));
    forms.retain(|form| !form.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The first and last line of PEM, and very short lines.
fn is_common(line: &[u8]) -> bool {
    line.starts_with(b"-----") || line.len() < SHORTEST
}

/// The forms of a value inside a longer text in base64: its position decides which of three forms it has, and its first and last
/// characters depend on its neighbours.
fn in_base64(value: &[u8]) -> Vec<String> {
    let mut cores = Vec::new();
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(value);
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // 8 bits a byte and 6 a character: the characters that hold bits of the neighbours are left out.
            let first = (before * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            if end.saturating_sub(first) >= SHORTEST_BASE64 {
                cores.push(encoded[first..end].to_owned());
            }
        }
    }
    cores
}

fn in_hex(value: &[u8]) -> [String; 2] {
    use std::fmt::Write as _;
    let mut digits = String::new();
    for byte in value {
        let _ = write!(digits, "{byte:02x}");
    }
    let upper = digits.to_uppercase();
    [digits, upper]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_value_is_found_in_base64_at_every_position() {
        let value = b"canary?>value";
        for before in ["", "a", "ab", "abc", "k8s-operator:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = [before.as_bytes(), value, after.as_bytes()].concat();
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let found = in_base64(value).iter().any(|core| encoded.contains(core));
                    assert!(found, "{before}…{after}: {encoded}");
                }
            }
        }
    }
}
