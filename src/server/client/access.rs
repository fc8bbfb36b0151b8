//! How a call identifies itself, and the texts about it, which show nothing confidential of what was sent.

use std::sync::OnceLock;

use serde_json::Value;

use super::Error;
use crate::domain::redact::Redactor;

/// Longest text of a server that is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// The token of a call, and the values that no text about the call may show: a server may quote in an error what it was sent.
pub struct Access<'a> {
    token: &'a str,
    confidential: Vec<&'a [u8]>,
    /// Made for the first text, because most calls need none.
    redactor: OnceLock<Redactor>,
}

impl<'a> Access<'a> {
    /// A call that sends nothing confidential except its token.
    #[must_use]
    pub fn new(token: &'a str) -> Self {
        Self::sending(token, Vec::new())
    }

    /// A call that may send these values.
    pub(in crate::server) fn sending(token: &'a str, confidential: Vec<&'a [u8]>) -> Self {
        Self {
            token,
            confidential,
            redactor: OnceLock::new(),
        }
    }

    pub(super) fn token(&self) -> &'a str {
        self.token
    }

    /// The beginning of a text that the server wrote. Confidential values are removed before it is shortened.
    pub(in crate::server) fn quoted(&self, text: &str) -> String {
        let redactor = self.redactor.get_or_init(|| {
            let values = self.confidential.iter().copied();
            Redactor::of(values.chain([self.token.as_bytes()]))
        });
        redactor.text(text).chars().take(QUOTED_MAX).collect()
    }

    /// An answer that is JSON of another shape.
    pub(in crate::server) fn unexpected(&self, url: &str, error: &serde_json::Error) -> Error {
        Error::Unexpected {
            url: url.to_owned(),
            error: self.quoted(&error.to_string()),
        }
    }

    /// What the server says of a refused call: problem+json, or plain text, or nothing.
    pub(super) fn detail(&self, body: &[u8]) -> String {
        let problem: Option<Value> = serde_json::from_slice(body).ok();
        let plain = || self.quoted(String::from_utf8_lossy(body).trim());
        let said = problem.as_ref().and_then(|problem| self.text(problem));
        let said = said.unwrap_or_else(plain);
        if said.is_empty() {
            said
        } else {
            format!(": {said}")
        }
    }

    /// The text of a refused call in the format of the API (problem+json), and what is wrong with each field (422).
    fn text(&self, problem: &Value) -> Option<String> {
        let said = problem.get("detail").or_else(|| problem.get("title"));
        let said = said.and_then(Value::as_str).map(|said| self.quoted(said));
        let errors = problem.get("errors").and_then(Value::as_object);
        let fields: Vec<String> = errors.into_iter().flatten().map(field).collect();
        if fields.is_empty() {
            return said;
        }
        let fields = self.quoted(&fields.join("; "));
        Some(said.map_or_else(|| fields.clone(), |said| format!("{said} ({fields})")))
    }
}

fn field((name, problem): (&String, &Value)) -> String {
    match problem {
        Value::String(problem) => format!("{name}: {problem}"),
        other => format!("{name}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_quotes_the_server_in_any_of_its_formats() {
        for (body, quoted) in [
            (
                r#"{"title": "Conflict", "detail": "share exists"}"#,
                ": share exists",
            ),
            (r#"{"title": "Conflict"}"#, ": Conflict"),
            (
                r#"{"title": "Unprocessable Entity", "errors": {"lease_time": "must be 10 to 3600", "grace_period": "must be 10 to 3600"}}"#,
                ": Unprocessable Entity (grace_period: must be 10 to 3600; lease_time: must be 10 to 3600)",
            ),
            (
                r#"{"errors": {"url": ["is missing"]}}"#,
                r#": url: ["is missing"]"#,
            ),
            (r#"{"title": "Conflict", "errors": {}}"#, ": Conflict"),
            (r#"{"title": "Conflict", "errors": null}"#, ": Conflict"),
            (r#"{"title": "Conflict", "errors": "none"}"#, ": Conflict"),
            ("Forbidden\n", ": Forbidden"),
            ("", ""),
        ] {
            assert_eq!(Access::new("t").detail(body.as_bytes()), quoted);
        }
        let access = Access::new("t");
        assert!(access.detail("x".repeat(10_000).as_bytes()).len() < 300);
        let long = "x".repeat(10_000);
        let problem = json!({"detail": long, "errors": {"a": long, "b": long}});
        let quoted = access.detail(problem.to_string().as_bytes());
        assert!(
            quoted.contains("(a: xxx") && quoted.len() < 500,
            "{}",
            quoted.len()
        );
    }

    #[test]
    fn no_text_about_a_call_has_the_token_or_the_passwords_that_were_sent() {
        let token = format!("{}.{}.{}", "a1".repeat(20), "b2".repeat(90), "c3".repeat(22));
        let access = Access::sending(&token, vec![b"hunter2hunter2"]);
        let echo = format!("Authorization: Bearer {token}\r\n\r\n{{\"password\": \"hunter2hunter2\"}}");
        let problem = json!({"detail": echo, "errors": {"password": "not hunter2hunter2"}}).to_string();
        let error = serde_json::from_value::<bool>(Value::from(echo.clone())).unwrap_err();
        let texts = [
            access.detail(echo.as_bytes()),
            access.detail(problem.as_bytes()),
            access.quoted(&echo),
            access.unexpected("http://files", &error).to_string(),
        ];
        for text in texts {
            assert!(text.contains("(redacted)"), "{text}");
            assert!(!text.contains("a1a1") && !text.contains("hunter2"), "{text}");
        }
    }
}
