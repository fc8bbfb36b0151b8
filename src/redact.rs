//! Takes out of objects and texts what must not leave Secrets: for a report, and for the last words of a container. Pure.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stands in the place of what was taken out.
pub(crate) const REDACTED: &str = "(redacted)";
/// Shorter values are too common to be looked for: `5432`, `true`.
const SHORTEST: usize = 4;
/// As [`SHORTEST`], for the lines of a value with several.
const SHORTEST_LINE: usize = 12;
/// What RFC 3986 leaves as it is, and some programs encode all the same.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Annotations that hold whole objects, Secrets among them.
const COPIES: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "objectset.rio.cattle.io/applied",
];

/// Knows what must not be repeated.
#[derive(Default)]
pub(crate) struct Redactor {
    /// The longest first, so that none is replaced in part.
    patterns: Vec<String>,
}

impl Redactor {
    /// Of the values of Secrets.
    pub(crate) fn of<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let mut patterns: Vec<String> = values.into_iter().flat_map(forms).collect();
        patterns.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        patterns.dedup();
        Self { patterns }
    }

    /// A text without the values.
    pub(crate) fn text(&self, text: &str) -> String {
        self.patterns.iter().fold(text.to_owned(), |text, pattern| {
            if text.contains(pattern) {
                text.replace(pattern, REDACTED)
            } else {
                text
            }
        })
    }

    /// An object without the values, and without the fields that may hold others.
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

    /// A variable keeps its name, and the reference that it takes its value from.
    fn variable(&self, variable: &Value) -> Value {
        let mut variable = self.object(variable);
        if let Some(value) = variable.get_mut("value") {
            *value = REDACTED.into();
        }
        variable
    }
}

/// The forms in which a value may turn up.
fn forms(value: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(value).ok();
    let trimmed = text.map_or(value, |text| text.trim().as_bytes());
    if trimmed.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = Vec::new();
    for bytes in [value, trimmed] {
        forms.extend([
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ]);
    }
    if let Some(text) = text {
        let text = text.trim();
        forms.push(text.to_owned());
        for kept in [NON_ALPHANUMERIC, UNRESERVED] {
            forms.push(utf8_percent_encode(text, kept).to_string());
        }
        // As a log in JSON writes it.
        let escaped = Value::from(text).to_string();
        forms.push(escaped.trim_matches('"').to_owned());
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST_LINE);
        forms.extend(lines.filter(|line| !line.starts_with("-----")).map(str::to_owned));
    }
    forms
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_taken_out_of_a_log_in_every_form() {
        let redactor = Redactor::of([
            b"pa/ss w\"rd\n".as_slice(),
            b"first-line-of-it\nsecond-line-of-it",
        ]);
        for form in [
            "pa/ss w\"rd",
            "postgres://u:pa%2Fss%20w%22rd@db",
            r#"{"p":"pa/ss w\"rd"}"#,
            &STANDARD.encode("pa/ss w\"rd\n"),
            &URL_SAFE_NO_PAD.encode("pa/ss w\"rd"),
            "    second-line-of-it",
        ] {
            let redacted = redactor.text(form);
            assert!(redacted.contains(REDACTED), "{form}");
            assert!(
                !redacted.contains("ss w") && !redacted.contains("second"),
                "{redacted}"
            );
        }
    }

    #[test]
    fn short_values_do_not_tear_the_text_apart() {
        assert_eq!(Redactor::of([b"on".as_slice(), b""]).text("one Pod"), "one Pod");
    }

    #[test]
    fn fields_that_hold_values_of_others_go() {
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
