//! The address of an endpoint, as seen from where the client is.

use crate::api::Endpoint;
use crate::plugin::args::MountFrom;

/// A host and a port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: i32,
}

/// Where a client reaches an endpoint. `None` if it cannot.
pub(super) fn of(endpoint: &Endpoint, from: Option<MountFrom>) -> Option<Address> {
    match from.unwrap_or_else(|| nearest(endpoint)) {
        MountFrom::Cluster => Some(Address {
            host: in_cluster(endpoint),
            port: endpoint.port,
        }),
        // A node may not know the DNS of the cluster.
        MountFrom::Node => Some(Address {
            host: endpoint.cluster_ip.clone()?,
            port: endpoint.port,
        }),
        MountFrom::Outside if has_balancer(endpoint) => Some(Address {
            host: endpoint.host.clone(),
            port: endpoint.port,
        }),
        MountFrom::Outside => Some(Address {
            host: "NODE".to_owned(),
            port: endpoint.node_port?,
        }),
    }
}

/// From outside, if that is possible.
fn nearest(endpoint: &Endpoint) -> MountFrom {
    if has_balancer(endpoint) {
        MountFrom::Outside
    } else {
        MountFrom::Cluster
    }
}

/// The host of an endpoint is the name of its Service unless a load balancer has an address.
fn has_balancer(endpoint: &Endpoint) -> bool {
    !is_service(&endpoint.host, &endpoint.service)
}

fn is_service(host: &str, service: &str) -> bool {
    let rest = host
        .strip_prefix(service)
        .and_then(|rest| rest.strip_suffix("svc"));
    rest.is_some_and(|namespace| namespace.starts_with('.') && namespace.ends_with('.'))
}

fn in_cluster(endpoint: &Endpoint) -> String {
    if has_balancer(endpoint) {
        // The name of the Service in the same namespace.
        endpoint.service.clone()
    } else {
        endpoint.host.clone()
    }
}
