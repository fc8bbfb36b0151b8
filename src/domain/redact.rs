//! Removes the values of Secrets from objects and texts: for a report, and for the last message of a container.
//!
//! | file | what is in it |
//! |---|---|
//! | `redact/patterns.rs` | the forms in which a value is searched |
//! | `redact/view.rs` | a text with its escapes undone |

mod patterns;
mod view;

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde_json::{Map, Value};

use self::patterns::Pattern;
use self::view::View;
use crate::api::names;

/// Replaces a removed value.
pub(crate) const REDACTED: &str = "(redacted)";
/// Annotations that contain whole objects, including Secrets.
const COPIES: [&str; 3] = [
    names::RECREATE_ANNOTATION,
    "kubectl.kubernetes.io/last-applied-configuration",
    "objectset.rio.cattle.io/applied",
];

/// Knows the values that must not be shown.
#[derive(Default)]
pub(crate) struct Redactor {
    patterns: Vec<Pattern>,
    /// Searches for all patterns at the same time. `None` without patterns, and also if there are too many: then every text is removed.
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// Created from the values of Secrets.
    pub(crate) fn of<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let patterns: BTreeSet<Pattern> = values.into_iter().flat_map(patterns::of).collect();
        let patterns: Vec<Pattern> = patterns.into_iter().collect();
        let search = AhoCorasick::new(patterns.iter().map(|pattern| &pattern.bytes)).ok();
        Self { patterns, search }
    }

    /// A text without the values.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.patterns.is_empty() || text.is_empty() {
            return text.to_owned();
        }
        let Some(search) = &self.search else {
            return REDACTED.to_owned();
        };
        let mut found = Vec::new();
        view::each(text, |view| {
            for one in search.find_overlapping_iter(&view.bytes) {
                let is_word = self.patterns[one.pattern().as_usize()].is_word;
                if !is_word || stands_alone(view, &one.range()) {
                    found.push(whole_characters(text, view.place(one.range())));
                }
            }
        });
        without(text, found)
    }

    /// An object without the values, and without fields that may contain other confidential values.
    pub(crate) fn object(&self, object: &Value) -> Value {
        match object {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.object(item)).collect(),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            other => other.clone(),
        }
    }

    fn fields(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let kept = fields
            .iter()
            .filter(|(key, _)| *key != "managedFields" && !COPIES.contains(&key.as_str()));
        kept.map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("env", Value::Array(variables)) => {
                    variables.iter().map(|variable| self.variable(variable)).collect()
                }
                _ => self.object(value),
            };
            (self.text(key), value)
        })
        .collect()
    }

    /// A variable keeps its name and the reference to its value.
    fn variable(&self, variable: &Value) -> Value {
        let mut variable = self.object(variable);
        if let Some(value) = variable.get_mut("value") {
            *value = REDACTED.into();
        }
        variable
    }
}

/// Whether no letter or digit is next to it.
fn stands_alone(view: &View, found: &Range<usize>) -> bool {
    let is_letter = |at: Option<usize>| {
        at.and_then(|at| view.bytes.get(at))
            .is_some_and(u8::is_ascii_alphanumeric)
    };
    !is_letter(found.start.checked_sub(1)) && !is_letter(Some(found.end))
}

/// A value that is not text may begin in the middle of a character.
fn whole_characters(text: &str, found: Range<usize>) -> Range<usize> {
    let start = (0..=found.start).rev().find(|at| text.is_char_boundary(*at));
    let end = (found.end..=text.len()).find(|at| text.is_char_boundary(*at));
    start.unwrap_or_default()..end.unwrap_or(text.len())
}

