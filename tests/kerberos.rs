//! A change of Kerberos is written to the server first. Then its pod restarts once.

use dittofs_operator::api::{DittoServer, IdentityProviderStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::restarts::Restarts;
use crate::support::server_double::{self, Database};
use crate::support::{World, fixtures, wait};

fn kerberos(principal: &str) -> Value {
    json!({"identity": {"kerberos": {
        "enabled": true, "servicePrincipal": principal, "keytabSecretRef": {"name": "krb", "key": "keytab"},
    }}})
}

/// What a server has after a start with this principal.
fn row(principal: &str) -> Value {
    json!({
        "enabled": true, "keytab_path": "/kerberos/dittofs.keytab", "service_principal": principal, "realm": "X.ORG",
        "netbios_domain": "", "dns_domain": "x.org", "krb5_conf": "", "max_clock_skew": "5m0s", "machine_account": {},
    })
}

fn with<T>(world: &World, change: impl FnOnce(&mut Database) -> T) -> T {
    server_double::with(&world.namespace, "files", change)
}

fn principal(world: &World) -> Value {
    with(world, |database| {
        database.providers["kerberos"]["service_principal"].clone()
    })
}

/// A server with Kerberos that runs, whose first start has brought the configuration to its database.
async fn running(world: &World) {
    with(world, |database| {
        database
            .providers
            .insert("kerberos".into(), row("nfs/files@X.ORG"));
    });
    world
        .create(&fixtures::secret("krb", &[("keytab", "a keytab")]))
        .await;
    let mut spec = kerberos("nfs/files@X.ORG");
    spec["adapterDiscovery"] = json!({"pollingInterval": "100ms"});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    until(world, "compared", |known| {
        known.is_some_and(|known| known.applied)
    })
    .await;
}

async fn until(world: &World, what: &str, holds: impl Fn(Option<&IdentityProviderStatus>) -> bool) {
    world
        .server_until("files", what, |server| {
            let providers = server.status.iter().flat_map(|status| &status.identity_providers);
            holds(
                providers
                    .into_iter()
                    .find(|provider| provider.r#type == "kerberos"),
            )
        })
        .await;
}

async fn template_generation(world: &World) -> Option<i64> {
    world.get::<StatefulSet>("files").await.metadata.generation
}

#[tokio::test]
async fn a_change_of_kerberos_restarts_the_server_once_and_not_before_it_was_written() {
    let world = World::new("kerberos").await;
    running(&world).await;
    let restarts = Restarts::of(&world);
    let before = template_generation(&world).await;
    with(&world, |database| {
        database.refuses = Some(json!({"service_principal": "nfs/other@X.ORG"}));
    });
    world
        .merge::<DittoServer>("files", json!({"spec": kerberos("nfs/other@X.ORG")}))
        .await;
    until(&world, "refused", |known| {
        known.is_some_and(|known| !known.applied)
    })
    .await;
    let note = world.event_note("IdentityProviderFailed").await;
    assert!(note.contains("503"), "{note}");
    world.observed().await;
    assert_eq!(template_generation(&world).await, before, "the server runs on");

    with(&world, |database| database.refuses = None);
    wait::until(world.api::<StatefulSet>(), "files", "changed", |set| {
        set.metadata.generation > before
    })
    .await;
    assert_eq!(principal(&world), "nfs/other@X.ORG", "it was written first");
    let after = template_generation(&world).await;
    until(&world, "used", |known| {
        known.is_some_and(|known| known.applied && known.server_started.is_none())
    })
    .await;
    world.ready("files").await;
    assert_eq!(restarts.count(), 1);
    assert_eq!(
        template_generation(&world).await,
        after,
        "one change of the pod template"
    );
}

#[tokio::test]
async fn kerberos_that_leaves_the_spec_is_switched_off_before_the_pod_changes_and_only_once() {
    let world = World::new("kerberos").await;
    running(&world).await;
    let restarts = Restarts::of(&world);
    let before = template_generation(&world).await;
    with(&world, |database| {
        database.refuses = Some(json!({"enabled": false}));
    });
    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": null}}))
        .await;
    until(&world, "refused", |known| {
        known.is_some_and(|known| !known.applied)
    })
    .await;
    world.observed().await;
    assert_eq!(
        template_generation(&world).await,
        before,
        "the keytab is still needed"
    );
    with(&world, |database| database.refuses = None);
    until(&world, "switched off", |known| known.is_none()).await;
    wait::until(world.api::<StatefulSet>(), "files", "changed", |set| {
        set.metadata.generation > before
    })
    .await;
    let is_on = |world: &World| {
        with(world, |database| {
            database.providers["kerberos"]["enabled"].clone()
        })
    };
    assert_eq!(is_on(&world), false);
    world.ready("files").await;
    assert_eq!(restarts.count(), 1);
    let set: StatefulSet = world.get("files").await;
    assert!(
        !serde_json::to_string(&set.spec)
            .expect("JSON")
            .contains("kerberos"),
        "{}",
        set.name_any()
    );
}
