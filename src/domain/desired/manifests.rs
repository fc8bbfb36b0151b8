//! All children as manifests, in the order in which they are written.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;

use super::{Adapters, DatabaseChange, Desired, Workload};
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
        } = self;
        let services = [Some(headless_service), Some(api_service), metrics_service];
        let database = match database {
            DatabaseChange::Apply(cluster) => Some(Manifest::PerconaPGCluster(cluster)),
            _ => None,
        };
        let stateful_set = match workload {
            Workload::Run { stateful_set, .. } => Some(Manifest::StatefulSet(stateful_set)),
            _ => None,
        };
        let Adapters {
            services: adapter_services,
            policies,
            unwanted_services: _,
            unwanted_policies: _,
        } = adapters;
        let policies = policies
            .into_iter()
            .map(|policy| Manifest::NetworkPolicy(Box::new(policy)));
        let adapter_services = adapter_services
            .into_iter()
            .map(|service| Manifest::Service(Box::new(service)));
        let secrets = secrets
            .into_iter()
            .map(|secret| Manifest::Secret(Box::new(secret)));
        let budget = pod_disruption_budget.map(|budget| Manifest::PodDisruptionBudget(Box::new(budget)));
        secrets
            .chain(config_map.map(|config_map| Manifest::ConfigMap(Box::new(config_map))))
            .chain(
                services
                    .into_iter()
                    .flatten()
                    .map(|service| Manifest::Service(Box::new(service))),
            )
            .chain(service_monitor.map(|monitor| Manifest::ServiceMonitor(Box::new(monitor))))
            .chain(network_policy.map(|policy| Manifest::NetworkPolicy(Box::new(policy))))
            .chain(budget)
            .chain(policies)
            .chain(adapter_services)
            .chain(database)
            .chain(stateful_set)
            .collect()
    }
}