/// A text without some ranges, which may overlap.
fn without(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.sort_unstable_by_key(|place| place.start);
    let mut kept = String::with_capacity(text.len());
    let mut done = 0;
    for place in places {
        if place.start >= done {
            kept.push_str(&text[done..place.start]);
            kept.push_str(REDACTED);
        }
        done = done.max(place.end);
    }
    kept.push_str(&text[done..]);
    kept
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_removed_from_a_log_in_every_form() {
        let redactor = Redactor::of([
            b"pa/ss w\"rd\n".as_slice(),
            b"first-line-of-it\nsecond-line\nshort",
            b"p&a$s/word+1",
        ]);
        for form in [
            "pa/ss w\"rd",
            "postgres://u:pa%2Fss%20w%22rd@db",
            "postgres://u:pa%2fss+w%22rd@db",
            r#"{"p":"pa/ss w\"rd"}"#,
            r#"{"log":"{\"p\":\"pa/ss w\\\"rd\"}"}"#,
            &STANDARD.encode("pa/ss w\"rd\n"),
            &URL_SAFE_NO_PAD.encode("pa/ss w\"rd"),
            &STANDARD.encode(STANDARD.encode("pa/ss w\"rd")),
            &format!("Basic {}", STANDARD.encode("k8s-operator:pa/ss w\"rd")),
            "    second-line",
            "  short\n",
            // Go: url.UserPassword, and JSON.
            "postgres://dittofs:p&a$s%2Fword+1@db:5432",
            r#"{"dsn":"p\u0026a$s/word+1"}"#,
            r"password='p&a$s/word+1'",
            "70266124732f776f72642b31",
        ] {
            let redacted = redactor.text(form);
            assert!(redacted.contains(REDACTED), "{form}");
            for part in ["ss w", "ss+w", "second", "short", "word"] {
                assert!(!redacted.replace("password", "").contains(part), "{redacted}");
            }
        }
    }

    #[test]
    fn the_text_around_a_value_is_kept() {
        let redactor = Redactor::of([b"canary".as_slice(), b"nary-2"]);
        assert_eq!(
            redactor.text("a canary-2 é %63anary!"),
            "a (redacted) é (redacted)!"
        );
        assert_eq!(
            redactor.text("no such thing: 100% \\ + &"),
            "no such thing: 100% \\ + &"
        );
        assert_eq!(Redactor::default().text("canary"), "canary");
    }

    #[test]
    fn a_short_value_is_removed_as_a_whole_word_only() {
        let redactor = Redactor::of([b"on".as_slice(), b"", b"a&b"]);
        assert_eq!(redactor.text("one Pod"), "one Pod");
        assert_eq!(
            redactor.text("password=on, or a%26b"),
            "password=(redacted), or (redacted)"
        );
    }

    proptest! {
        #[test]
        fn every_value_is_removed_in_every_position(
            value in "[ -~é€😀\n]{4,40}",
            before in "[ -~é]{0,20}",
            after in "[ -~é]{0,20}",
        ) {
            let value = value.trim();
            prop_assume!(value.len() >= patterns::SHORTEST);
            let redactor = Redactor::of([value.as_bytes()]);
            let json = Value::from(format!("{before}{value}{after}")).to_string();
            let encoded = STANDARD.encode(format!("{before}{value}{after}"));
            for text in [format!("{before}{value}{after}"), json, encoded] {
                let redacted = redactor.text(&text);
                prop_assert!(redacted.contains(REDACTED), "{text}");
                prop_assert!(!redacted.contains(value) || REDACTED.contains(value), "{redacted}");
            }
        }

        #[test]
        fn any_text_and_any_bytes_are_accepted(text in ".{0,80}", value in prop::collection::vec(any::<u8>(), 0..8)) {
            let _ = Redactor::of([value.as_slice()]).text(&text);
        }
    }

    #[test]
    fn fields_that_may_contain_other_values_are_removed() {
        let redactor = Redactor::of([b"canary".as_slice()]);
        let object = json!({
            "metadata": {
                "managedFields": [{"manager": "x"}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "has canary in it"},
            },
            "spec": {"containers": [{"env": [
                {"name": "A", "value": "plain"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}]},
        });
        let wanted = json!({
            "metadata": {"annotations": {"note": "has (redacted) in it"}},
            "spec": {"containers": [{"env": [
                {"name": "A", "value": "(redacted)"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}]},
        });
        assert_eq!(redactor.object(&object), wanted);
    }
}
