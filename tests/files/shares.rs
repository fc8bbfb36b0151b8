//! Users and shares that the spec declares, on a real server.

use std::time::{Duration, Instant};

use dittofs_operator::api::{DittoServer, ShareStatus, UserStatus};
use http::Method;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use local_control_plane::runner::{UID, USER};
use local_control_plane::smb;
use serde_json::{Value, json};

use super::polled;
use crate::support::process::POLL;
use crate::support::real::RealServer;
use crate::support::{World, fixtures};

pub(super) const PASSWORD: &str = "a password";
const OTHER_PASSWORD: &str = "another password";

pub(super) fn password(value: &str) -> Secret {
    fixtures::secret("alice", &[("password", value)])
}

pub(super) fn alice() -> Value {
    json!({"name": USER, "uid": UID, "gid": UID, "passwordSecretRef": {"name": "alice", "key": "password"}})
}

pub(super) fn export() -> Value {
    json!({"name": "export", "owner": USER, "defaultPermission": "read-write"})
}

pub(super) fn share<'a>(server: &'a DittoServer, name: &str) -> Option<&'a ShareStatus> {
    let mut shares = server.status.as_ref()?.shares.iter();
    shares.find(|share| share.name == name)
}

pub(super) fn user<'a>(server: &'a DittoServer, name: &str) -> Option<&'a UserStatus> {
    let mut users = server.status.as_ref()?.users.iter();
    users.find(|user| user.name == name)
}

/// A world with a Ready server that has the user and the share `export`.
pub(super) async fn with_share(name: &str) -> (World, RealServer) {
    let world = World::with_stores(name).await;
    world.create(&password(PASSWORD)).await;
    world
        .create(&polled(json!({"users": [alice()], "shares": [export()]})))
        .await;
    ready_share(&world).await;
    let server = RealServer::of(&world, "files").await;
    (world, server)
}

pub(super) async fn ready_share(world: &World) -> DittoServer {
    world.ready("files").await;
    world
        .server_until("files", "with a share that can be mounted", |server| {
            share(server, "export").is_some_and(|share| share.ready)
        })
        .await
}

pub(super) async fn set(world: &World, spec: Value) {
    world.merge::<DittoServer>("files", json!({"spec": spec})).await;
}

#[tokio::test]
async fn one_manifest_makes_a_user_and_a_share_whose_files_are_the_same_over_nfs_and_smb() {
    let (mut world, server) = with_share("shares").await;
    let written = server.nfs().await.write("a.txt", b"over NFS").await;
    written.expect("the file is written over NFS");
    let read = server
        .smb()
        .await
        .read("a.txt")
        .await
        .expect("it is read over SMB");
    assert_eq!(read, b"over NFS");
    let stored = world.get::<DittoServer>("files").await;
    let status = stored.status.as_ref().expect("a status");
    assert_eq!(status.ready_shares.as_deref(), Some("1/1"));
    assert_eq!(
        share(&stored, "export").map(|share| share.path.as_str()),
        Some("/export")
    );
    assert!(user(&stored, USER).is_some_and(|user| user.ready && user.password_version.is_some()));

    // Nothing is made again: not by another operator, and not after the pod was replaced.
    let shares = server.call(Method::GET, "/shares", Value::Null).await;
    world.start_operator().await;
    let pod = world.get::<Pod>("files-0").await;
    world.delete::<Pod>("files-0").await;
    world.pod_other_than(pod.metadata.uid.as_deref()).await;
    ready_share(&world).await;
    let again = server.until("/shares", Value::is_array).await;
    assert_eq!(again[0]["id"], shares[0]["id"]);
    assert_eq!(again[0]["updated_at"], shares[0]["updated_at"]);
    let read = server
        .smb()
        .await
        .read("a.txt")
        .await
        .expect("the file is still there");
    assert_eq!(read, b"over NFS");
}

