//! A text with its escapes decoded, and the position of each byte in the original text.
//!
//! A program writes a value in its own notation: percent-encoded in a URL, escaped in JSON, or both. Listing all notations of a value
//! is impossible (Go's URLs keep `&$+` and encode `/`; its JSON writes `&` as `\u0026`). So the text is decoded in each way, and the
//! value is searched in the result.

use std::ops::Range;

/// How deep escapes may be nested: a JSON log line that quotes a JSON log line has two levels.
const DEPTH: usize = 3;

/// A decoded text.
#[derive(Clone)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// The position of each byte in the text.
    places: Vec<Range<usize>>,
}

impl View {
    fn plain(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            places: (0..text.len()).map(|at| at..at + 1).collect(),
        }
    }

    fn with_room_of(other: &Self) -> Self {
        Self {
            bytes: Vec::with_capacity(other.bytes.len()),
            places: Vec::with_capacity(other.bytes.len()),
        }
    }

    /// The position in the text of a non-empty range of the view.
    pub(super) fn place(&self, found: Range<usize>) -> Range<usize> {
        let places = &self.places[found];
        let start = places.first().map_or(0, |place| place.start);
        let end = places.last().map_or(0, |place| place.end);
        start..end
    }

    /// Copies a byte.
    fn copy(&mut self, from: &Self, at: usize) {
        self.bytes.push(from.bytes[at]);
        self.places.push(from.places[at].clone());
    }

    /// Adds bytes that replace a range of another view.
    fn put(&mut self, bytes: &[u8], from: &Self, replaced: Range<usize>) {
        let place = from.place(replaced);
        for byte in bytes {
            self.bytes.push(*byte);
            self.places.push(place.clone());
        }
    }

    /// Decodes escapes that start with `mark`: `decode` returns the bytes of one escape, and its length.
    fn decoded(&self, mark: u8, decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Self> {
        if !self.bytes.contains(&mark) {
            return None;
        }
        let mut view = Self::with_room_of(self);
        let mut at = 0;
        while at < self.bytes.len() {
            let escape = (self.bytes[at] == mark)
                .then(|| decode(&self.bytes[at..]))
                .flatten();
            if let Some((bytes, length)) = escape {
                view.put(&bytes, self, at..at + length);
                at += length;
            } else {
                view.copy(self, at);
                at += 1;
            }
        }
        (view.bytes.len() < self.bytes.len() || view.bytes != self.bytes).then_some(view)
    }
}

/// Calls `look` with each decoded form of a text.
pub(super) fn each(text: &str, mut look: impl FnMut(&View)) {
    let mut view = View::plain(text);
    for _ in 0..=DEPTH {
        look(&view);
        let percent = view.decoded(b'%', percent);
        if let Some(decoded) = &percent {
            look(decoded);
        }
        // In the query of an address a plus is a space; elsewhere it is a plus.
        if let Some(spaced) = percent.as_ref().unwrap_or(&view).decoded(b'+', plus) {
            look(&spaced);
        }
        if let Some(named) = view.decoded(b'&', entity) {
            look(&named);
        }
        match view.decoded(b'\\', backslash) {
            Some(unescaped) => view = unescaped,
            None => return,
        }
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

fn percent(escape: &[u8]) -> Option<(Vec<u8>, usize)> {
    let byte = u8::try_from(hex(escape.get(1..3)?)?).ok()?;
    Some((vec![byte], 3))
}

// The form that `undone` takes.
#[expect(clippy::unnecessary_wraps, reason = "one of several decoders")]
fn plus(_: &[u8]) -> Option<(Vec<u8>, usize)> {
    Some((vec![b' '], 1))
}

/// Escapes of HTML, as Go's templates write them.
fn entity(escape: &[u8]) -> Option<(Vec<u8>, usize)> {
    const NAMES: [(&str, u8); 8] = [
        ("&amp;", b'&'),
        ("&lt;", b'<'),
        ("&gt;", b'>'),
        ("&quot;", b'"'),
        ("&#34;", b'"'),
        ("&#39;", b'\''),
        ("&apos;", b'\''),
        ("&#43;", b'+'),
    ];
    let (name, byte) = NAMES
        .iter()
        .find(|(name, _)| escape.starts_with(name.as_bytes()))?;
    Some((vec![*byte], name.len()))
}

/// Escapes of JSON, Go and libpq.
fn backslash(escape: &[u8]) -> Option<(Vec<u8>, usize)> {
    let byte = match escape.get(1)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(escape),
        b'x' => return Some((vec![u8::try_from(hex(escape.get(2..4)?)?).ok()?], 4)),
        other @ (b'"' | b'\'' | b'\\' | b'/' | b' ') => *other,
        _ => return None,
    };
    Some((vec![byte], 2))
}

/// `\uXXXX`, or two of them for a character that needs two.
fn unicode(escape: &[u8]) -> Option<(Vec<u8>, usize)> {
    let unit = |at: usize| -> Option<u16> {
        let escape = escape.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        u16::try_from(hex(digits)?).ok()
    };
    let first = unit(0)?;
    let pair = unit(6).and_then(|second| decoded(&[first, second]));
    if let Some(text) = decoded(&[first]) {
        return Some((text.into_bytes(), 6));
    }
    pair.map(|text| (text.into_bytes(), 12))
}

fn decoded(units: &[u16]) -> Option<String> {
    String::from_utf16(units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<String> {
        let mut readings = Vec::new();
        each(text, |view| {
            readings.push(String::from_utf8_lossy(&view.bytes).into_owned());
        });
        readings
    }

    #[test]
    fn each_escape_is_undone_and_nested_ones_in_turn() {
        for (text, meant) in [
            ("p%26a%2fs", "p&a/s"),
            ("a+b%20c", "a b c"),
            (r"a\u0026b\u003cc", "a&b<c"),
            (r"\ud83d\ude00 \x41 \'", "😀 A '"),
            (r#"{\"p\": \"a\\\"b\"}"#, r#"{"p": "a"b"}"#),
            ("a&amp;b&#39;", "a&b'"),
            (r"x\u002526y", "x%26y"),
        ] {
            assert!(
                readings(text).iter().any(|read| read == meant),
                "{text}: {:?}",
                readings(text)
            );
        }
        assert!(
            readings(r"x\u00252Fy").contains(&"x/y".to_owned()),
            "an address in JSON"
        );
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in ["100%", "%zz", r"C:\", r"\u12", "a & b", ""] {
            assert_eq!(readings(text)[0], text);
            assert!(readings(text).iter().all(|read| read == text), "{text}");
        }
    }

    #[test]
    fn a_place_is_that_of_the_escape() {
        let text = r"ab%2Fc";
        each(text, |view| {
            if let Some(at) = view.bytes.iter().position(|byte| *byte == b'/') {
                assert_eq!(&text[view.place(at..at + 1)], "%2F");
                assert_eq!(&text[view.place(1..4)], "b%2Fc");
            }
        });
    }
}
