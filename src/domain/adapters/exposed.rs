//! Which adapters have a Service and a NetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::names::port_name;
use super::report::of_a_new_server;
use crate::api::names;
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::server_settings::restarts::is_requested;

/// Longest name of a Service in Kubernetes.
const SERVICE_NAME_MAX: usize = 63;

/// One adapter that clients may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The type, as a part of names.
    pub adapter_type: String,
    /// The port on which it listens.
    pub port: u16,
    /// Whether it has a Service. Its NetworkPolicy exists earlier.
    pub has_service: bool,
}

/// The adapters of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterSet {
    /// Those that clients may reach.
    pub exposed: Vec<Exposed>,
    /// Those that the server does not run any more: their Services and NetworkPolicies are deleted.
    pub gone: Vec<String>,
}

/// Decides from the reports of the API and from what exists.
///
/// An adapter gets its Service when it serves for the first time. The Service then stays until the API has said twice in a row that
/// the adapter is not enabled: clients hold its address. No failure, no missing answer and no stopped server removes it.
///
/// The ports of a new server are open from its start, since an API that does not answer must not close files.
#[must_use]
pub fn exposed(observed: &Observed) -> AdapterSet {
    let report = &observed.report;
    let mut exposure = AdapterSet::default();
    for (adapter_type, known) in known(observed) {
        let adapter = report.enabled.get(&adapter_type);
        // An adapter that is restarted is off for a moment, or longer if a call fails.
        let is_restarted = is_requested(&observed.server, &adapter_type);
        if adapter.is_none() && report.is_gone(&adapter_type) && !is_restarted {
            exposure.gone.push(adapter_type);
            continue;
        }
        exposure.exposed.push(Exposed {
            port: adapter.map_or(known.port, |adapter| adapter.port),
            has_service: known.has_service || adapter.is_some_and(|adapter| adapter.is_healthy),
            adapter_type,
        });
    }
    // Port 0 of an unknown type: nobody knows where it listens. The API server refuses a Service with a longer name.
    let name = |adapter: &Exposed| names::adapter(&observed.server.name_any(), &adapter.adapter_type);
    exposure
        .exposed
        .retain(|adapter| adapter.port > 0 && name(adapter).len() <= SERVICE_NAME_MAX);
    exposure
}

/// The types of the adapters that have a Service or a NetworkPolicy.
#[must_use]
pub fn exposed_types(observed: &Observed) -> BTreeSet<String> {
    let services = observed.services.found().into_iter().flatten();
    let services = services.map(|service| &service.metadata);
    let policies = observed.adapter_policies.iter().map(|policy| &policy.metadata);
    let types = services
        .chain(policies)
        .filter_map(|metadata| adapter_type(metadata, observed));
    types.collect()
}

struct Known {
    port: u16,
    has_service: bool,
}

/// Every adapter that the reports or existing objects name.
fn known(observed: &Observed) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    if !was_answered(observed) {
        for (adapter_type, port) in of_a_new_server() {
            let has_service = false;
            known.insert(adapter_type.to_owned(), Known { port, has_service });
        }
    }
    for (adapter_type, adapter) in &observed.report.enabled {
        let port = adapter.port;
        let has_service = false;
        known.insert(adapter_type.clone(), Known { port, has_service });
    }
    for policy in &observed.adapter_policies {
        if let Some(adapter_type) = adapter_type(&policy.metadata, observed) {
            let port = policy_port(policy);
            let has_service = false;
            known.entry(adapter_type).or_insert(Known { port, has_service });
        }
    }
    for service in observed.services.found().into_iter().flatten() {
        if let Some(adapter_type) = adapter_type(&service.metadata, observed) {
            let port = service_port(service, &adapter_type);
            let entry = known.entry(adapter_type).or_insert(Known {
                port,
                has_service: true,
            });
            *entry = Known {
                port: if port > 0 { port } else { entry.port },
                has_service: true,
            };
        }
    }
    known
}

/// Whether the API of this server has ever answered, also to an earlier process.
fn was_answered(observed: &Observed) -> bool {
    let api = observed
        .server
        .status
        .as_ref()
        .and_then(|status| status.api.as_ref());
    observed.report.has_answer() || api.is_some_and(|api| api.reachable || api.last_success.is_some())
}

/// The type of an adapter, from the name of its Service or NetworkPolicy. `None` if the object is not ours.
pub(super) fn adapter_type(metadata: &ObjectMeta, observed: &Observed) -> Option<String> {
    let server = &observed.server;
    let prefix = names::adapter(&server.name_any(), "");
    let adapter_type = metadata.name.as_deref()?.strip_prefix(&prefix)?;
    let is_ours = matches!(owner(metadata, server), Owner::Us | Owner::Orphan);
    is_ours.then(|| adapter_type.to_owned())
}

/// The port of the adapter behind a Service; 0 if the Service does not have it.
fn service_port(service: &Service, adapter_type: &str) -> u16 {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref());
    let name = port_name(adapter_type);
    let mut ports = ports.unwrap_or_default().iter();
    let port = ports.find(|port| port.name.as_deref() == Some(name.as_str()));
    port.map_or(0, |port| u16::try_from(port.port).unwrap_or(0))
}

/// The first port that a NetworkPolicy opens; 0 if there is none.
fn policy_port(policy: &NetworkPolicy) -> u16 {
    let port = || {
        let rule = policy.spec.as_ref()?.ingress.as_ref()?.first()?;
        match rule.ports.as_ref()?.first()?.port.as_ref()? {
            IntOrString::Int(port) => u16::try_from(*port).ok(),
            IntOrString::String(_) => None,
        }
    };
    port().unwrap_or(0)
}