#[tokio::test]
async fn declared_fields_are_changed_on_the_server_and_others_are_left() {
    let (world, server) = with_share("shares").await;
    let body = json!({"trash_enabled": true, "trash_retention_days": 5});
    server.call(Method::PUT, "/shares/export", body).await;
    let share = json!({
        "name": "export", "owner": USER, "defaultPermission": "read", "quota": "1Gi",
        "nfs": {"squash": "none", "allowedClients": ["127.0.0.0/8", "10.1.2.3"]},
    });
    set(&world, json!({"shares": [share]})).await;
    let changed = server
        .until("/shares/export", |share| share["default_permission"] == "read")
        .await;
    assert_eq!(changed["quota_bytes"], "1.00GiB");
    assert_eq!(changed["trash_retention_days"], 5);
    ready_share(&world).await;
    let export = "/shares/export/adapters/nfs/config";
    let nfs = server.until(export, |nfs| nfs["netgroup"] != "").await;
    assert_eq!(nfs["squash"], "none");
    let group = format!(
        "/adapters/nfs/netgroups/{}",
        nfs["netgroup"].as_str().expect("a name")
    );
    let group = server.call(Method::GET, &group, Value::Null).await;
    assert_eq!(group["members"].as_array().map(Vec::len), Some(2), "{group}");
    let pod = world.get::<Pod>("files-0").await;

    // The limit of clients leaves with the spec, and the rest stays as it is.
    set(&world, json!({"shares": [export_again()]})).await;
    let nfs = server.until(export, |nfs| nfs["netgroup"] == "").await;
    assert_eq!(nfs["squash"], "none");
    ready_share(&world).await;
    let same = world.get::<Pod>("files-0").await;
    assert_eq!(same.uid(), pod.uid(), "no restart");
}

fn export_again() -> Value {
    json!({"name": "export", "owner": USER, "defaultPermission": "read"})
}

#[tokio::test]
async fn permissions_and_memberships_that_the_operator_made_leave_with_the_spec_and_others_stay() {
    let (world, server) = with_share("shares").await;
    server
        .call(Method::POST, "/groups", json!({"name": "manual", "gid": 4100}))
        .await;
    let path = "/shares/export/permissions";
    server
        .call(
            Method::PUT,
            &format!("{path}/groups/manual"),
            json!({"level": "read"}),
        )
        .await;
    server
        .call(Method::POST, "/groups/manual/members", json!({"username": USER}))
        .await;
    let mut member = alice();
    member["groups"] = json!(["staff"]);
    let mut granted = export();
    granted["permissions"] =
        json!({"users": {USER: "admin"}, "groups": {"staff": "read-write", "manual": "read"}});
    let spec = json!({"groups": [{"name": "staff", "gid": 4000}], "users": [member], "shares": [granted]});
    set(&world, spec).await;
    let count = |expected: usize| {
        move |grants: &Value| grants.as_array().is_some_and(|grants| grants.len() == expected)
    };
    server.until(path, count(3)).await;
    ready_share(&world).await;

    set(&world, json!({"users": [alice()], "shares": [export()]})).await;
    let left = server.until(path, count(1)).await;
    assert_eq!(
        (&left[0]["name"], &left[0]["level"]),
        (&json!("manual"), &json!("read"))
    );
    let user = format!("/users/{USER}");
    let user = server
        .until(&user, |user| !user["groups"].to_string().contains("staff"))
        .await;
    assert!(user["groups"].to_string().contains("manual"), "{user}");
    ready_share(&world).await;
}

#[tokio::test]
async fn what_leaves_the_spec_stays_on_the_server_and_the_status_and_an_event_say_so() {
    let (world, server) = with_share("shares").await;
    let written = server.nfs().await.write("a.txt", b"kept").await;
    written.expect("the file is written");
    set(&world, json!({"shares": null, "users": null})).await;
    let stored = world
        .server_until("files", "with a share that is not declared", |server| {
            share(server, "export").is_some_and(|share| !share.declared)
        })
        .await;
    assert_eq!(
        stored
            .status
            .as_ref()
            .and_then(|status| status.ready_shares.clone()),
        None
    );
    let note = world.event_note("NoLongerDeclared").await;
    assert!(note.contains("stays on the server"), "{note}");
    world.ready("files").await;
    let read = server
        .nfs()
        .await
        .read("a.txt")
        .await
        .expect("the file is still there");
    assert_eq!(read, b"kept");

    // Declared again, it is the same share.
    set(&world, json!({"users": [alice()], "shares": [export()]})).await;
    ready_share(&world).await;
    let read = server
        .smb()
        .await
        .read("a.txt")
        .await
        .expect("the file is still there");
    assert_eq!(read, b"kept");
}

#[tokio::test]
async fn a_new_password_in_the_secret_reaches_the_server_without_a_restart() {
    let (world, server) = with_share("shares").await;
    let pod = world.get::<Pod>("files-0").await;
    let before =
        user(&world.get::<DittoServer>("files").await, USER).and_then(|user| user.password_version.clone());
    let changed = json!({"stringData": {"password": OTHER_PASSWORD}});
    world.merge::<Secret>("alice", changed).await;
    world
        .server_until("files", "with the new password", |server| {
            user(server, USER).is_some_and(|user| user.password_version != before)
        })
        .await;
    let port = server.port("smb").await;
    let mount = smb::Mount::of(server.address(), port, "export", USER, OTHER_PASSWORD).await;
    mount.expect("the new password is accepted");
    let same = world.get::<Pod>("files-0").await;
    assert_eq!(same.uid(), pod.uid());
}

