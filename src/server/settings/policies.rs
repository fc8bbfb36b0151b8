//! The snapshot policies of a server.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Server, corrected};
use crate::api::SnapshotPolicyStatus;
use crate::domain::server_settings::{Change, Declared, Outcome, Policy, changes};
use crate::server::client::Error;
use crate::server::url::share_path;

/// Compares and writes the policies.
pub(super) async fn apply(server: &Server<'_>, declared: &Declared, outcome: &mut Outcome) {
    match list(server).await {
        Ok(live) => write(server, declared, &live, outcome).await,
        Err(error) => outcome.policies = unknown(declared, &error),
    }
}

#[derive(Deserialize)]
struct Listed {
    share: String,
    #[serde(flatten)]
    policy: Policy,
}

/// `null` is an empty list.
async fn list(server: &Server<'_>) -> Result<BTreeMap<String, Policy>, Error> {
    const PATH: &str = "snapshot-policies";
    let listed: Option<Vec<Listed>> = server.read(Method::GET, PATH, None).await?;
    let listed = listed.unwrap_or_default().into_iter();
    Ok(listed.map(|listed| (listed.share, listed.policy)).collect())
}

async fn write(
    server: &Server<'_>,
    declared: &Declared,
    live: &BTreeMap<String, Policy>,
    outcome: &mut Outcome,
) {
    let states = declared
        .policies
        .keys()
        .map(|share| (share.clone(), state(share, declared)));
    let mut states: BTreeMap<String, SnapshotPolicyStatus> = states.collect();
    for change in changes(declared, live) {
        match change {
            Change::Announce(share) => {
                let announced = SnapshotPolicyStatus {
                    applied: false,
                    made: true,
                    ..state(&share, declared)
                };
                corrected(declared, outcome, policy_of(&share));
                states.insert(share, announced);
            }
            Change::Put { share, policy } => {
                let body = json!(policy);
                let result = server.call(Method::PUT, &path(&share), Some(&body)).await;
                let mut state = state(&share, declared);
                match result {
                    Ok(_) => corrected(declared, outcome, policy_of(&share)),
                    Err(error) => refuse(&mut state, &error),
                }
                states.insert(share, state);
            }
            Change::Delete(share) => {
                let result = server.call(Method::DELETE, &path(&share), None).await;
                // One that is gone needs no more.
                let failed = result
                    .err()
                    .filter(|error| error.status() != Some(StatusCode::NOT_FOUND));
                if let Some(error) = failed {
                    let mut left = state(&share, declared);
                    fail(&mut left, error.to_string());
                    states.insert(share, left);
                }
            }
        }
    }
    outcome.policies = states.into_values().collect();
}

fn state(share: &str, declared: &Declared) -> SnapshotPolicyStatus {
    SnapshotPolicyStatus {
        share: share.to_owned(),
        applied: true,
        made: declared.made.contains(share),
        message: None,
    }
}

fn policy_of(share: &str) -> String {
    format!("the snapshot policy of {share}")
}

fn refuse(state: &mut SnapshotPolicyStatus, error: &Error) {
    let message = match error.status() {
        Some(StatusCode::NOT_FOUND) => format!(
            "the server has no share {}. The policy is applied as soon as it exists",
            state.share
        ),
        _ => error.to_string(),
    };
    fail(state, message);
}

fn fail(state: &mut SnapshotPolicyStatus, message: String) {
    state.applied = false;
    state.message = Some(message);
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
    format!("{}/snapshot-policy", share_path(share))
}
