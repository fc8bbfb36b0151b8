//! Restarts one adapter at the request of a user.
//!
//! The server has no call for it: the adapter is disabled, then enabled. The first of these two calls leaves a mark in the
//! configuration of the adapter, in the same transaction. So an operator that finds a disabled adapter knows whether a person
//! disabled it, or an operator that was killed before it could enable it again; and it knows a request that was carried out
//! (docs/adr/0014).

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::administrator::Server;
use super::client::Error;
use crate::domain::server_settings::restarts::{Mark, Next, Request, Row, next};

/// Key of the mark in the configuration of an adapter. The server ignores keys that it does not know.
const MARK: &str = "dittofs_operator_restart";

/// What became of a request.
#[derive(Debug)]
pub(super) enum Ended {
    /// The adapter was restarted, now or by an operator that was killed afterwards.
    Restarted,
    /// There was nothing to restart.
    Refused(&'static str),
    /// A call failed.
    Failed {
        error: Error,
        /// Whether the adapter is disabled now.
        is_stopped: bool,
    },
}

#[derive(Deserialize)]
struct Answer {
    enabled: bool,
    #[serde(default)]
    config: Option<Map<String, Value>>,
}

/// Carries out one request, or what is left of it.
pub(super) async fn restart(server: &Server<'_>, request: &Request) -> Ended {
    let failed = |is_stopped| move |error| Ended::Failed { error, is_stopped };
    let (row, config) = match read(server, request).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ended::Refused("the server has no such adapter"),
        Err(error) => return failed(false)(error),
    };
    let step = next(&row, request);
    if step == Next::Stop
        && let Err(error) = write(server, request, config.clone(), false).await
    {
        // A call without an answer may have been carried out.
        return failed(error.status().is_none())(error);
    }
    match step {
        Next::Stop | Next::Start => write(server, request, config, true)
            .await
            .map_or_else(failed(true), |()| Ended::Restarted),
        Next::Nothing => Ended::Restarted,
        Next::Refuse => Ended::Refused(
            "the adapter is disabled on the server, and stays so. It uses its settings when it is enabled",
        ),
    }
}

fn path(request: &Request) -> String {
    format!("adapters/{}", request.adapter)
}

/// The adapter, and its configuration. `None` if there is none.
async fn read(server: &Server<'_>, request: &Request) -> Result<Option<(Row, Map<String, Value>)>, Error> {
    let path = path(request);
    let answer: Answer = match server.read(Method::GET, &path, None).await {
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => return Ok(None),
        answer => answer?,
    };
    let config = answer.config.unwrap_or_default();
    let mark = config.get(MARK).cloned();
    let row = Row {
        is_enabled: answer.enabled,
        mark: mark.and_then(|mark| serde_json::from_value(mark).ok()),
    };
    Ok(Some((row, config)))
}

/// Enables or disables the adapter. The server replaces the whole configuration, so the rest of it is sent back.
async fn write(
    server: &Server<'_>,
    request: &Request,
    mut config: Map<String, Value>,
    enabled: bool,
) -> Result<(), Error> {
    let mark = Mark {
        request: request.value.clone(),
        stopped: !enabled,
    };
    config.insert(MARK.to_owned(), json!(mark));
    let body = json!({"enabled": enabled, "config": config});
    server.call(Method::PUT, &path(request), Some(&body)).await?;
    Ok(())
}
