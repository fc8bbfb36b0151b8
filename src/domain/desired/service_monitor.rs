//! The ServiceMonitor of the metrics (contract, section 2.5).

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::meta;
use super::services::METRICS_PORT_NAME;
use crate::api::service_monitor::{
    Endpoint, Monitoring, NamespaceSelector, SecretKey, ServiceMonitor, ServiceSelector,
};
use crate::api::{DittoServer, names};

/// The ServiceMonitor that selects this metrics Service. `None` if the spec does not ask for one.
///
/// The labels of the user come first, so that they cannot replace those by which the operator finds its objects.
pub(super) fn build(server: &DittoServer, metrics: Option<&Service>) -> Option<ServiceMonitor> {
    let asked = server.spec.service_monitor()?;
    let ours = metrics?.metadata.labels.clone().unwrap_or_default();
    let mut labels = asked.labels.clone();
    labels.extend(ours.clone());
    let owned = meta::owned(server, names::metrics_service(&server.name_any()));
    Some(ServiceMonitor {
        metadata: ObjectMeta {
            labels: Some(labels),
            ..owned
        },
        spec: Monitoring {
            selector: ServiceSelector { match_labels: ours },
            namespace_selector: server.namespace().map(|namespace| NamespaceSelector {
                match_names: vec![namespace],
            }),
            endpoints: vec![endpoint(server, asked.interval.clone())],
        },
    })
}

fn endpoint(server: &DittoServer, interval: Option<String>) -> Endpoint {
    let token = server.spec.metrics_token_ref();
    Endpoint {
        port: Some(METRICS_PORT_NAME.to_owned()),
        path: Some(server.spec.metrics_path().to_owned()),
        interval: interval.filter(|interval| !interval.is_empty()),
        bearer_token_secret: token.map(|token| SecretKey {
            name: token.name.clone(),
            key: token.key.clone(),
        }),
    }
}