#[tokio::test]
async fn a_share_that_cannot_be_made_says_why_and_holds_up_no_other() {
    let world = World::with_stores("shares").await;
    world.create(&password(PASSWORD)).await;
    let keys: Secret = fixtures::secret("s3", &[("accessKeyID", "id"), ("secretAccessKey", "a long key")]);
    world.create(&keys).await;
    let s3 = json!({
        "bucket": "files", "endpoint": "http://127.0.0.1:1", "forcePathStyle": true, "allowPrivateEndpoint": true,
        "region": "us-east-1", "credentialsSecretRef": {"name": "s3"},
    });
    let spec = json!({
        "users": [alice(), {"name": "bob", "uid": 4002, "passwordSecretRef": {"name": "bob", "key": "password"}}],
        "remoteStores": [{"name": "cold", "s3": s3}],
        "shares": [{"name": "archive", "remoteStore": "cold"}, {"name": "bobs", "owner": "bob"}, export()],
    });
    world.create(&polled(spec)).await;
    let stored = world
        .server_until("files", "with one share of three", |server| {
            let is_ready = |name| share(server, name).is_some_and(|share| share.ready);
            let waits = |name| {
                share(server, name)
                    .and_then(|share| share.reason.clone())
                    .as_deref()
                    == Some("DependencyNotReady")
            };
            is_ready("export") && waits("archive") && waits("bobs")
        })
        .await;
    let status = stored.status.as_ref().expect("a status");
    assert_eq!(status.ready_shares.as_deref(), Some("1/3"));
    let bob = user(&stored, "bob").and_then(|bob| bob.message.clone());
    assert!(
        bob.is_some_and(|why| why.contains("Secret bob does not exist")),
        "{stored:#?}"
    );
    let store = &status.remote_stores[0];
    assert_eq!(store.reason.as_deref(), Some("Unhealthy"), "{store:?}");
    let text = serde_json::to_string(&stored).expect("JSON");
    assert!(!text.contains("a long key"), "the credentials are in the status");
    let progressing = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Progressing");
    assert_eq!(
        progressing.map(|found| found.reason.as_str()),
        Some("SharesPending")
    );

    world
        .create(&fixtures::secret("bob", &[("password", PASSWORD)]))
        .await;
    world
        .server_until("files", "with the share of bob", |server| {
            share(server, "bobs").is_some_and(|share| share.ready)
        })
        .await;
}

#[tokio::test]
#[ignore = "it takes some minutes, and prints figures"]
async fn a_thousand_shares_of_one_server_are_made() {
    const COUNT: usize = 1000;
    let world = World::with_stores("shares").await;
    world.create(&password(PASSWORD)).await;
    let shares: Vec<Value> = (0..COUNT)
        .map(|number| json!({"name": format!("s{number}"), "owner": USER, "defaultPermission": "read-write"}))
        .collect();
    let begun = Instant::now();
    world
        .create(&polled(json!({"users": [alice()], "shares": shares})))
        .await;
    let stored = loop {
        let stored = world.get::<DittoServer>("files").await;
        let ready = stored
            .status
            .as_ref()
            .and_then(|status| status.ready_shares.clone());
        if ready.as_deref() == Some("1000/1000") {
            break stored;
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "{ready:?}");
        tokio::time::sleep(POLL).await;
    };
    let size = serde_json::to_string(&stored.status).expect("JSON").len();
    println!("{COUNT} shares: {:?}, a status of {size} bytes", begun.elapsed());
}

#[tokio::test]
async fn declared_settings_of_adapters_are_written_and_others_are_left() {
    let (world, server) = with_share("shares").await;
    let body = json!({"max_sessions": 50});
    server.call(Method::PATCH, "/adapters/smb/settings", body).await;
    let adapters = json!({"nfs": {"enabled": true}, "smb": {"enabled": false, "signing": "required"}});
    set(&world, json!({"adapters": adapters})).await;
    server
        .until("/adapters/smb/settings", |smb| {
            smb["signing"] == "required" && smb["max_sessions"] == 50
        })
        .await;
    server.until("/adapters/smb", |smb| smb["enabled"] == false).await;
    set(&world, json!({"adapters": {"smb": {"enabled": true}}})).await;
    server.until("/adapters/smb", |smb| smb["enabled"] == true).await;
}
