//! Kerberos, on a real server.

use dittofs_operator::api::{DittoServer, IdentityProviderStatus};
use http::Method;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use local_control_plane::nfs;
use local_control_plane::runner::UID;
use serde_json::{Value, json};

use super::polled;
use super::shares::{export, set, share, with_share};
use crate::support::real::RealServer;
use crate::support::{World, fixtures};

const CONFIG: &str = "/identity-providers/kerberos/config";

/// A keytab of MIT Kerberos, version 2, with one key.
fn keytab() -> Vec<u8> {
    let text = |text: &str| {
        [
            &u16::try_from(text.len()).expect("short").to_be_bytes()[..],
            text.as_bytes(),
        ]
        .concat()
    };
    let mut entry = 2_u16.to_be_bytes().to_vec();
    for part in ["EXAMPLE.ORG", "nfs", "files.example.org"] {
        entry.extend(text(part));
    }
    // Name type (principal), timestamp, key version, and an AES-256 key.
    entry.extend(1_u32.to_be_bytes());
    entry.extend(1_u32.to_be_bytes());
    entry.push(1);
    entry.extend(18_u16.to_be_bytes());
    entry.extend(text(&"k".repeat(32)));
    let length = i32::try_from(entry.len()).expect("short").to_be_bytes();
    [&[5, 2][..], &length, &entry].concat()
}

async fn create_secret(world: &World) {
    let data = [
        ("keytab".to_owned(), ByteString(keytab())),
        (
            "krb5.conf".to_owned(),
            ByteString(b"[libdefaults]\ndefault_realm = EXAMPLE.ORG\n".to_vec()),
        ),
    ];
    let secret = Secret {
        data: Some(data.into()),
        ..fixtures::secret("krb", &[])
    };
    world.create(&secret).await;
}

fn kerberos(block: Value) -> Value {
    let mut merged = json!({
        "enabled": true,
        "servicePrincipal": "nfs/files.example.org@EXAMPLE.ORG",
        "keytabSecretRef": {"name": "krb", "key": "keytab"},
        "krb5ConfSecretRef": {"name": "krb", "key": "krb5.conf"},
    });
    if let (Some(merged), Value::Object(block)) = (merged.as_object_mut(), block) {
        merged.extend(block);
    }
    json!({"identity": {"kerberos": merged}})
}

/// Waits until the process that runs uses Kerberos as declared. Returns its status.
async fn used(world: &World, holds: impl Fn(&IdentityProviderStatus) -> bool) -> IdentityProviderStatus {
    let find = |server: &DittoServer| {
        let mut providers = server.status.iter().flat_map(|status| &status.identity_providers);
        let known = providers.find(|provider| provider.r#type == "kerberos").cloned();
        known.filter(|known| known.applied && known.server_started.is_none() && holds(known))
    };
    world
        .server_until("files", "with Kerberos in use", |server| find(server).is_some())
        .await;
    let server = world.ready("files").await;
    find(&server).expect("it is in use")
}

#[tokio::test]
async fn kerberos_is_read_at_the_first_start_and_a_change_is_written_and_then_used_after_one_restart() {
    let world = World::of_real_server("kerberos").await;
    create_secret(&world).await;
    world
        .create(&polled(kerberos(json!({"netbiosDomain": "EXAMPLE"}))))
        .await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    let first = world.get::<Pod>("files-0").await;
    let known = used(&world, |_| true).await;
    let row = server.call(Method::GET, CONFIG, Value::Null).await;
    assert_eq!(
        (&row["realm"], &row["dns_domain"], &row["netbios_domain"]),
        (&json!("EXAMPLE.ORG"), &json!("example.org"), &json!("EXAMPLE")),
        "the server derives what the spec does not say"
    );
    assert_eq!(world.get::<Pod>("files-0").await.uid(), first.uid(), "one start");

    // null takes a field back.
    let change = kerberos(json!({"netbiosDomain": null, "dnsDomain": "files.example.org"}));
    world.merge::<DittoServer>("files", json!({"spec": change})).await;
    let other =
        |known_now: &IdentityProviderStatus| known_now.applied_fingerprint != known.applied_fingerprint;
    used(&world, other).await;
    let row = server.call(Method::GET, CONFIG, Value::Null).await;
    assert_eq!(
        (&row["dns_domain"], &row["netbios_domain"]),
        (&json!("files.example.org"), &json!(""))
    );
    let second = world.get::<Pod>("files-0").await;
    assert_ne!(second.uid(), first.uid());
    used(&world, other).await;
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        second.uid(),
        "one restart"
    );

    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": null}}))
        .await;
    world
        .server_until("files", "without Kerberos", |server| {
            server
                .status
                .as_ref()
                .is_some_and(|status| status.identity_providers.is_empty())
        })
        .await;
    world.pod_other_than(second.uid().as_deref()).await;
    world.ready("files").await;
    server.until(CONFIG, |row| row["enabled"] == false).await;
}

#[tokio::test]
async fn a_share_that_is_to_require_kerberos_says_that_the_server_does_so_after_its_next_start() {
    let (world, server) = with_share("kerberos").await;
    let pod = world.get::<Pod>("files-0").await;
    let mut strict = export();
    strict["nfs"] = json!({"requireKerberos": true});
    let new = json!({"name": "new", "nfs": {"requireKerberos": true, "minKerberosLevel": "krb5p"}});
    set(&world, json!({"shares": [strict, new]})).await;
    let is_told = |server: &DittoServer, name| {
        share(server, name).is_some_and(|share| {
            let message = share.message.as_deref().unwrap_or_default();
            share.ready && message.contains("requireKerberos") && message.contains("after its next start")
        })
    };
    world
        .server_until("files", "with shares that wait for a restart", |server| {
            is_told(server, "export") && is_told(server, "new")
        })
        .await;
    let note = world.event_note("ServerRestartRequired").await;
    assert!(note.contains("kubectl delete pod files-0"), "{note}");
    let path = "/shares/export/adapters/nfs/config";
    let written = server.call(Method::GET, path, Value::Null).await;
    assert_eq!(written["require_kerberos"], true);
    // A restart of the adapter does not bring it either.
    let annotations = json!({"dittofs.dittofs.com/restart-nfs": "1"});
    world
        .merge::<DittoServer>("files", json!({"metadata": {"annotations": annotations}}))
        .await;
    world.event_note("AdapterRestarted").await;
    server.nfs().await;
    assert!(is_told(&world.ready("files").await, "export"));
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod.uid(), "no restart");

    world.delete::<Pod>("files-0").await;
    world.pod_other_than(pod.metadata.uid.as_deref()).await;
    world
        .server_until("files", "with shares that require Kerberos", |server| {
            let is_used =
                |name| share(server, name).is_some_and(|share| share.ready && share.message.is_none());
            is_used("export") && is_used("new")
        })
        .await;
    let port = server.port("nfs").await;
    let mount = nfs::Mount::of(server.address(), port, "/export", UID).await;
    assert!(mount.is_err(), "the client has no Kerberos");
}
