//! All children as manifests, in the order in which they are written.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::Serialize;

use super::{DatabaseChange, Desired, Workload};
use crate::api::percona::PerconaPGCluster;

/// A child that is to be there. Serialized as the object itself. It has no `Debug`, which would show the values of Secrets.
#[derive(Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the kind of its name")]
pub enum Manifest {
    Secret(Box<Secret>),
    ConfigMap(Box<ConfigMap>),
    Service(Box<Service>),
    NetworkPolicy(Box<NetworkPolicy>),
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
            network_policy,
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
        let secrets = secrets
            .into_iter()
            .map(|secret| Manifest::Secret(Box::new(secret)));
        secrets
            .chain(config_map.map(|config_map| Manifest::ConfigMap(Box::new(config_map))))
            .chain(
                services
                    .into_iter()
                    .flatten()
                    .map(|service| Manifest::Service(Box::new(service))),
            )
            .chain(network_policy.map(|policy| Manifest::NetworkPolicy(Box::new(policy))))
            .chain(database)
            .chain(stateful_set)
            .collect()
    }
}
