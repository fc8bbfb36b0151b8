//! All children as manifests, in the order in which they are written.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;

use super::{DatabaseChange, Desired, Workload};
use crate::api::percona::PerconaPGCluster;
use crate::api::service_monitor::ServiceMonitor;

/// A child that is to be there. Serialized as the object itself. It has no `Debug`, which would show the values of Secrets.
#[derive(Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the kind of its name")]
pub enum Manifest {
    Secret(Box<Secret>),
    ConfigMap(Box<ConfigMap>),
    Service(Box<Service>),
    ServiceMonitor(Box<ServiceMonitor>),
    NetworkPolicy(Box<NetworkPolicy>),
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    PerconaPGCluster(Box<PerconaPGCluster>),
    StatefulSet(Box<StatefulSet>),
}

impl Desired {
    /// The children that are to be there. Changes of Secrets and claims that exist are not among them.
    #[must_use]
    pub fn into_manifests(self) -> Vec<Manifest> {
        let Self {
            secrets,
            secret_changes: _,
            not_generated: _,
            config_map,
            headless_service,
            api_service,
            metrics_service,
            service_monitor,
            network_policy,
            pod_disruption_budget,
            adapters,
            database,
            expansions: _,
            workload,
            uploads: _,
        } = self;
        let services = [Some(headless_service), Some(api_service), metrics_service];
        let mut manifests = Vec::new();
        manifests.extend(secrets.into_iter().map(Box::new).map(Manifest::Secret));
        manifests.extend(config_map.map(Box::new).map(Manifest::ConfigMap));
        manifests.extend(
            services
                .into_iter()
                .flatten()
                .map(Box::new)
                .map(Manifest::Service),
        );
        manifests.extend(service_monitor.map(Box::new).map(Manifest::ServiceMonitor));
        manifests.extend(network_policy.map(Box::new).map(Manifest::NetworkPolicy));
        manifests.extend(
            pod_disruption_budget
                .map(Box::new)
                .map(Manifest::PodDisruptionBudget),
        );
        manifests.extend(
            adapters
                .policies
                .into_iter()
                .map(Box::new)
                .map(Manifest::NetworkPolicy),
        );
        manifests.extend(adapters.services.into_iter().map(Box::new).map(Manifest::Service));
        if let DatabaseChange::Apply(cluster) = database {
            manifests.push(Manifest::PerconaPGCluster(cluster));
        }
        if let Workload::Run { stateful_set, .. } = workload {
            manifests.push(Manifest::StatefulSet(stateful_set));
        }
        manifests
    }
}
