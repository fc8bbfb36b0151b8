//! Network settings of a server: its NetworkPolicy, and TLS that is not enabled.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use serde_json::json;

use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn the_network_policy_can_be_limited_to_sources_disabled_and_enabled_again() {
    let world = World::new("network").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let policies = || world.api::<NetworkPolicy>();
    let open = policies().get("files-baseline").await.expect("a policy");
    let sources = |policy: &NetworkPolicy| {
        let rules = policy.spec.as_ref().and_then(|spec| spec.ingress.as_ref());
        rules.and_then(|rules| rules[0].from.clone())
    };
    assert_eq!(sources(&open), None, "by default all sources may connect");

    let limited =
        json!({"spec": {"networkPolicy": {"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}}});
    world.merge::<DittoServer>("files", limited).await;
    wait::until(policies(), "files-baseline", "limited", |policy| {
        sources(policy).is_some_and(|sources| sources.len() == 1)
    })
    .await;

    let disabled = json!({"spec": {"networkPolicy": {"enabled": false}}});
    world.merge::<DittoServer>("files", disabled).await;
    world.ready("files").await;
    assert_eq!(
        policies().get_opt("files-baseline").await.expect("an answer"),
        None
    );

    world
        .merge::<DittoServer>("files", json!({"spec": {"networkPolicy": null}}))
        .await;
    world.ready("files").await;
    let again = policies().get("files-baseline").await.expect("a policy");
    assert_eq!(again.spec, open.spec);
}

#[tokio::test]
async fn a_network_policy_of_another_owner_is_not_deleted() {
    let world = World::new("network").await;
    let foreign: NetworkPolicy = serde_json::from_value(json!({
        "metadata": {"name": "files-baseline"},
        "spec": {"podSelector": {}},
    }))
    .expect("a NetworkPolicy");
    world.create(&foreign).await;
    world
        .create(&fixtures::server(
            "files",
            json!({"networkPolicy": {"enabled": false}}),
        ))
        .await;
    world.ready("files").await;
    let left = world.get::<NetworkPolicy>("files-baseline").await;
    assert_eq!(left.owner_references(), []);
}

#[tokio::test]
async fn tls_without_a_certificate_has_a_warning_that_names_the_field_to_set() {
    let world = World::new("network").await;
    world
        .create(&fixtures::server("files", json!({"controlPlane": {"tls": true}})))
        .await;
    world.ready("files").await;
    let note = world.event_note("TlsNotEnabled").await;
    assert!(note.contains("spec.controlPlane.certSecretName"), "{note}");
}
