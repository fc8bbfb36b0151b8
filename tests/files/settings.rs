//! The settings that the spec declares, on a real server.

use std::time::Instant;

use dittofs_operator::api::{DittoServer, DrainBefore, DrainState};
use http::Method;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{has_port, polled};
use crate::support::process::POLL;
use crate::support::real::{RealServer, free_port};
use crate::support::wait::LONGEST;
use crate::support::{World, fixtures, wait};
use crate::uploads;

const POLICIES: &str = "/snapshot-policies";
const NFS: &str = "/adapters/nfs/settings";

/// Waits until the server has applied, or not, the policy of the share `/export`.
async fn policy(world: &World, applied: bool) {
    let what = if applied {
        "with its policy"
    } else {
        "without its policy"
    };
    world
        .server_until("files", what, |server| {
            let status = server.status.as_ref();
            let known = status.and_then(|status| status.snapshot_policies.first());
            known.is_some_and(|policy| policy.applied == applied && policy.made)
        })
        .await;
}

/// Removes all policies from the spec, and waits until the status has none.
async fn declare_no_policies(world: &World) {
    world
        .merge::<DittoServer>("files", json!({"spec": {"snapshotPolicies": null}}))
        .await;
    world
        .server_until("files", "without policies", |server| {
            let status = server.status.as_ref();
            status.is_some_and(|status| status.snapshot_policies.is_empty())
        })
        .await;
}

#[tokio::test]
async fn a_snapshot_policy_waits_for_its_share_is_written_once_and_leaves_with_the_spec() {
    let mut world = World::of_real_server("settings").await;
    let declared = json!([{"share": "export", "interval": "@daily", "keepLast": 7, "ttl": "720h"}]);
    world.create(&polled(json!({"snapshotPolicies": declared}))).await;
    world.ready("files").await;
    policy(&world, false).await;
    let note = world.event_note("SnapshotPolicyFailed").await;
    assert!(note.contains("/export"), "{note}");

    let server = RealServer::of(&world, "files").await;
    server.make_share().await;
    policy(&world, true).await;
    let written = server.call(Method::GET, POLICIES, Value::Null).await;
    assert_eq!(written[0]["share"], "/export", "{written}");
    assert_eq!(written[0]["keep_last"], 7, "{written}");

    assert_eq!(world.all_notes("SnapshotPolicyFailed").await.len(), 1);
    world.start_operator().await;
    world.ready("files").await;
    policy(&world, true).await;
    let same = server.call(Method::GET, POLICIES, Value::Null).await;
    assert_eq!(same, written, "what the server has already is not written again");

    declare_no_policies(&world).await;
    let left = server.call(Method::GET, POLICIES, Value::Null).await;
    assert!(left.as_array().is_none_or(Vec::is_empty), "{left}");
}

#[tokio::test]
async fn a_snapshot_policy_that_a_user_made_on_the_server_is_left_when_it_leaves_the_spec() {
    let world = World::of_real_server("settings").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    server.make_share().await;
    let body = json!({"interval": "24h", "keep_last": 3, "enabled": true});
    server
        .call(Method::PUT, "/shares/export/snapshot-policy", body)
        .await;
    let declared = json!([{"share": "/export", "interval": "@daily", "keepLast": 4}]);
    world
        .merge::<DittoServer>("files", json!({"spec": {"snapshotPolicies": declared}}))
        .await;
    world
        .server_until("files", "with the declared policy", |server| {
            let status = server.status.as_ref();
            let known = status.and_then(|status| status.snapshot_policies.first());
            known.is_some_and(|policy| policy.applied && !policy.made)
        })
        .await;
    let changed = server.call(Method::GET, POLICIES, Value::Null).await;
    assert_eq!(changed[0]["keep_last"], 4, "{changed}");
    declare_no_policies(&world).await;
    let left = server.call(Method::GET, POLICIES, Value::Null).await;
    assert_eq!(left, changed);
}

fn ldap(base_dn: &str) -> Value {
    json!({"identity": {"ldap": {
        "enabled": true, "url": "ldap://127.0.0.1:1389", "allowPlaintext": true, "baseDN": base_dn, "bindDN": "cn=reader",
        "bindPasswordSecretRef": {"name": "ldap", "key": "password"},
    }}})
}

