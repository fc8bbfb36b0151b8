//! `GET /api/v1/adapters`.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Error, quoted, unexpected};
use crate::domain::adapters::{Listed, Row, Unread, sanitized};

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

impl From<Answer> for Row {
    fn from(answer: Answer) -> Self {
        let (status, message) = answer
            .status
            .map_or_else(|| (String::new(), None), |report| (report.status, report.message));
        Self {
            adapter_type: sanitized(&answer.r#type),
            is_enabled: answer.enabled,
            port: answer.port,
            is_healthy: status == "healthy",
            message: message.filter(|text| !text.is_empty()).or(Some(status)),
        }
    }
}

/// Lists the adapters. A row that cannot be read does not hide the others.
///
/// # Errors
/// As [`Client::call`], and if no row can be read.
pub async fn list(client: &Client, url: &str, token: &str) -> Result<Listed, Error> {
    let url = format!("{}/api/v1/adapters", url.trim_end_matches('/'));
    let answer = client.call(Method::GET, &url, token, None).await?;
    read(answer).map_err(|error| unexpected(&url, &error))
}

fn read(answer: Value) -> Result<Listed, serde_json::Error> {
    let mut listed = Listed::default();
    let mut problem = None;
    for row in Vec::<Value>::deserialize(answer)? {
        match Answer::deserialize(&row) {
            Ok(answer) => listed.rows.push(answer.into()),
            Err(error) => {
                listed.unread.push(unread(&row, &error));
                problem = Some(error);
            }
        }
    }
    match problem {
        Some(error) if listed.rows.is_empty() => Err(error),
        _ => Ok(listed),
    }
}

fn unread(row: &Value, error: &serde_json::Error) -> Unread {
    let adapter_type = row["type"].as_str().filter(|name| !name.is_empty());
    Unread {
        adapter_type: adapter_type.map(sanitized),
        error: quoted(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
