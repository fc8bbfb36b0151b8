//! Applies the settings that the spec declares: reads them from the server, and writes only what differs.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};

use super::administrator::Server;
use super::client::{Client, Error, unexpected};
use super::restart::{Ended, restart};
use crate::api::names::NFS;
use crate::api::{IdentityProviderStatus, SnapshotPolicyStatus};
use crate::domain::secrets::Confidential;
use crate::domain::server_api::Target;
use crate::domain::server_settings::providers::Provider;
use crate::domain::server_settings::restarts::{Request, Restarts};
use crate::domain::server_settings::{Change, Declared, Outcome, Policy, changes};

/// About a provider that was written to a process that uses it after its next start. A rollout may follow anyway, since a change of
/// Kerberos changes the config hash; but the process that it starts may have read the former configuration.
const USED_LATER: &str =
    "the server uses it after its next start. If no rollout follows, delete the pod at a convenient time";

/// Applies the settings. What could not be applied is in the outcome, and does not hold up the rest.
pub async fn apply(client: &Client, target: &Target, declared: &Declared) -> Outcome {
    let server = Server::new(client, target);
    let mut outcome = Outcome::default();
    if !declared.policies.is_empty() || !declared.made.is_empty() {
        match list_policies(&server).await {
            Ok(live) => outcome.policies = apply_policies(&server, declared, &live).await,
            Err(error) => outcome.policies = unknown(declared, &error),
        }
    }
    for provider in &declared.providers {
        outcome.providers.push(apply_provider(&server, provider).await);
    }
    let mut restarts = Restarts::new(&declared.known_restarts, target.started);
    if let Some(wanted) = declared.nfs_v3_discovery {
        match apply_discovery(&server, wanted).await {
            Ok(true) => restarts.require(NFS, discovery_waits(wanted)),
            Ok(false) => {}
            Err(error) => outcome.failure = Some(format!("the portmapper of NFS cannot be set: {error}")),
        }
    }
    for request in &declared.restarts {
        apply_restart(&server, request, &mut restarts, &mut outcome).await;
    }
    outcome.restarts = restarts.into_status();
    outcome
}

fn discovery_waits(wanted: bool) -> String {
    let state = if wanted { "on" } else { "off" };
    format!("the portmapper and UDP of NFS are switched {state} at the next start of the adapter")
}

