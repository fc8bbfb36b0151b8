//! The Services.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::cached;
use crate::api::names;
use crate::domain::observed::Observed;
use crate::plugin::status::view::ChildView;
use crate::reconcile::context::Caches;

pub(super) fn services(observed: &Observed, caches: &Caches) -> Vec<ChildView> {
    let server = observed.server.name_any();
    let mut wanted = vec![names::api_service(&server), names::headless_service(&server)];
    if observed.server.spec.metrics_enabled() {
        wanted.push(names::metrics_service(&server));
    }
    let of_server = |service: &Arc<Service>| {
        service.namespace() == observed.server.namespace()
            && service.labels().get(names::INSTANCE_LABEL) == Some(&server)
    };
    let others = caches.services.all().into_iter().filter(of_server);
    let others: BTreeSet<String> = others.map(|service| service.name_any()).collect();
    let others = others
        .into_iter()
        .filter(|name| !wanted.contains(name))
        .collect::<Vec<_>>();
    wanted.extend(others);
    wanted
        .iter()
        .map(|name| cached(observed, "Service", name, &caches.services, service))
        .collect()
}

fn service(service: &Service) -> String {
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
    let ingress = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let address = ingress
        .and_then(|ingress| ingress.first())
        .and_then(|first| first.ip.clone().or_else(|| first.hostname.clone()));
    let at = match (address, kind.as_str()) {
        (Some(address), _) => format!(" at {address}"),
        (None, "LoadBalancer") => ", no address yet".into(),
        (None, _) => String::new(),
    };
    format!("{kind}{at}, port {}", ports.join(", "))
}
