//! The tree of a server's children, computed from what was observed. Pure.
//!
//! | file | content |
//! |---|---|
//! | `children/workload.rs` | the StatefulSet and its pods |
//! | `children/claims.rs` | the volume claims |
//! | `children/database.rs` | the PerconaPGCluster |
//! | `children/services.rs` | the Services and the ServiceMonitor |
//! | `children/secrets.rs` | the Secrets, without their values |
//! | `children/shares.rs` | what the operator makes on the server: shares, users, groups, remote stores |

mod claims;
mod database;
mod secrets;
mod services;
mod shares;
mod workload;

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use super::view::{ChildHealth, ChildView};
use crate::api::{DittoServer, names, reasons};
use crate::cluster::cache::{Cache, Cached, Lookup};
use crate::domain::conditions::failed;
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, owner};
use crate::reconcile::context::Caches;

/// The children: first the workload, then its volumes, database, network and configuration.
pub(super) fn children(observed: &Observed, caches: &Caches) -> Vec<ChildView> {
    let mut nodes = vec![workload::stateful_set(observed)];
    nodes.extend(claims::claims(observed));
    nodes.extend(database::database(observed));
    nodes.extend(services::services(observed, caches));
    nodes.extend(services::service_monitor(observed, caches));
    nodes.extend(network_policies(observed, caches));
    nodes.extend(pod_disruption_budget(observed, caches));
    nodes.push(config_map(observed));
    nodes.extend(secrets::secrets(observed));
    nodes.extend(shares::shares(&observed.server));
    for node in &mut nodes {
        mark_outdated(node, &observed.server);
    }
    nodes
}

/// A healthy child may still differ from the spec. The conditions, which are in the output as well, show the cause.
fn mark_outdated(node: &mut ChildView, server: &DittoServer) {
    let mut conditions = server.status.iter().flat_map(|status| &status.conditions);
    let is_current = |condition: &Condition| condition.observed_generation == server.metadata.generation;
    let is_config_map = node.kind == "ConfigMap";
    let is_about_child = |condition: &Condition| {
        let is_outdated = is_config_map && condition.reason == reasons::CONFIG_OUTDATED;
        is_outdated || condition.message.contains(&failed(node.kind, &node.name))
    };
    let looks_healthy = matches!(node.health, ChildHealth::Good | ChildHealth::Waiting);
    if looks_healthy && conditions.any(|condition| is_current(condition) && is_about_child(condition)) {
        node.health = ChildHealth::Bad;
        node.summary.push_str(", differs from the spec");
    }
}

/// The owner of an object, unless it is this server.
pub(super) fn foreign<K: Resource>(object: &K, server: &DittoServer) -> Option<String> {
    match owner(object.meta(), server) {
        Owner::Us | Owner::Orphan => None,
        Owner::Predecessor => Some("belongs to a deleted server of this name, will be deleted".into()),
        Owner::Other(whom) => Some(format!("belongs to {whom}, is not changed")),
    }
}

fn missing(kind: &'static str, name: &str) -> ChildView {
    let mut node = ChildView::new(kind, name, ChildHealth::Bad, "does not exist");
    node.is_missing = true;
    node
}

fn unreadable(kind: &'static str, name: &str, error: &str) -> ChildView {
    ChildView::new(
        kind,
        name,
        ChildHealth::Unknown,
        format!("cannot be read: {error}"),
    )
}

/// A child that is read from the cache.
fn cached<K: Cached>(
    observed: &Observed,
    kind: &'static str,
    name: &str,
    cache: &Cache<K>,
    describe: impl Fn(&K) -> (ChildHealth, String),
) -> ChildView {
    let namespace = observed.server.namespace().unwrap_or_default();
    match cache.get(&namespace, name) {
        Lookup::Found(object) => {
            let foreign = foreign(object.as_ref(), &observed.server);
            let (health, summary) = foreign.map_or_else(
                || describe(object.as_ref()),
                |foreign| (ChildHealth::Bad, foreign),
            );
            ChildView::new(kind, name, health, summary)
        }
        Lookup::Missing => missing(kind, name),
        Lookup::Unknown(feed) => unreadable(kind, name, feed.why()),
    }
}

/// None if the spec disables them.
fn network_policies(observed: &Observed, caches: &Caches) -> Vec<ChildView> {
    if !observed.server.spec.network_policy_enabled() {
        return Vec::new();
    }
    let baseline = names::baseline_network_policy(&observed.server.name_any());
    let adapters: BTreeSet<String> = observed
        .adapter_policies
        .iter()
        .map(|policy| policy.name_any())
        .collect();
    let adapters = adapters.into_iter();
    let policies = [(baseline, "the API and the metrics")]
        .into_iter()
        .chain(adapters.map(|name| (name, "files")));
    policies
        .map(|(name, opens)| {
            let describe = |_: &NetworkPolicy| (ChildHealth::Good, format!("opens {opens}"));
            cached(
                observed,
                "NetworkPolicy",
                &name,
                &caches.network_policies,
                describe,
            )
        })
        .collect()
}

/// `None` if the spec does not ask for one.
fn pod_disruption_budget(observed: &Observed, caches: &Caches) -> Option<ChildView> {
    let name = names::pod_disruption_budget(&observed.server.name_any());
    let describe = |_: &PodDisruptionBudget| (ChildHealth::Good, "blocks evictions".to_owned());
    let view = || {
        let cache = &caches.pod_disruption_budgets;
        cached(observed, "PodDisruptionBudget", &name, cache, describe)
    };
    observed.server.spec.pod_disruption_budget_enabled().then(view)
}

fn config_map(observed: &Observed) -> ChildView {
    let (kind, name) = ("ConfigMap", names::config_map(&observed.server.name_any()));
    match &observed.config_map {
        Read::Found(object) => match foreign(object.as_ref(), &observed.server) {
            Some(whose) => ChildView::new(kind, name, ChildHealth::Bad, whose),
            None => ChildView::new(kind, name, ChildHealth::Good, "the server's configuration"),
        },
        Read::Missing => missing(kind, &name),
        Read::Unreadable(error) => unreadable(kind, &name, error),
    }
}
