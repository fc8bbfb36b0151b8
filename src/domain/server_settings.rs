//! Settings that a server keeps in its database and the spec declares: snapshot policies, identity providers, and the portmapper
//! and UDP of NFS. An adapter that the user wants to be restarted is handled with them.
//!
//! The settings are compared first and written only if they differ. `server/settings.rs` makes the calls.

pub mod adapter_settings;
pub mod kerberos;
mod provider_values;
pub mod providers;
pub mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::adapter_settings::DeclaredAdapter;
use self::providers::Provider;
use self::restarts::Request;
use crate::api::duration::parse_go;
use crate::api::{
    AdapterRestartStatus, DittoServer, DittoServerStatus, IdentityProviderStatus, SettingsCorrection,
    SettingsStatus, ShareSnapshotsSpec, SnapshotPolicySpec, SnapshotPolicyStatus,
};
use crate::domain::content::Content;
use crate::domain::content::announced::has_announced;
use crate::domain::content::shares::path;
use crate::domain::content::status::ContentStatus;
use crate::domain::observed::Observed;

/// What the spec declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Snapshot policies by share.
    pub policies: BTreeMap<String, Policy>,
    /// Shares whose policy this operator made, also where the spec does not declare it any more.
    pub made: BTreeSet<String>,
    /// Whether NFS has a portmapper and UDP. `None`: not the operator's concern.
    pub nfs_v3_discovery: Option<bool>,
    /// Identity providers.
    pub providers: Vec<Provider>,
    /// Settings of adapters.
    pub adapters: Vec<DeclaredAdapter>,
    /// Users, groups, remote stores and shares. `None`: not the operator's concern.
    pub content: Option<Arc<Content>>,
    /// Requests to restart an adapter that are open.
    pub restarts: Vec<Request>,
    /// What is known of restarts.
    pub known_restarts: Vec<AdapterRestartStatus>,
    /// Whether nothing is compared now: the server is paused, or its spec is not valid. What is known stays.
    pub is_held: bool,
    /// Whether the server had these settings at the last comparison: what is different now was changed there.
    pub is_unchanged: bool,
}

impl Declared {
    /// Nothing is compared for now.
    #[must_use]
    pub fn held() -> Self {
        Self {
            is_held: true,
            ..Self::default()
        }
    }

    /// What the spec of a server declares. `is_outdated`: as in [`providers::declared`].
    #[must_use]
    pub fn of(observed: &Observed, is_outdated: impl Fn() -> bool) -> Self {
        let server = observed.server.as_ref();
        let declared = server.spec.snapshot_policies.iter();
        let of_shares = server.spec.shares.iter().filter_map(|declared| {
            let policy = Policy::of_share(declared.snapshots.as_ref()?);
            Some((path(&declared.name), policy))
        });
        let known = server.status.iter().flat_map(|status| &status.snapshot_policies);
        Self {
            policies: declared
                .map(|policy| (path(&policy.share), Policy::of(policy)))
                .chain(of_shares)
                .collect(),
            made: known
                .filter(|policy| policy.made)
                .map(|policy| policy.share.clone())
                .collect(),
            nfs_v3_discovery: server
                .spec
                .adapter_services
                .as_ref()
                .and_then(|services| services.nfs_v3_discovery),
            providers: providers::declared(observed, is_outdated),
            adapters: adapter_settings::declared(&server.spec),
            content: Content::of(observed).map(Arc::new),
            restarts: restarts::requests(server),
            known_restarts: restarts::known(server),
            is_held: false,
            is_unchanged: false,
        }
    }

    /// Whether there is nothing to compare.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            policies,
            made,
            nfs_v3_discovery,
            providers,
            adapters,
            content,
            restarts,
            known_restarts,
            is_held: _,
            is_unchanged: _,
        } = self;
        policies.is_empty()
            && made.is_empty()
            && nfs_v3_discovery.is_none()
            && providers.is_empty()
            && adapters.is_empty()
            && content.is_none()
            && restarts.is_empty()
            && !known_restarts.iter().any(|known| known.required)
    }

    /// Whether a comparison with `before` shows nothing new: policies that were made meanwhile and requests that were carried out are
    /// no reason to look again.
    #[must_use]
    pub fn is_same(&self, before: &Self) -> bool {
        if self.is_held {
            return true;
        }
        let has_leftover = self.made.iter().any(|share| !self.policies.contains_key(share));
        let is_same = |(one, other): (&Provider, &Provider)| one.is_same(other);
        let is_same_content = match (&self.content, &before.content) {
            (Some(content), Some(before)) => content.is_same(before),
            (content, before) => content.is_none() && before.is_none(),
        };
        !has_leftover
            && self.policies == before.policies
            && self.nfs_v3_discovery == before.nfs_v3_discovery
            && self.adapters == before.adapters
            && is_same_content
            && self.providers.len() == before.providers.len()
            && self.providers.iter().zip(&before.providers).all(is_same)
            && self
                .restarts
                .iter()
                .all(|request| before.restarts.contains(request))
    }
}

