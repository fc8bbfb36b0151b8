//! Step 3, desired: the children as they should be.
//!
//! One file for each kind under `desired/`. Every child has the controller owner reference, except data that must outlive the server
//! (managed Secrets, and the database).

mod adapters;
mod config;
mod config_map;
mod database_tls;
mod env;
mod hash;
mod hibernation;
pub mod made_here;
mod manifests;
mod meta;
mod mounts;
mod network_policy;
mod percona;
mod percona_images;
mod pod;
pub(crate) mod pod_additions;
mod pod_disruption_budget;
mod probes;
mod secrets;
mod security;
mod service_monitor;
mod services;
mod settled;
mod stateful_set;
mod volumes;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use thiserror::Error;

pub use self::adapters::Adapters;
pub use self::manifests::Manifest;
pub use self::secrets::{SecretAction, SecretChange};
use crate::api::percona::PerconaPGCluster;
use crate::api::service_monitor::ServiceMonitor;
use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::SecretUse;
use crate::domain::server_settings::kerberos;
use crate::domain::settings::Settings;
use crate::domain::uploads;
use crate::domain::validate::{PodGate, Valid, prevents_start, validate};
use crate::domain::volumes::Expansion;
use crate::domain::workload::pod_template::config_hash;
use crate::domain::workload::rollout;
use crate::domain::workload::running::as_running;

/// Why the children could not be built.
#[derive(Debug, Error)]
pub enum Error {
    /// The configuration cannot be written as YAML.
    #[error("the server's configuration cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml::SerializeError),
}

/// Every child of one server.
///
/// `apply` destructures this without `..`, so that a forgotten child does not compile.
#[derive(Clone, PartialEq)]
pub struct Desired {
    /// Managed Secrets that do not exist yet.
    pub secrets: Vec<Secret>,
    /// Changes of managed Secrets that exist.
    pub secret_changes: Vec<SecretChange>,
    /// Managed Secrets that are missing and not generated for a new server, because existing data may use other values.
    pub not_generated: Vec<String>,
    /// Configuration of the server. `None` if the present one must stay because the pod must not be changed.
    pub config_map: Option<ConfigMap>,
    /// Headless Service of the StatefulSet.
    pub headless_service: Service,
    /// Service of the server's API.
    pub api_service: Service,
    /// Service of the metrics endpoint, if metrics are enabled; otherwise an existing one of ours is removed.
    pub metrics_service: Option<Service>,
    /// ServiceMonitor of that Service, if the spec asks for one. It is written only where its kind is installed.
    pub service_monitor: Option<ServiceMonitor>,
    /// Baseline NetworkPolicy. `None` if the spec disables it: an existing one of ours is deleted.
    pub network_policy: Option<NetworkPolicy>,
    /// PodDisruptionBudget. `None` if the spec does not ask for one: an existing one of ours is deleted.
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// Services and NetworkPolicies of the adapters.
    pub adapters: Adapters,
    /// Database cluster.
    pub database: DatabaseChange,
    /// Volumes that are smaller than the spec.
    pub expansions: Vec<Expansion>,
    /// The pod.
    pub workload: Workload,
    /// What the pod must upload before it ends.
    pub uploads: uploads::Plan,
}

/// Shows the names of the Secrets, never their values.
impl fmt::Debug for Desired {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secrets,
            secret_changes,
            not_generated,
            config_map,
            headless_service,
            api_service,
            metrics_service,
            service_monitor,
            network_policy,
            pod_disruption_budget,
            adapters,
            database,
            expansions,
            workload,
            uploads,
        } = self;
        let names: Vec<_> = secrets.iter().map(|secret| &secret.metadata.name).collect();
        formatter
            .debug_struct("Desired")
            .field("secrets", &names)
            .field("secret_changes", secret_changes)
            .field("not_generated", not_generated)
            .field("config_map", config_map)
            .field("headless_service", headless_service)
            .field("api_service", api_service)
            .field("metrics_service", metrics_service)
            .field("service_monitor", service_monitor)
            .field("network_policy", network_policy)
            .field("pod_disruption_budget", pod_disruption_budget)
            .field("adapters", adapters)
            .field("database", database)
            .field("expansions", expansions)
            .field("workload", workload)
            .field("uploads", uploads)
            .finish()
    }
}

/// What to do with the database cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseChange {
    /// Apply it.
    Apply(Box<PerconaPGCluster>),
    /// Remove the owner reference and the finalizers with which it would be deleted with the server. They are set again when the
    /// server is deleted, if its policy says so then.
    Release(Arc<PerconaPGCluster>),
    /// Nothing: it does not exist, or its state is unknown.
    Leave,
}

/// What to do with the StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Apply it.
    Run {
        /// The whole StatefulSet.
        stateful_set: Box<StatefulSet>,
        /// SHA-256, in hex, over what the running server reads at start. Also on the pod template.
        config_hash: String,
    },
    /// It exists and its pod must not be touched; only the number of replicas follows the spec.
    Hold {
        /// `spec.replicas` of the server; 0 for a stopped one whose database does not serve yet; the present number while the server
        /// uploads before it ends.
        replicas: i32,
    },
    /// It does not exist, and the pod could not start. Or the pod has lost it, and uploads before it ends.
    Await,
}

