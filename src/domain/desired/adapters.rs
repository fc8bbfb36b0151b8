//! The Services and NetworkPolicies of the adapters (NFS, SMB).
//!
//! Names, labels and the name of the adapter's own port are those of the Go operator, whose objects are adopted. A Service has TCP
//! ports only: a load balancer with TCP and UDP is not possible in most clouds, and multicast passes no Service.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::{meta, network_policy};
use crate::api::names::{self, NFS, SMB};
use crate::api::{DittoServer, ServiceType};
use crate::domain::adapters::{Exposed, exposed, port_name};
use crate::domain::observed::Observed;

/// Ports that clients expect of a protocol.
const STANDARD_PORTS: [(&str, i32); 2] = [(NFS, 2049), (SMB, 445)];
/// Port on which the server's portmapper listens, and the standard one.
const PORTMAPPER: (i32, i32) = (10111, 111);

/// The objects of all adapters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapters {
    /// Services.
    pub services: Vec<Service>,
    /// NetworkPolicies.
    pub policies: Vec<NetworkPolicy>,
    /// Names of Services that are deleted.
    pub unwanted_services: Vec<String>,
    /// Names of NetworkPolicies that are deleted.
    pub unwanted_policies: Vec<String>,
}

/// Builds the objects of all adapters.
pub(super) fn build(observed: &Observed) -> Adapters {
    let server = observed.server.as_ref();
    let exposure = exposed(observed);
    let name = |adapter_type: &String| names::adapter(&server.name_any(), adapter_type);
    let gone: Vec<String> = exposure.gone.iter().map(name).collect();
    let mut adapters = Adapters {
        services: exposure
            .exposed
            .iter()
            .filter(|adapter| adapter.has_service)
            .map(|adapter| service(observed, adapter))
            .collect(),
        unwanted_services: gone.clone(),
        ..Adapters::default()
    };
    adapters.services.extend(nfs_udp(observed, &exposure.exposed));
    // That it is not known whether NFS runs is no reason to delete the Service.
    if !server.spec.nfs_v3_discovery() || observed.report.is_gone(NFS) {
        let unwanted = names::nfs_udp_service(&server.name_any());
        adapters.unwanted_services.push(unwanted);
    }
    if server.spec.network_policy_enabled() {
        adapters.policies = exposure
            .exposed
            .iter()
            .map(|adapter| policy(server, adapter))
            .collect();
        adapters.unwanted_policies = gone;
    } else {
        adapters.unwanted_policies = exposure
            .exposed
            .iter()
            .map(|adapter| name(&adapter.adapter_type))
            .chain(gone)
            .collect();
    }
    adapters
}

fn metadata(server: &DittoServer, adapter_type: &str, label: &str) -> ObjectMeta {
    let owned = meta::owned(server, names::adapter(&server.name_any(), adapter_type));
    let mut metadata = meta::with_label(owned, label);
    metadata
        .labels
        .get_or_insert_default()
        .insert(names::ADAPTER_TYPE_LABEL.to_owned(), adapter_type.to_owned());
    metadata
}

fn service(observed: &Observed, adapter: &Exposed) -> Service {
    let server = observed.server.as_ref();
    let metadata = metadata(server, &adapter.adapter_type, names::ADAPTER_SERVICE_LABEL);
    exposed_service(observed, &adapter.adapter_type, metadata, ports(server, adapter))
}