/// A snapshot policy, as the server's API takes and gives it. A field that is left out of a write has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `@hourly`, `@daily`, `@weekly` or a duration.
    pub interval: String,
    /// Number of snapshots that are kept; 0 is no limit.
    #[serde(default)]
    pub keep_last: i32,
    /// Age at which a snapshot is deleted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ttl: String,
    /// Prefix of names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name_prefix: String,
    /// Whether snapshots are made.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn enabled() -> bool {
    true
}

impl Policy {
    fn of(spec: &SnapshotPolicySpec) -> Self {
        Self {
            interval: spec.interval.clone(),
            keep_last: spec.keep_last.unwrap_or_default(),
            ttl: spec.ttl.clone().unwrap_or_default(),
            name_prefix: spec.name_prefix.clone().unwrap_or_default(),
            enabled: spec.enabled.unwrap_or(true),
        }
    }

    fn of_share(spec: &ShareSnapshotsSpec) -> Self {
        Self {
            interval: spec.interval.clone(),
            keep_last: spec.keep_last.unwrap_or_default(),
            ttl: spec.ttl.clone().unwrap_or_default(),
            name_prefix: spec.name_prefix.clone().unwrap_or_default(),
            enabled: true,
        }
    }

    /// Whether two policies mean the same. The server writes durations in Go's long form: `24h0m0s` for `@daily`.
    fn is_same(&self, other: &Self) -> bool {
        let rest = |policy: &Self| (policy.keep_last, policy.name_prefix.clone(), policy.enabled);
        time(&self.interval) == time(&other.interval)
            && time(&self.ttl) == time(&other.ttl)
            && rest(self) == rest(other)
    }
}

/// A duration in any notation. Nothing and zero mean the same.
fn time(text: &str) -> Option<Duration> {
    const HOUR: u64 = 3600;
    let seconds = match text {
        "@hourly" => HOUR,
        "@daily" => 24 * HOUR,
        "@weekly" => 7 * 24 * HOUR,
        other => return parse_go(other).filter(|duration| !duration.is_zero()),
    };
    Some(Duration::from_secs(seconds))
}

/// A step that brings the policies closer to the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only report that the operator is about to make the policy of this share. It is written once the status holds that: if the
    /// operator dies between the two, the next one still knows that the policy is to be removed when it leaves the spec.
    Announce(String),
    /// Write the policy of a share.
    Put {
        /// The share.
        share: String,
        /// Its policy.
        policy: Policy,
    },
    /// Remove the policy of a share: this operator made it, and the spec does not declare it any more.
    Delete(String),
}

/// The steps that are needed, for what the server has.
#[must_use]
pub fn changes(declared: &Declared, live: &BTreeMap<String, Policy>) -> Vec<Change> {
    let puts = declared.policies.iter().filter_map(|(share, policy)| {
        let known = live.get(share);
        let is_needed = known.is_none_or(|known| !known.is_same(policy));
        let is_announced = known.is_some() || declared.made.contains(share);
        is_needed.then(|| {
            let share = share.clone();
            if is_announced {
                let policy = policy.clone();
                Change::Put { share, policy }
            } else {
                Change::Announce(share)
            }
        })
    });
    let deletes = declared.made.iter().filter_map(|share| {
        let is_leftover = !declared.policies.contains_key(share) && live.contains_key(share);
        is_leftover.then(|| Change::Delete(share.clone()))
    });
    puts.chain(deletes).collect()
}

