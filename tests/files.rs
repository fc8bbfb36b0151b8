//! Files through a real DittoFS server that the operator runs.

mod access;
mod configuration;
mod content;
mod kerberos;
mod refusals;
mod s3;
mod sequences;
mod settings;
mod shares;
mod tls;

use dittofs_operator::api::{DittoServer, Endpoint};
use http::Method;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::real::{RealServer, free_port, real_server};
use crate::support::{World, wait};

/// A real server whose adapters are asked often.
fn polled(spec: Value) -> DittoServer {
    let mut merged = json!({
        "adapterDiscovery": {"pollingInterval": "500ms"},
        "adapterServices": {"type": "NodePort"},
    });
    if let (Some(merged), Value::Object(spec)) = (merged.as_object_mut(), spec) {
        merged.extend(spec);
    }
    real_server("files", merged)
}

fn endpoint<'a>(server: &'a DittoServer, protocol: &str) -> Option<&'a Endpoint> {
    let endpoints = &server.status.as_ref()?.endpoints;
    endpoints.iter().find(|endpoint| endpoint.protocol == protocol)
}

/// Whether a Service has a port of this name and number, and leads it to this port of the pod.
fn has_port(service: &Service, name: &str, number: u16, target: u16) -> bool {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let target = Some(IntOrString::Int(target.into()));
    ports.into_iter().any(|port| {
        port.name.as_deref() == Some(name) && port.port == i32::from(number) && port.target_port == target
    })
}

#[tokio::test]
async fn the_services_and_endpoints_of_a_real_server_follow_its_adapters() {
    let world = World::of_real_server("files").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    let (nfs, smb) = (server.port("nfs").await, server.port("smb").await);
    let service = |name: &'static str, what, standard: (&'static str, u16), port: u16| {
        let adapter = name.trim_start_matches("files-");
        wait::until(world.api::<Service>(), name, what, move |service| {
            has_port(service, adapter, port, port) && has_port(service, standard.0, standard.1, port)
        })
    };
    let before = service("files-adapter-nfs", "at the server's port", ("nfs", 2049), nfs).await;
    let of_smb = service("files-adapter-smb", "at the server's port", ("smb", 445), smb).await;
    world
        .server_until("files", "with both endpoints", |server| {
            ["nfs", "smb"].map(|protocol| endpoint(server, protocol).is_some_and(|of| of.ready)) == [true; 2]
        })
        .await;

    server
        .call(Method::PUT, "/adapters/smb", json!({"enabled": false}))
        .await;
    wait::until_gone(world.api::<Service>(), "files-adapter-smb", of_smb.uid()).await;
    world
        .server_until("files", "without SMB", |server| endpoint(server, "smb").is_none())
        .await;
    server
        .call(Method::PUT, "/adapters/smb", json!({"enabled": true}))
        .await;
    world
        .server_until("files", "with SMB", |server| endpoint(server, "smb").is_some())
        .await;

    let moved = free_port();
    server
        .call(Method::PUT, "/adapters/nfs", json!({"port": moved}))
        .await;
    let after = service("files-adapter-nfs", "at the new port", ("nfs", 2049), moved).await;
    assert_eq!(after.uid(), before.uid());
    let address = |service: &Service| service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    assert_eq!(address(&after), address(&before));
    assert_eq!(node_ports(&after), node_ports(&before));
}

fn node_ports(service: &Service) -> Vec<Option<i32>> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.into_iter().map(|port| port.node_port).collect()
}
