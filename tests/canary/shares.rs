//! The passwords of users and the keys of S3, which the operator sends to a real server.

use dittofs_operator::api::{DittoServer, DittoServerStatus};
use k8s_openapi::api::core::v1::{Pod, Secret};
use local_control_plane::s3::Keys;
use serde_json::{Value, json};

use super::{Talkative, everything_else, values};
use crate::plugin::{Folder, plugin, report};
use crate::support::real::{self, RealServer, real_server};
use crate::support::s3::{Bucket, STORE};
use crate::support::{World, fixtures};

/// Too short for the server.
const SHORT: &str = "cAn4ry!";

fn canary(name: &str, generation: u8) -> String {
    format!("canary-of-{name}-{generation}-0123456789")
}

fn keys(generation: u8) -> Keys {
    Keys {
        id: canary("id", generation),
        secret: canary("secret", generation),
    }
}

fn user(name: &str, uid: u32) -> Value {
    json!({"name": name, "uid": uid, "passwordSecretRef": {"name": name, "key": "password"}})
}

/// A server with everything that can be made, and with everything that cannot.
fn server(bucket: &Bucket) -> DittoServer {
    let dead = json!({"name": "dead", "s3": {
        "bucket": "files", "endpoint": "http://127.0.0.1:1", "region": "us-east-1", "forcePathStyle": true,
        "allowPrivateEndpoint": true, "credentialsSecretRef": {"name": "dead"},
    }});
    real_server(
        "files",
        json!({
            "adapterDiscovery": {"pollingInterval": "500ms"},
            "users": [user("alice", 4001), user("short", 4002), user("missing", 4003)],
            "remoteStores": [bucket.store(), dead],
            "shares": [
                {"name": "export", "owner": "alice", "remoteStore": STORE},
                {"name": "late", "remoteStore": "dead"},
                {"name": "shorts", "owner": "short"},
                {"name": "refused", "permissions": {"users": {"nobody": "read"}}},
            ],
        }),
    )
}

/// The reason of a user, remote store or share: `Ready` if it is, and empty while it is not known.
fn reason(status: &DittoServerStatus, name: &str) -> String {
    let users = status.users.iter();
    let users = users.map(|user| (&user.name, user.ready, &user.reason));
    let stores = status.remote_stores.iter();
    let stores = stores.map(|store| (&store.name, store.ready, &store.reason));
    let shares = status.shares.iter();
    let shares = shares.map(|share| (&share.name, share.ready, &share.reason));
    let mut all = users.chain(stores).chain(shares);
    match all.find(|(of, _, _)| *of == name) {
        Some((_, true, _)) => "Ready".to_owned(),
        found => found
            .and_then(|(_, _, reason)| reason.clone())
            .unwrap_or_default(),
    }
}

async fn until(world: &World, expected: &[(&str, &str)]) -> DittoServer {
    let what = format!("with {expected:?}");
    let is_as_expected = |server: &DittoServer| {
        let status = server.status.clone().unwrap_or_default();
        expected.iter().all(|(name, why)| reason(&status, name) == *why)
    };
    world.server_until("files", &what, is_as_expected).await
}

// invariant: 5
#[tokio::test]
async fn passwords_of_users_and_keys_of_s3_leave_their_secrets_only_for_the_server() {
    let bucket = Bucket::start(keys(1)).await;
    let world = World::without_operator("canary").await;
    let operator = Talkative::start(&world, &real::forwarder().await.url_template()).await;
    let password = |name: &str, value: &str| fixtures::secret(name, &[("password", value)]);
    world.create(&password("alice", &canary("alice", 1))).await;
    world.create(&password("short", SHORT)).await;
    world.create(&bucket.secret()).await;
    let dead = [
        ("accessKeyID", canary("dead-id", 1)),
        ("secretAccessKey", canary("dead-secret", 1)),
    ];
    let dead = dead.each_ref().map(|(key, value)| (*key, value.as_str()));
    world.create(&fixtures::secret("dead", &dead)).await;
    world.create(&server(&bucket)).await;
    let reasons = [
        ("short", "SecretNotUsable"),
        ("missing", "SecretNotUsable"),
        ("dead", "Unhealthy"),
        ("late", "DependencyNotReady"),
        ("shorts", "DependencyNotReady"),
        ("refused", "Refused"),
        (STORE, "Ready"),
        ("export", "Ready"),
    ];
    until(&world, &reasons).await;
    let mut canaries = values(&world).await;
    canaries.push(SHORT.to_owned());

    // New values: a password that the server takes, and keys that S3 refuses once the server has started again.
    let before = world.get::<DittoServer>("files").await.status.unwrap_or_default();
    let changed = |key: &str, value: String| json!({"stringData": {key: value}});
    world
        .merge::<Secret>("alice", changed("password", canary("alice", 2)))
        .await;
    for (key, value) in [("accessKeyID", keys(2).id), ("secretAccessKey", keys(2).secret)] {
        world.merge::<Secret>(STORE, changed(key, value)).await;
    }
    world
        .server_until("files", "with the new password and keys", |server| {
            let status = server.status.clone().unwrap_or_default();
            let version = |status: &DittoServerStatus| {
                let user = status.users.iter().find(|user| user.name == "alice");
                user.and_then(|user| user.password_version.clone())
            };
            let keys = |status: &DittoServerStatus| {
                let store = status.remote_stores.iter().find(|store| store.name == STORE);
                store.and_then(|store| store.credentials_version.clone())
            };
            version(&status) != version(&before) && keys(&status) != keys(&before)
        })
        .await;
    let pod = world.get::<Pod>("files-0").await;
    world.delete::<Pod>("files-0").await;
    world.pod_other_than(pod.metadata.uid.as_deref()).await;
    until(&world, &[(STORE, "Unhealthy")]).await;
    canaries.extend(values(&world).await);
    let real = RealServer::of(&world, "files").await;
    let users = real.until("/users", Value::is_array).await;
    assert!(
        users.to_string().contains("alice"),
        "the server has the user: {users}"
    );

    let folder = Folder::new(&world, "canary");
    let archive = folder.join("report.tar.gz");
    let output = plugin(
        &world,
        &["report", "files", "-o", archive.to_str().expect("UTF-8")],
    )
    .await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    let report = format!("{}{}{:?}", output.text, output.error, report::files(&archive));
    assert!(report.contains("DependencyNotReady"), "the report has the status");
    let outside = operator.outside();
    assert!(
        outside.contains("share=\"refused\""),
        "the metrics have the shares"
    );
    let log = operator.stop();
    assert!(log.contains("\"level\":\"TRACE\""), "the log is at trace level");
    let objects = everything_else(&world);
    assert!(objects.contains("SecretNotUsable"), "the status is there");
    assert!(
        canaries.len() >= 20,
        "there is something to look for: {canaries:?}"
    );
    for canary in canaries {
        for (place, text) in [
            ("log", &log),
            ("objects", &objects),
            ("metrics", &outside),
            ("report", &report),
        ] {
            assert!(!text.contains(&canary), "{canary} is in: {place}");
        }
    }
}
