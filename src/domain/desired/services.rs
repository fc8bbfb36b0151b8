//! The headless, API and metrics Services (contract, section 2.2).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::meta;
use crate::api::names::API_PORT_NAME;
use crate::api::{DittoServer, ServiceType, names};

/// Name of the metrics' port.
pub(super) const METRICS_PORT_NAME: &str = "metrics";

/// The Service that gives the pod its DNS name.
pub(super) fn headless(server: &DittoServer) -> Service {
    let metadata = meta::owned(server, names::headless_service(&server.name_any()));
    let mut service = build(server, metadata, ServiceType::ClusterIP, api_port(server));
    if let Some(spec) = &mut service.spec {
        spec.cluster_ip = Some("None".to_owned());
    }
    service
}

/// The Service of the REST API.
pub(super) fn api(server: &DittoServer) -> Service {
    let metadata = ObjectMeta {
        annotations: meta::unless_empty(meta::recorded(server.spec.service_annotations().clone())),
        ..meta::owned(server, names::api_service(&server.name_any()))
    };
    build(server, metadata, server.spec.service_type(), api_port(server))
}

/// The Service of the metrics, if they are enabled. Prometheus finds it by its annotations without the Prometheus Operator.
pub(super) fn metrics(server: &DittoServer) -> Option<Service> {
    if !server.spec.metrics_enabled() {
        return None;
    }
    let port = server.spec.metrics_port();
    let owned = meta::owned(server, names::metrics_service(&server.name_any()));
    let metadata = ObjectMeta {
        annotations: Some(BTreeMap::from([
            ("prometheus.io/scrape".to_owned(), "true".to_owned()),
            ("prometheus.io/port".to_owned(), port.to_string()),
            (
                "prometheus.io/path".to_owned(),
                server.spec.metrics_path().to_owned(),
            ),
        ])),
        ..meta::with_label(owned, names::METRICS_SERVICE_LABEL)
    };
    Some(build(
        server,
        metadata,
        ServiceType::ClusterIP,
        tcp(METRICS_PORT_NAME, port),
    ))
}

fn build(server: &DittoServer, metadata: ObjectMeta, r#type: ServiceType, port: ServicePort) -> Service {
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(r#type.as_str().to_owned()),
            selector: Some(names::selector_labels(&server.name_any())),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn api_port(server: &DittoServer) -> ServicePort {
    tcp(API_PORT_NAME, server.spec.api_port())
}

fn tcp(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