/// The LDAP configuration of the server, once it satisfies `holds`.
async fn ldap_until(server: &RealServer, holds: impl Fn(&Value) -> bool) -> Value {
    server.until("/identity-providers/ldap/config", holds).await
}

#[tokio::test]
async fn ldap_that_enters_changes_and_leaves_the_spec_does_so_on_the_server_and_a_change_restarts_nothing() {
    let world = World::of_real_server("settings").await;
    let secret: Secret = fixtures::secret("ldap", &[("password", "a password")]);
    world.create(&secret).await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    world
        .merge::<DittoServer>("files", json!({"spec": ldap("dc=one")}))
        .await;
    let found = ldap_until(&server, |ldap| ldap["enabled"] == true).await;
    assert_eq!(
        (&found["base_dn"], &found["bind_dn"]),
        (&json!("dc=one"), &json!("cn=reader"))
    );
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await;
    world
        .merge::<DittoServer>("files", json!({"spec": ldap("dc=two")}))
        .await;
    let found = ldap_until(&server, |ldap| ldap["base_dn"] == "dc=two").await;
    world.ready("files").await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod.uid());
    assert_eq!(found["bind_password"], "********", "it is kept");
    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": null}}))
        .await;
    ldap_until(&server, |ldap| ldap["enabled"] == false).await;
}

/// Whether something listens on this port of the server.
async fn listens(server: &RealServer, port: u16) -> bool {
    TcpStream::connect((server.address(), port)).await.is_ok()
}

#[tokio::test]
async fn the_portmapper_of_nfs_is_set_when_the_spec_says_so_and_listens_after_the_restart_that_a_user_asks_for()
 {
    let world = World::of_real_server("settings").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    server.make_share().await;
    let before = server.call(Method::GET, NFS, Value::Null).await;
    assert_eq!(before["portmapper_enabled"], false);
    // Other servers of this machine may have the default port.
    let port = free_port();
    server
        .call(Method::PATCH, NFS, json!({"portmapper_port": port}))
        .await;
    let on = json!({"spec": {"adapterServices": {"nfsV3Discovery": true}}});
    world.merge::<DittoServer>("files", on).await;
    server
        .until(NFS, |settings| {
            settings["portmapper_enabled"] == true && settings["udp_enabled"] == true
        })
        .await;
    let note = world.event_note("AdapterRestartRequired").await;
    assert!(note.contains("restart-nfs"), "{note}");
    let mut mount = server.nfs().await;
    mount.write("before.txt", b"before").await.expect("it is written");
    assert!(!listens(&server, port).await, "the adapter was not restarted");

    let pod = world.get::<Pod>("files-0").await.uid();
    let request = json!({"metadata": {"annotations": {"dittofs.dittofs.com/restart-nfs": "1"}}});
    world.merge::<DittoServer>("files", request).await;
    world.event_note("AdapterRestarted").await;
    world
        .server_until("files", "restarted", |server| {
            let restarts = server.status.iter().flat_map(|status| &status.adapter_restarts);
            restarts.into_iter().all(|known| !known.required)
        })
        .await;
    let deadline = Instant::now() + LONGEST;
    while !listens(&server, port).await {
        assert!(Instant::now() < deadline, "the portmapper does not listen");
        tokio::time::sleep(POLL).await;
    }
    let mut mount = server.nfs().await;
    let read = mount.read("before.txt").await.expect("it is read");
    assert_eq!(read, b"before");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
}

#[tokio::test]
async fn a_server_whose_api_gets_another_port_in_the_edit_that_stops_it_is_asked_at_its_present_one() {
    let world = World::of_real_server("settings").await;
    // A store that a person made may be there.
    world
        .create(&polled(json!({"uploads": {"drainTimeoutSeconds": 30}})))
        .await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    let edit = json!({"spec": {"replicas": 0, "controlPlane": {"port": 8081}}});
    world.merge::<DittoServer>("files", edit).await;
    uploads::until(&world, DrainState::Drained, DrainBefore::Stop).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    let service = wait::until(
        world.api::<Service>(),
        "files-api",
        "at the new port",
        |service| has_port(service, "api", 8081, 8081),
    );
    service.await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 1}}))
        .await;
    world.ready("files").await;
}
