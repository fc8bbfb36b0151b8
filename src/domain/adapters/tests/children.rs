//! The Services that follow from a report.

use super::*;
use crate::api::names;
use crate::domain::desired::Adapters;

/// The children of a server whose API reported both adapters, with these fields of the spec.
fn adapters_of(spec: &str, report: ServerReport, services: Vec<Service>) -> Adapters {
    let mut observed = testing::running(spec);
    observed.report = Arc::new(report);
    observed.services = Read::Found(services.into_iter().map(Arc::new).collect());
    let children = desired(&testing::valid(&observed, PodGate::Open), &Settings::default());
    children.unwrap().adapters
}

// invariant: 15
#[test]
fn the_service_of_the_portmapper_is_deleted_only_without_discovery_or_without_nfs() {
    const DISCOVERY: &str = "adapterServices: {nfsV3Discovery: true}";
    let without_nfs = || Ok(vec![row("smb", 1445, true, true)]);
    let asked_once = after(&[Ok(both()), without_nfs()]);
    let gone = after(&[Ok(both()), without_nfs(), without_nfs()]);
    for (spec, report, is_unwanted) in [
        (DISCOVERY, ServerReport::default(), false),
        (DISCOVERY, after(&[Ok(both())]), false),
        (DISCOVERY, asked_once, false),
        (DISCOVERY, gone, true),
        ("", after(&[Ok(both())]), true),
    ] {
        let unwanted = adapters_of(spec, report, Vec::new()).unwanted_services;
        let is_named = unwanted.contains(&"files-nfs-udp".to_owned());
        assert_eq!(is_named, is_unwanted, "{spec} {unwanted:?}");
    }
}

#[test]
fn a_node_port_moves_with_its_port_where_the_type_has_node_ports() {
    let live = |name: &str, port: &str, protocol: &str| -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"app": "dittofs-server", "instance": "files"}},
            "spec": {"type": "NodePort", "ports": [{"name": port, "port": 2050, "nodePort": 30001, "protocol": protocol}]},
        }))
        .unwrap()
    };
    let services = || {
        vec![
            live("files-adapter-nfs", "adapter-nfs", "TCP"),
            live("files-nfs-udp", "adapter-nfs-udp", "UDP"),
        ]
    };
    for (type_, kept) in [
        ("NodePort", Some(30001)),
        ("LoadBalancer", Some(30001)),
        ("ClusterIP", None),
    ] {
        let spec = format!("adapterServices: {{type: {type_}, nfsV3Discovery: true}}");
        let made = adapters_of(&spec, after(&[Ok(both())]), services()).services;
        for (name, port) in [
            ("files-adapter-nfs", "adapter-nfs"),
            ("files-nfs-udp", "adapter-nfs-udp"),
        ] {
            let service = made
                .iter()
                .find(|made| made.metadata.name.as_deref() == Some(name))
                .unwrap();
            let mut ports = service.spec.as_ref().unwrap().ports.iter().flatten();
            let port = ports.find(|made| made.name.as_deref() == Some(port)).unwrap();
            assert_eq!((port.port, port.node_port), (12049, kept), "{name} {type_}");
        }
    }
}

#[test]
fn nfs_on_the_port_of_the_portmapper_has_no_udp_port_of_its_own() {
    let report = after(&[Ok(vec![row("nfs", 111, true, true)])]);
    let made = adapters_of("adapterServices: {nfsV3Discovery: true}", report, Vec::new()).services;
    let udp = made
        .iter()
        .find(|made| made.metadata.name.as_deref() == Some("files-nfs-udp"));
    let ports = udp.unwrap().spec.as_ref().unwrap().ports.iter().flatten();
    let ports: Vec<_> = ports
        .map(|port| (port.port, port.protocol.clone().unwrap()))
        .collect();
    assert_eq!(ports, [(111, "TCP".to_owned()), (111, "UDP".to_owned())]);
}

#[test]
fn annotations_of_the_spec_on_an_adapter_service_are_recorded_for_their_removal() {
    let spec = "adapterServices: {annotations: {lb.example.org/kind: internal}}";
    let made = adapters_of(spec, after(&[Ok(both())]), Vec::new()).services;
    let recorded = &made[0].metadata.annotations.as_ref().unwrap()[names::MANAGED_ANNOTATIONS_ANNOTATION];
    assert_eq!(recorded, "lb.example.org/kind");
}
