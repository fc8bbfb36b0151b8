//! `GET /api/v1/adapters`.

use http::Method;
use serde::Deserialize;

use super::client::{Client, Error, unexpected};
use crate::domain::adapters::{Row, sanitized};

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

/// Lists the adapters.
///
/// # Errors
/// As [`Client::call`].
pub async fn list(client: &Client, url: &str, token: &str) -> Result<Vec<Row>, Error> {
    let url = format!("{}/api/v1/adapters", url.trim_end_matches('/'));
    let answer = client.call(Method::GET, &url, token, None).await?;
    let rows: Vec<Answer> = serde_json::from_value(answer).map_err(|error| unexpected(&url, &error))?;
    Ok(rows.into_iter().map(Row::from).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn health_comes_from_the_listener_and_not_from_running() {
        let rows: Vec<Answer> = serde_json::from_value(json!([
            {"type": "nfs", "enabled": true, "running": true, "port": 12049, "status": {"status": "healthy"}, "new": 1},
            {"type": "smb", "enabled": true, "running": true, "port": 1445, "status": {"status": "unknown", "message": "has not started yet"}},
            {"type": "Web DAV", "enabled": false},
        ]))
        .unwrap();
        let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
        assert_eq!((rows[0].is_healthy, rows[0].port), (true, 12049));
        assert_eq!(
            (rows[1].is_healthy, rows[1].message.as_deref()),
            (false, Some("has not started yet"))
        );
        assert_eq!((rows[2].adapter_type.as_str(), rows[2].port), ("web-dav", 0));
    }
}