async fn apply_restart(
    server: &Server<'_>,
    request: &Request,
    restarts: &mut Restarts,
    outcome: &mut Outcome,
) {
    match restart(server, request).await {
        Ended::Restarted => restarts.handled(request, None),
        Ended::Refused(why) => restarts.handled(request, Some(why)),
        Ended::Failed { error, is_stopped } => {
            let message = format!("the adapter is not restarted yet: {error}. The operator retries");
            outcome.has_stopped_adapter |= is_stopped;
            outcome.failure.get_or_insert_with(|| message.clone());
            restarts.failed(request, message);
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    share: String,
    #[serde(flatten)]
    policy: Policy,
}

/// `null` is an empty list.
async fn list_policies(server: &Server<'_>) -> Result<BTreeMap<String, Policy>, Error> {
    const PATH: &str = "snapshot-policies";
    let answer = server.call(Method::GET, PATH, None).await?;
    let listed: Option<Vec<Listed>> =
        serde_json::from_value(answer).map_err(|error| unexpected(&server.url(PATH), &error))?;
    let listed = listed.unwrap_or_default().into_iter();
    Ok(listed.map(|listed| (listed.share, listed.policy)).collect())
}

async fn apply_policies(
    server: &Server<'_>,
    declared: &Declared,
    live: &BTreeMap<String, Policy>,
) -> Vec<SnapshotPolicyStatus> {
    let mut states: BTreeMap<String, SnapshotPolicyStatus> = declared
        .policies
        .keys()
        .map(|share| (share.clone(), state(share, declared)))
        .collect();
    for change in changes(declared, live) {
        match change {
            Change::Put {
                share,
                policy,
                is_new,
            } => {
                let result = server
                    .call(Method::PUT, &path(&share), Some(&json!(policy)))
                    .await;
                let state = states
                    .entry(share.clone())
                    .or_insert_with(|| state(&share, declared));
                state.made |= is_new && result.is_ok();
                refuse(state, result.err(), &share);
            }
            Change::Delete(share) => {
                let result = server.call(Method::DELETE, &path(&share), None).await;
                if let Err(error) = result {
                    let mut left = state(&share, declared);
                    refuse(&mut left, Some(error), &share);
                    states.insert(share, left);
                }
            }
        }
    }
    states.into_values().collect()
}

fn state(share: &str, declared: &Declared) -> SnapshotPolicyStatus {
    SnapshotPolicyStatus {
        share: share.to_owned(),
        applied: true,
        made: declared.made.contains(share),
        message: None,
    }
}

fn refuse(state: &mut SnapshotPolicyStatus, error: Option<Error>, share: &str) {
    let Some(error) = error else { return };
    state.applied = false;
    state.message = Some(match error.status() {
        Some(StatusCode::NOT_FOUND) => {
            format!("the server has no share {share}. The policy is applied as soon as it exists")
        }
        _ => error.to_string(),
    });
}

fn unknown(declared: &Declared, error: &Error) -> Vec<SnapshotPolicyStatus> {
    let shares = declared.policies.keys().chain(&declared.made);
    let mut states: Vec<SnapshotPolicyStatus> = shares
        .map(|share| SnapshotPolicyStatus {
            applied: false,
            message: Some(error.to_string()),
            ..state(share, declared)
        })
        .collect();
    states.sort_by(|one, other| one.share.cmp(&other.share));
    states.dedup_by(|one, other| one.share == other.share);
    states
}

fn path(share: &str) -> String {
    format!("shares/{}/snapshot-policy", encoded(share))
}

/// A share, or another text, as one part of a URL's path.
#[must_use]
pub fn encoded(share: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let part = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    share.bytes().map(part).collect()
}

/// Writes one identity provider if it differs.
async fn apply_provider(server: &Server<'_>, provider: &Provider) -> IdentityProviderStatus {
    let fingerprint = provider
        .secret
        .as_ref()
        .map(|secret| fingerprint(&server.target().key, secret));
    let is_new_secret =
        provider.is_enabled() && fingerprint.is_some() && fingerprint != provider.known_secret;
    let mut state = IdentityProviderStatus {
        r#type: provider.kind.to_owned(),
        applied: true,
        secret_fingerprint: fingerprint,
        ..IdentityProviderStatus::default()
    };
    let path = format!("identity-providers/{}/config", provider.kind);
    let result = write_provider(server, provider, &path, is_new_secret).await;
    match result {
        Ok(is_written) => {
            state.server_started = provider.waits(server.target().started, is_written);
            let is_waiting = state.server_started.is_some();
            state.message = is_waiting.then(|| USED_LATER.to_owned());
        }
        Err(error) => {
            state.applied = false;
            state.secret_fingerprint.clone_from(&provider.known_secret);
            state.server_started.clone_from(&provider.waits_for_start_after);
            state.message = Some(error.to_string());
        }
    }
    state
}

/// Returns whether it was written.
async fn write_provider(
    server: &Server<'_>,
    provider: &Provider,
    path: &str,
    is_new_secret: bool,
) -> Result<bool, Error> {
    let live = match server.call(Method::GET, path, None).await {
        Ok(live) => Some(live),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => None,
        Err(error) => return Err(error),
    };
    let is_different = provider.differs(live.as_ref()) || is_new_secret;
    if is_different {
        let body = provider.request(live.as_ref(), is_new_secret || live.is_none());
        server.call(Method::PUT, path, Some(&body)).await?;
    }
    Ok(is_different)
}

/// Says whether a password is the same as before, and nothing else: without the signing key it cannot be searched for.
fn fingerprint(key: &Confidential, secret: &Confidential) -> String {
    const BYTES: usize = 12;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), &secret.0);
    URL_SAFE_NO_PAD.encode(&tag.as_ref()[..BYTES])
}

/// Returns whether it was written: the adapter uses it after its next start. The server creates the row of the settings when it is
/// read, so it is read first in any case.
async fn apply_discovery(server: &Server<'_>, wanted: bool) -> Result<bool, Error> {
    const PATH: &str = "adapters/nfs/settings";
    let settings = server.call(Method::GET, PATH, None).await?;
    let is_set = |key: &str| settings.get(key).and_then(Value::as_bool) == Some(wanted);
    if is_set("portmapper_enabled") && is_set("udp_enabled") {
        return Ok(false);
    }
    let body = json!({"portmapper_enabled": wanted, "udp_enabled": wanted});
    server.call(Method::PATCH, PATH, Some(&body)).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_part_of_a_path() {
        assert_eq!(path("/archive"), "shares/%2Farchive/snapshot-policy");
        assert_eq!(path("/a b/\u{e4}"), "shares/%2Fa%20b%2F%C3%A4/snapshot-policy");
    }
}
