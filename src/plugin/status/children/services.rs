//! The Services and the ServiceMonitor.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::cached;
use crate::api::{ServiceMonitor, names};
use crate::domain::load_balancers;
use crate::domain::observed::{KindState, Observed};
use crate::plugin::status::view::{ChildHealth, ChildView};
use crate::reconcile::context::Caches;

pub(super) fn services(observed: &Observed, caches: &Caches) -> Vec<ChildView> {
    let server = observed.server.name_any();
    let mut wanted = vec![names::api_service(&server), names::headless_service(&server)];
    if observed.server.spec.metrics_enabled() {
        wanted.push(names::metrics_service(&server));
    }
    let namespace = observed.server.namespace().unwrap_or_default();
    let mut others = caches.services.names_with_key(&namespace, &server);
    others.retain(|name| !wanted.contains(name));
    wanted.extend(others);
    wanted
        .iter()
        .map(|name| cached(observed, "Service", name, &caches.services, service))
        .collect()
}

/// None if the spec does not ask for it.
pub(super) fn service_monitor(observed: &Observed, caches: &Caches) -> Option<ChildView> {
    observed.server.spec.service_monitor()?;
    let (kind, name) = (
        ServiceMonitor::KIND,
        names::metrics_service(&observed.server.name_any()),
    );
    if observed.service_monitors == KindState::NotServed {
        let summary = "the Prometheus Operator is not installed";
        return Some(ChildView::new(kind, name, ChildHealth::Waiting, summary));
    }
    let describe = |_: &ServiceMonitor| (ChildHealth::Good, "scrapes the metrics".to_owned());
    Some(cached(observed, kind, &name, &caches.service_monitors, describe))
}

/// A load balancer without an address cannot be reached from outside the cluster.
fn service(service: &Service) -> (ChildHealth, String) {
    let spec = service.spec.clone().unwrap_or_default();
    let ports: Vec<String> = spec
        .ports
        .iter()
        .flatten()
        .map(|port| port.port.to_string())
        .collect();
    let kind = match spec.cluster_ip.as_deref() {
        Some("None") => "headless".to_owned(),
        _ => spec.type_.unwrap_or_default(),
    };
    let (health, at) = match (load_balancers::address(service), kind.as_str()) {
        (Some(address), _) => (ChildHealth::Good, format!(" at {address}")),
        (None, "LoadBalancer") => (ChildHealth::Waiting, " without an address yet".into()),
        (None, _) => (ChildHealth::Good, String::new()),
    };
    (health, format!("{kind}{at}, port {}", ports.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_load_balancer_is_good_once_it_has_an_address() {
        let described = |status: Value| {
            let spec = json!({"type": "LoadBalancer", "ports": [{"port": 8080}]});
            let stored = json!({"spec": spec, "status": {"loadBalancer": status}});
            service(&serde_json::from_value(stored).unwrap())
        };
        let waiting = (
            ChildHealth::Waiting,
            "LoadBalancer without an address yet, port 8080".to_owned(),
        );
        assert_eq!(described(json!({})), waiting);
        assert_eq!(described(json!({"ingress": []})), waiting);
        assert_eq!(
            described(json!({"ingress": [{"ip": "192.0.2.1"}]})),
            (
                ChildHealth::Good,
                "LoadBalancer at 192.0.2.1, port 8080".to_owned()
            )
        );
    }
}