/// What became of the declared settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The policies that the spec declares, and those that could not be removed.
    pub policies: Vec<SnapshotPolicyStatus>,
    /// The identity providers that this operator has written.
    pub providers: Vec<IdentityProviderStatus>,
    /// Users, groups, remote stores and shares. `None` if they were not compared.
    pub content: Option<ContentStatus>,
    /// The adapters that were restarted, or must be.
    pub restarts: Vec<AdapterRestartStatus>,
    /// Whether an adapter that is being restarted is disabled now, because a call failed.
    pub has_stopped_adapter: bool,
    /// Whether an adapter could not be restarted, as was requested.
    pub has_failed_restart: bool,
    /// Whether a setting is written once the status says that it needs a restart.
    pub has_announced_restart: bool,
    /// Why the settings of an adapter could not be written.
    pub failure: Option<String>,
    /// The settings that were changed on the server, and were put back.
    pub correction: Option<SettingsCorrection>,
}

impl Outcome {
    /// Whether something became better since `before`, so that the next step may get further.
    #[must_use]
    pub fn is_progress(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| self != before)
    }

    /// Whether everything is as declared.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failure.is_none()
            && !self.has_failed_restart
            && !self.has_announced_restart
            && self.policies.iter().all(|policy| policy.applied)
            && self.providers.iter().all(|provider| provider.applied)
            && self.content.as_ref().is_none_or(ContentStatus::is_complete)
    }
}

/// The identity providers for the status. Before the API was asked, what is known stays.
#[must_use]
pub fn provider_status(server: &DittoServer, outcome: Option<&Outcome>) -> Vec<IdentityProviderStatus> {
    let before = server.status.as_ref().map(|status| &status.identity_providers);
    match outcome {
        Some(outcome) => outcome.providers.clone(),
        None => before.cloned().unwrap_or_default(),
    }
}

/// The policies for the status. Before the API was asked, what is known stays.
///
/// A comparison may have begun before the status said that the operator makes a policy. What it found out does not take that back:
/// the policy may have been made meanwhile, and nobody would remove it when it leaves the spec.
#[must_use]
pub fn status(server: &DittoServer, outcome: Option<&Outcome>) -> Vec<SnapshotPolicyStatus> {
    let before = server.status.clone().unwrap_or_default();
    let Some(outcome) = outcome else {
        return before.snapshot_policies;
    };
    let policies = outcome.policies.iter().cloned();
    let noted = policies.map(|policy| SnapshotPolicyStatus {
        made: policy.made || made(&before).any(|share| share == policy.share),
        ..policy
    });
    noted.collect()
}

/// Zero if the status that the operator wrote itself, and that no watch reports to it, allows or demands more: a write to the server that
/// it announces, or another config hash.
#[must_use]
pub fn recheck_in(before: &DittoServerStatus, after: &DittoServerStatus) -> Option<Duration> {
    let is_changed = !made(before).eq(made(after))
        || !written_providers(before).eq(written_providers(after))
        || !required_restarts(before).eq(required_restarts(after))
        || has_announced(before, after);
    is_changed.then_some(Duration::ZERO)
}

fn made(status: &DittoServerStatus) -> impl Iterator<Item = &str> {
    let made = status.snapshot_policies.iter().filter(|policy| policy.made);
    made.map(|policy| policy.share.as_str())
}

fn written_providers(status: &DittoServerStatus) -> impl Iterator<Item = (&str, Option<&str>)> {
    let providers = status.identity_providers.iter();
    providers.map(|provider| (provider.r#type.as_str(), provider.applied_fingerprint.as_deref()))
}

fn required_restarts(status: &DittoServerStatus) -> impl Iterator<Item = (&str, Option<&str>)> {
    let required = status.adapter_restarts.iter().filter(|state| state.required);
    required.map(|state| (state.adapter.as_str(), state.message.as_deref()))
}

/// The settings for the status. Before the API was asked, what is known stays, and so does the last correction.
#[must_use]
pub fn settings_status(server: &DittoServer, outcome: Option<&Outcome>) -> Option<SettingsStatus> {
    let before = server.status.as_ref().and_then(|status| status.settings.clone());
    let Some(outcome) = outcome else {
        return before;
    };
    let last = before.and_then(|before| before.last_correction);
    let status = SettingsStatus {
        message: outcome.failure.clone(),
        last_correction: outcome.correction.clone().or(last),
    };
    (status != SettingsStatus::default()).then_some(status)
}

#[cfg(test)]
mod tests;