/// Builds every child of a validated server.
///
/// # Errors
///
/// If the configuration cannot be written as YAML.
#[tracing::instrument(level = "debug", skip_all)]
pub fn desired(valid: &Valid<'_>, settings: &Settings) -> Result<Desired, Error> {
    let observed = valid.observed;
    let server = &observed.server;
    let config = config::render(&server.spec, data_home::is_pending(observed))?;
    let secrets = secrets::plan(valid);
    let (workload, uploads) = after_uploads(observed, workload(valid, &secrets, &config)?);
    let metrics_service = services::metrics(server);
    // While the pod uploads before it ends, it is reached as it runs.
    let reached = if uploads.holds {
        as_running(observed)
    } else {
        Cow::Borrowed(server.as_ref())
    };
    Ok(Desired {
        config_map: may_write_config(observed, &workload, &uploads)
            .then(|| config_map::build(server, config)),
        headless_service: services::headless(&reached),
        api_service: services::api(&reached),
        service_monitor: service_monitor::build(server, metrics_service.as_ref()),
        metrics_service,
        network_policy: network_policy::build(&reached),
        pod_disruption_budget: pod_disruption_budget::build(server),
        adapters: adapters::build(observed),
        database: percona::build(observed, settings),
        expansions: crate::domain::volumes::expansions(observed),
        secrets: secrets.create,
        secret_changes: secrets.change,
        not_generated: secrets.not_generated,
        workload,
        uploads,
    })
}

/// The config hash that the pod must have now. `None` while the pod template must not be written.
pub(crate) fn wanted_hash(observed: &Observed) -> Option<String> {
    let verdict = validate(observed);
    let valid = verdict.valid.filter(|valid| valid.pod == PodGate::Open)?;
    let config = config::render(&observed.server.spec, data_home::is_pending(observed)).ok()?;
    hash(&valid, &secrets::plan(&valid), &config).ok()
}

/// The hash over what the server reads at its start. A Secret that this reconcile writes counts with its new value.
///
/// Earlier operators had LDAP and the Kerberos block in the hash. A pod template with such a hash keeps it while it is right, so that an
/// upgrade of the operator restarts no server.
fn hash(valid: &Valid<'_>, planned: &secrets::SecretPlan, config: &str) -> Result<String, Error> {
    let observed = valid.observed;
    let (server, uses) = (&observed.server, &valid.uses);
    let stays_on_sqlite = data_home::is_pending(observed);
    let value = |used: &SecretUse| planned.value(used).or_else(|| observed.value(used));
    let read_at_start = config::read_at_start(&server.spec, stays_on_sqlite)?;
    let kerberos = kerberos::in_config_hash(server);
    let hash = hash::config_hash(&read_at_start, kerberos.as_deref(), uses, value);
    let live = observed.stateful_set.found().and_then(|set| config_hash(set));
    let Some(live) = live.filter(|live| *live != hash) else {
        return Ok(hash);
    };
    let with_kerberos = config::with_kerberos(&server.spec, stays_on_sqlite)?;
    let mut former = [
        hash::hash_with_ldap(config, uses, value),
        hash::hash_with_kerberos(&with_kerberos, uses, value),
    ]
    .into_iter();
    Ok(former.find(|former| former == live).unwrap_or(hash))
}

fn workload(valid: &Valid<'_>, planned: &secrets::SecretPlan, config: &str) -> Result<Workload, Error> {
    let observed = valid.observed;
    Ok(match (valid.pod, &observed.stateful_set) {
        // A StatefulSet that cannot be read may exist, so it must not be created or changed.
        (_, Read::Unreadable(_)) | (PodGate::Closed, Read::Found(_)) => Workload::Hold {
            replicas: held_replicas(observed),
        },
        (PodGate::Open, Read::Found(_)) if kerberos::is_switched_off_first(observed) => Workload::Hold {
            replicas: held_replicas(observed),
        },
        (PodGate::Closed, Read::Missing) => Workload::Await,
        (PodGate::Open, Read::Found(_) | Read::Missing) => {
            let config_hash = hash(valid, planned, config)?;
            let stateful_set = Box::new(stateful_set::build(valid, &config_hash));
            Workload::Run {
                stateful_set,
                config_hash,
            }
        }
    })
}

/// What to do with the StatefulSet, and what the pod must upload before: meanwhile it stays as it is.
fn after_uploads(observed: &Observed, workload: Workload) -> (Workload, uploads::Plan) {
    let (replicas, desired) = match &workload {
        Workload::Run { stateful_set, .. } => (rollout::replicas(stateful_set), Some(stateful_set.as_ref())),
        Workload::Hold { replicas } => (*replicas, None),
        Workload::Await => return (workload, uploads::plan(observed, None)),
    };
    let plan = uploads::plan(observed, uploads::end(observed, replicas, desired).as_ref());
    if !plan.holds {
        return (workload, plan);
    }
    let live = observed.stateful_set.found();
    // A pod whose StatefulSet was deleted would be ended by a new one.
    let held = live.map_or(Workload::Await, |live| Workload::Hold {
        replicas: rollout::replicas(live),
    });
    (held, plan)
}

/// What the pod must upload before it ends. `desired` is what was built; a server that is being deleted has none.
#[must_use]
pub fn uploads(observed: &Observed, desired: Option<&Desired>) -> uploads::Plan {
    desired.map_or_else(
        || uploads::plan(observed, uploads::deletion(observed).as_ref()),
        |desired| desired.uploads.clone(),
    )
}

/// The replicas of a StatefulSet that is not updated follow the spec, but no server starts before its database.
fn held_replicas(observed: &Observed) -> i32 {
    if prevents_start(observed) {
        0
    } else {
        observed.server.spec.desired_replicas()
    }
}

/// If the pod must not be changed but its container restarts, it must find the configuration that fits its environment. So the
/// ConfigMap is not changed either.
fn may_write_config(observed: &Observed, workload: &Workload, uploads: &uploads::Plan) -> bool {
    let is_held = matches!(workload, Workload::Hold { .. }) || uploads.holds;
    !is_held || matches!(observed.config_map, Read::Missing)
}
