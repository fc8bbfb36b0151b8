//! `GET /api/v1/adapters`.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Access, Client, Error};
use crate::domain::adapters::{Listed, Row, TYPE_MAX, Unread, sanitized};

/// One adapter as the API writes it. Other fields are ignored.
#[derive(Debug, Deserialize)]
struct Answer {
    r#type: String,
    enabled: bool,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    status: Option<Report>,
}

#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: Option<String>,
}

impl Answer {
    fn into_row(self, access: &Access<'_>) -> Row {
        let (status, message) = self
            .status
            .map_or_else(|| (String::new(), None), |report| (report.status, report.message));
        let is_healthy = status == "healthy";
        let message = message.filter(|text| !text.is_empty()).unwrap_or(status);
        Row {
            adapter_type: sanitized(&self.r#type),
            is_enabled: self.enabled,
            port: self.port,
            message: (!is_healthy).then(|| access.quoted(&message)),
            is_healthy,
        }
    }
}

/// Lists the adapters. A row that cannot be read does not hide the others.
///
/// # Errors
/// As [`Client::call`], and if no row can be read.
pub async fn list(client: &Client, url: &str, token: &str) -> Result<Listed, Error> {
    let url = format!("{}/api/v1/adapters", url.trim_end_matches('/'));
    let access = Access::new(token);
    let answer = client.call(Method::GET, &url, &access, None).await?;
    read(answer, &access).map_err(|error| access.unexpected(&url, &error))
}

fn read(answer: Value, access: &Access<'_>) -> Result<Listed, serde_json::Error> {
    let mut listed = Listed::default();
    let mut problem = None;
    for row in Vec::<Value>::deserialize(answer)? {
        match Answer::deserialize(&row).and_then(named) {
            Ok(answer) => listed.rows.push(answer.into_row(access)),
            Err(error) => {
                listed.unread.push(unread(&row, &error, access));
                problem = Some(error);
            }
        }
    }
    match problem {
        Some(error) if listed.rows.is_empty() => Err(error),
        _ => Ok(listed),
    }
}

/// The type becomes a part of names, and a label.
fn named(answer: Answer) -> Result<Answer, serde_json::Error> {
    if sanitized(&answer.r#type).len() > TYPE_MAX {
        let problem = format!("the type has more than {TYPE_MAX} characters");
        return Err(serde::de::Error::custom(problem));
    }
    Ok(answer)
}

fn unread(row: &Value, error: &serde_json::Error, access: &Access<'_>) -> Unread {
    let adapter_type = row["type"].as_str().filter(|name| !name.is_empty());
    let shortened = |name: &str| sanitized(name).chars().take(TYPE_MAX).collect();
    Unread {
        adapter_type: adapter_type.map(shortened),
        error: access.quoted(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: Value) -> Result<Listed, serde_json::Error> {
        super::read(answer, &Access::new("token"))
    }

    #[test]
    fn health_comes_from_the_listener_and_not_from_running() {
        let listed = read(json!([
            {"type": "nfs", "enabled": true, "running": true, "port": 12049, "status": {"status": "healthy"}, "new": 1},
            {"type": "smb", "enabled": true, "running": true, "port": 1445, "status": {"status": "unknown", "message": "has not started yet"}},
            {"type": "Web DAV", "enabled": false},
        ]))
        .unwrap();
        let rows = listed.rows;
        assert_eq!(listed.unread, []);
        assert_eq!((rows[0].is_healthy, rows[0].port), (true, 12049));
        assert_eq!(
            (rows[1].is_healthy, rows[1].message.as_deref()),
            (false, Some("has not started yet"))
        );
        assert_eq!((rows[2].adapter_type.as_str(), rows[2].port), ("web-dav", 0));
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_hide_the_others() {
        let listed = read(json!([
            {"type": "nfs", "enabled": true, "port": 12049},
            {"type": "SMB", "enabled": true, "port": 70000},
            {"type": 7, "enabled": true},
            {"type": "", "port": 1},
            "x".repeat(10_000),
        ]))
        .unwrap();
        assert_eq!(listed.rows.len(), 1);
        let types: Vec<_> = listed
            .unread
            .iter()
            .map(|row| row.adapter_type.as_deref())
            .collect();
        assert_eq!(types, [Some("smb"), None, None, None]);
        assert!(listed.unread[0].error.contains("70000"), "{:?}", listed.unread);
        assert!(listed.unread[3].error.len() < 300);
    }

    #[test]
    fn a_list_of_which_no_row_can_be_read_is_an_error_and_an_empty_one_is_not() {
        assert!(read(json!([{"type": 7}])).is_err());
        assert!(read(json!({"adapters": []})).is_err());
        assert_eq!(read(json!([])).unwrap(), Listed::default());
    }

    #[test]
    fn a_text_of_any_length_is_shortened() {
        let long = "x".repeat(100_000);
        let listed = read(json!([
            {"type": "nfs", "enabled": true, "status": {"status": "unknown", "message": long}},
            {"type": "smb", "enabled": true, "status": {"status": long}},
            {"type": long, "enabled": true},
        ]))
        .unwrap();
        let messages = listed.rows.iter().filter_map(|row| row.message.as_deref());
        assert_eq!(messages.map(str::len).collect::<Vec<_>>(), [200, 200]);
        assert_eq!(
            listed.unread[0].adapter_type.as_deref(),
            Some("x".repeat(63).as_str())
        );
        assert!(
            listed.unread[0].error.contains("more than 63 characters"),
            "{:?}",
            listed.unread
        );
    }
}