/// A Service with everything that the spec says of the exposure of an adapter.
///
/// The API server refuses fields that do not fit the type, so they are left out: the type can then be changed in one edit.
fn exposed_service(
    observed: &Observed,
    adapter_type: &str,
    metadata: ObjectMeta,
    mut ports: Vec<ServicePort>,
) -> Service {
    let server = observed.server.as_ref();
    let type_ = server.spec.adapter_service_type(adapter_type);
    let exposure = server.spec.exposure(adapter_type);
    let is_balanced = type_ == ServiceType::LoadBalancer;
    let is_external = type_ != ServiceType::ClusterIP;
    if is_external {
        keep_node_ports(&mut ports, observed, &metadata);
    }
    let families: Vec<String> = exposure
        .ip_families
        .iter()
        .map(|family| <&str>::from(*family).to_owned())
        .collect();
    Service {
        metadata: ObjectMeta {
            annotations: meta::unless_empty(meta::recorded(exposure.annotations)),
            ..metadata
        },
        spec: Some(ServiceSpec {
            type_: Some(type_.as_str().to_owned()),
            selector: Some(names::selector_labels(&server.name_any())),
            ports: Some(ports),
            load_balancer_class: exposure.load_balancer_class.filter(|_| is_balanced),
            load_balancer_source_ranges: Some(exposure.load_balancer_source_ranges)
                .filter(|ranges| is_balanced && !ranges.is_empty()),
            allocate_load_balancer_node_ports: exposure
                .allocate_load_balancer_node_ports
                .filter(|_| is_balanced),
            external_traffic_policy: exposure
                .external_traffic_policy
                .filter(|_| is_external)
                .map(|policy| <&str>::from(policy).to_owned()),
            ip_family_policy: exposure
                .ip_family_policy
                .map(|policy| <&str>::from(policy).to_owned()),
            ip_families: Some(families).filter(|families| !families.is_empty()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The adapter's own port, and the standard one that leads to it.
fn ports(server: &DittoServer, adapter: &Exposed) -> Vec<ServicePort> {
    let adapter_type = adapter.adapter_type.as_str();
    let listening = i32::from(adapter.port);
    let is_external = server.spec.adapter_service_type(adapter_type) != ServiceType::ClusterIP;
    let fixed = server.spec.adapter_service(adapter_type).filter(|_| is_external);
    let standard = STANDARD_PORTS
        .iter()
        .find(|(protocol, port)| *protocol == adapter_type && *port != listening);
    let mut own = port(&port_name(adapter_type), listening, listening, "TCP");
    own.node_port = fixed.and_then(|fixed| fixed.adapter_node_port);
    let Some((name, number)) = standard else {
        // The adapter listens on the standard port itself.
        own.node_port = fixed.and_then(|fixed| fixed.node_port).or(own.node_port);
        return vec![own];
    };
    let mut standard = port(name, *number, listening, "TCP");
    standard.node_port = fixed.and_then(|fixed| fixed.node_port);
    vec![own, standard]
}

/// If the number of a port changes, its node port stays: clients outside the cluster know it.
fn keep_node_ports(ports: &mut [ServicePort], observed: &Observed, metadata: &ObjectMeta) {
    let mut services = observed.services.found().into_iter().flatten();
    let live = services.find(|service| service.metadata.name == metadata.name);
    let live = live.and_then(|service| service.spec.as_ref()?.ports.as_deref());
    for port in ports.iter_mut().filter(|port| port.node_port.is_none()) {
        let mut moved = live.unwrap_or_default().iter();
        let moved = moved.find(|live| live.name == port.name && live.port != port.port);
        port.node_port = moved.and_then(|live| live.node_port);
    }
}

fn port(name: &str, port: i32, target: i32, protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::Int(target)),
        protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    }
}

/// The Service of the portmapper and of NFS over UDP (MOUNT, NLM, NSM), if the spec asks for it.
fn nfs_udp(observed: &Observed, exposed: &[Exposed]) -> Option<Service> {
    let server = observed.server.as_ref();
    if !server.spec.nfs_v3_discovery() {
        return None;
    }
    let nfs = exposed.iter().find(|adapter| adapter.adapter_type == NFS)?;
    let listening = i32::from(nfs.port);
    let (portmapper, standard) = PORTMAPPER;
    let mut ports = vec![
        port("portmap", standard, portmapper, "TCP"),
        port("portmap-udp", standard, portmapper, "UDP"),
    ];
    // A Service has a number once for each protocol, and clients ask the portmapper first.
    if listening != standard {
        ports.push(port("adapter-nfs-udp", listening, listening, "UDP"));
    }
    let metadata = meta::owned(server, names::nfs_udp_service(&server.name_any()));
    Some(exposed_service(observed, NFS, metadata, ports))
}

fn policy(server: &DittoServer, adapter: &Exposed) -> NetworkPolicy {
    let metadata = metadata(server, &adapter.adapter_type, names::ADAPTER_NETWORK_POLICY_LABEL);
    let mut ports = vec![network_policy::port(i32::from(adapter.port), "TCP")];
    if adapter.adapter_type == NFS && server.spec.nfs_v3_discovery() {
        ports.extend(discovery(i32::from(adapter.port)));
    }
    network_policy::ingress(server, metadata, ports, server.spec.allowed_file_sources())
}

fn discovery(nfs: i32) -> [NetworkPolicyPort; 3] {
    let (portmapper, _) = PORTMAPPER;
    [
        network_policy::port(portmapper, "TCP"),
        network_policy::port(portmapper, "UDP"),
        network_policy::port(nfs, "UDP"),
    ]
}
