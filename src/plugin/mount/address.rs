//! The address of an endpoint, as seen from where the client is.

use std::net::Ipv6Addr;

use crate::api::Endpoint;
use crate::plugin::args::MountFrom;

/// Host of a node port: the user replaces it.
pub(super) const NODE: &str = "NODE";

/// A host and a port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: i32,
}

impl Address {
    pub(super) fn is_ipv6(&self) -> bool {
        self.host.parse::<Ipv6Addr>().is_ok()
    }

    /// The host in front of a colon, as in URLs and in `host:/share`: an IPv6 address stands in brackets.
    pub(super) fn bracketed(&self) -> String {
        if self.is_ipv6() {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// The host in a path of Windows, which cannot contain colons. Windows itself resolves names of `ipv6-literal.net`.
    pub(super) fn for_windows(&self) -> String {
        if self.is_ipv6() {
            format!("{}.ipv6-literal.net", self.host.replace(':', "-"))
        } else {
            self.host.clone()
        }
    }
}

/// Where a client reaches an endpoint of a server in this namespace. `None` if it cannot.
pub(super) fn of(endpoint: &Endpoint, namespace: &str, from: Option<MountFrom>) -> Option<Address> {
    let service = in_cluster(endpoint, namespace);
    // The host of an endpoint is the name of its Service unless a load balancer has an address.
    let is_balanced = endpoint.host != service;
    let nearest = || {
        if is_balanced {
            MountFrom::Outside
        } else {
            MountFrom::Cluster
        }
    };
    let (host, port) = match from.unwrap_or_else(nearest) {
        MountFrom::Cluster => (service, endpoint.port),
        // A node may not know the DNS of the cluster.
        MountFrom::Node => (endpoint.cluster_ip.clone()?, endpoint.port),
        MountFrom::Outside if is_balanced => (endpoint.host.clone(), endpoint.port),
        MountFrom::Outside => (NODE.to_owned(), endpoint.node_port?),
    };
    Some(Address { host, port })
}

/// The name of the Service, for pods of every namespace.
pub(super) fn in_cluster(endpoint: &Endpoint, namespace: &str) -> String {
    format!("{}.{namespace}.svc", endpoint.service)
}
