//! A share whose blocks go to a real S3 server.

use std::fs;
use std::path::Path;

use dittofs_operator::api::{DittoServer, DrainBefore, DrainState, Phase};
use http::Method;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use local_control_plane::runner::USER;
use local_control_plane::s3::Keys;
use serde_json::{Value, json};

use super::polled;
use super::shares::{PASSWORD, alice, export, password, ready_share, set, share};
use crate::support::real::RealServer;
use crate::support::s3::{self, Bucket, STORE};
use crate::support::{World, wait};
use crate::uploads;

/// Where the operator puts the blocks of shares.
const BLOCKS: &str = "/data/store/block";

/// Some blocks of the server, without a pattern that compresses well.
fn content() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..3_000_000).map(|_| next()).collect()
}

/// A world with a Ready server whose share `export` is over a bucket.
async fn over_bucket() -> (World, Bucket, RealServer) {
    let bucket = Bucket::start(s3::keys()).await;
    let world = World::with_stores("s3").await;
    world.create(&password(PASSWORD)).await;
    world.create(&bucket.secret()).await;
    let mut share = export();
    share["remoteStore"] = json!(STORE);
    world
        .create(&polled(
            json!({"users": [alice()], "remoteStores": [bucket.store()], "shares": [share]}),
        ))
        .await;
    ready_share(&world).await;
    let server = RealServer::of(&world, "files").await;
    (world, bucket, server)
}

async fn drained(server: &RealServer) {
    let answer = server
        .call(Method::POST, "/system/drain-uploads", Value::Null)
        .await;
    assert_eq!(answer["status"], "drained", "{answer}");
}

/// Stops the server, and waits until its process has ended.
async fn stop(world: &World) {
    let pod = world.get::<Pod>("files-0").await.uid();
    set(world, json!({"replicas": 0})).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    world
        .server_until("files", "stopped", |server| {
            server
                .status
                .as_ref()
                .is_some_and(|status| status.phase == Some(Phase::Stopped))
        })
        .await;
}

async fn start(world: &World) -> DittoServer {
    set(world, json!({"replicas": 1})).await;
    ready_share(world).await
}

async fn read(server: &RealServer, name: &str) -> Vec<u8> {
    let read = server.nfs().await.read(name).await;
    read.expect("the file is read over NFS")
}

/// Removes everything below a directory. Returns how many bytes that were.
fn emptied(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry"));
    let sizes = entries.map(|entry| {
        let (path, data) = (entry.path(), entry.metadata().expect("what it is"));
        if data.is_dir() {
            let size = emptied(&path);
            fs::remove_dir(path).expect("an empty directory");
            return size;
        }
        fs::remove_file(path).expect("a file");
        data.len()
    });
    sizes.sum()
}

/// A server that has a file whose blocks are all in the bucket, and the file.
async fn with_uploaded_file() -> (World, Bucket, RealServer, Vec<u8>) {
    let (world, bucket, server) = over_bucket().await;
    let content = content();
    let written = server.nfs().await.write("a.bin", &content).await;
    written.expect("the file is written");
    drained(&server).await;
    assert!(!bucket.objects().is_empty(), "the drain has uploaded the blocks");
    (world, bucket, server, content)
}

#[tokio::test]
async fn a_file_over_a_bucket_survives_a_stop_and_is_read_from_the_bucket_when_its_blocks_are_evicted() {
    let (world, bucket, server, content) = with_uploaded_file().await;
    stop(&world).await;
    start(&world).await;
    assert!(
        read(&server, "a.bin").await == content,
        "read after the server was stopped"
    );

    let objects = bucket.objects();
    let path = "/shares/export/blockstore/evict";
    let evicted = server.call(Method::POST, path, json!({})).await;
    let freed = evicted["bytes_freed"].as_u64().unwrap_or_default();
    assert!(freed >= content.len() as u64, "{evicted}");
    assert!(read(&server, "a.bin").await == content, "read from the bucket");
    assert_eq!(bucket.objects(), objects, "nothing was uploaded again");
}

// The server knows only from its local blocks that a file has more in the bucket: docs/shares.md warns of it.
#[tokio::test]
async fn a_server_that_lost_its_local_blocks_reads_zeros_although_the_bucket_has_them() {
    let (world, _bucket, server, content) = with_uploaded_file().await;
    let blocks = server.path(BLOCKS);
    stop(&world).await;
    let lost = emptied(&blocks);
    assert!(lost >= content.len() as u64, "{lost} bytes of blocks were lost");
    start(&world).await;
    let read = read(&server, "a.bin").await;
    assert_eq!(read.len(), content.len());
    assert!(
        read.iter().all(|byte| *byte == 0),
        "the server finds blocks in the bucket: change docs/shares.md"
    );
}

#[tokio::test]
async fn what_could_not_be_uploaded_stays_on_the_volume_and_is_uploaded_when_s3_answers_again() {
    let (_world, bucket, server) = over_bucket().await;
    bucket.cut();
    let content = content();
    let written = server.nfs().await.write("a.bin", &content).await;
    written.expect("the server takes files while S3 does not answer");
    assert_eq!(bucket.objects(), Vec::<String>::new());
    bucket.reconnect();
    bucket.until_more_than(&[]).await;
    drained(&server).await;
    assert!(read(&server, "a.bin").await == content);
}

#[tokio::test]
async fn a_share_is_made_while_the_bucket_of_another_one_does_not_answer() {
    let (world, bucket, _server) = over_bucket().await;
    bucket.cut();
    let mut over_bucket = export();
    over_bucket["remoteStore"] = json!(STORE);
    set(&world, json!({"shares": [over_bucket, {"name": "local"}]})).await;
    world
        .server_until("files", "with the other share", |server| {
            share(server, "local").is_some_and(|share| share.ready)
        })
        .await;
    let stored = world.get::<DittoServer>("files").await;
    assert!(
        share(&stored, "export").is_some_and(|share| share.ready),
        "{stored:#?}"
    );
}

#[tokio::test]
async fn a_bucket_that_accepts_calls_and_never_answers_holds_up_no_other_share() {
    let (world, bucket, server) = over_bucket().await;
    let over = |name: &str| json!({"name": name, "owner": USER, "defaultPermission": "read-write", "remoteStore": STORE});
    let mut shares = vec![over("export"), over("second"), over("third")];
    // The server forgets in five seconds what it has found out about its shares.
    let seldom = json!({"pollingInterval": "30s"});
    set(&world, json!({"adapterDiscovery": seldom, "shares": shares})).await;
    let are_ready = |server: &DittoServer, names: &[&str]| {
        let is_ready = |name| share(server, name).is_some_and(|share| share.ready);
        names.iter().all(|name| is_ready(name))
    };
    world
        .server_until("files", "with three shares over the bucket", |server| {
            are_ready(server, &["export", "second", "third"])
        })
        .await;
    bucket.silence();
    shares.extend([over("new"), json!({"name": "local"})]);
    set(&world, json!({"shares": shares})).await;
    let stored = world
        .server_until("files", "with the share that needs no bucket", |server| {
            are_ready(server, &["local"])
        })
        .await;
    let reason = |name| share(&stored, name).and_then(|share| share.reason.clone());
    assert_eq!(
        reason("new").as_deref(),
        Some("DependencyNotReady"),
        "{stored:#?}"
    );
    assert!(
        are_ready(&stored, &["export", "second", "third"]),
        "clients use them"
    );
    let written = server.nfs().await.write("a.bin", &content()).await;
    written.expect("the server takes files while S3 is silent");
    bucket.reconnect();
    world
        .server_until("files", "with all shares", |server| are_ready(server, &["new"]))
        .await;
}

/// A server whose last file is on its content volume only, because S3 does not answer.
async fn with_pending_uploads() -> (World, Bucket, RealServer, Vec<u8>) {
    let (world, bucket, server) = over_bucket().await;
    bucket.cut();
    let content = content();
    let written = server.nfs().await.write("a.bin", &content).await;
    written.expect("the file is written");
    assert_eq!(bucket.objects(), Vec::<String>::new());
    (world, bucket, server, content)
}

// invariant: 6
#[tokio::test]
async fn a_server_stops_once_its_last_block_is_in_the_bucket() {
    let (world, bucket, server, content) = with_pending_uploads().await;
    let pod = world.get::<Pod>("files-0").await.uid();
    set(&world, json!({"replicas": 0})).await;
    let draining = uploads::until(&world, DrainState::Draining, DrainBefore::Stop).await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
    assert!(
        share(&draining, "export").is_some_and(|share| share.ready),
        "it still serves"
    );
    bucket.reconnect();
    uploads::until(&world, DrainState::Drained, DrainBefore::Stop).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    world
        .server_until("files", "with a share that is stopped", |server| {
            share(server, "export").is_some_and(|share| share.reason.as_deref() == Some("Stopped"))
        })
        .await;
    assert!(!bucket.objects().is_empty(), "the blocks are in the bucket");
    start(&world).await;
    assert!(read(&server, "a.bin").await == content);
}

// invariant: 6
#[tokio::test]
async fn volumes_with_the_only_copy_of_a_file_are_deleted_once_it_is_in_the_bucket() {
    let (world, bucket, _server, _content) = with_pending_uploads().await;
    let spec = json!({"uploads": {"drainTimeoutSeconds": 2}, "storage": {"retention": "Delete"}});
    set(&world, spec).await;
    let marked = world
        .server_until("files", "with a finalizer", |server| {
            !server.finalizers().is_empty()
        })
        .await;
    world.delete::<DittoServer>("files").await;
    uploads::until(&world, DrainState::NotDrained, DrainBefore::Deletion).await;
    let claim = world.get::<PersistentVolumeClaim>("content-files-0").await;
    assert_eq!(claim.metadata.deletion_timestamp, None, "it has the only copy");
    bucket.reconnect();
    wait::until_gone(world.api::<DittoServer>(), "files", marked.uid()).await;
    assert!(!bucket.objects().is_empty(), "the blocks are in the bucket");
}

/// The message about the remote store in the status.
fn told(server: &DittoServer) -> Option<&str> {
    server.status.as_ref()?.remote_stores.first()?.message.as_deref()
}

#[tokio::test]
async fn a_secret_of_a_bucket_that_is_only_labelled_asks_for_no_start_of_the_server() {
    let (world, _bucket, _server) = over_bucket().await;
    let version = |server: &DittoServer| {
        let store = server.status.as_ref()?.remote_stores.first()?;
        store.credentials_version.clone()
    };
    let known = version(&world.get::<DittoServer>("files").await);
    let label = json!({"metadata": {"labels": {"example.com/refreshed": "now"}}});
    world.merge::<Secret>(STORE, label).await;
    let stored = world
        .server_until("files", "with the new version of the Secret", |server| {
            version(server) != known && share(server, "export").is_some_and(|share| share.ready)
        })
        .await;
    assert_eq!(told(&stored), None, "{stored:#?}");
    assert_eq!(world.notes("ServerRestartRequired").await, Vec::<String>::new());
}

#[tokio::test]
async fn new_keys_of_a_bucket_are_written_and_the_status_says_that_the_server_uses_them_after_its_next_start()
{
    let (world, mut bucket, server) = over_bucket().await;
    let pod = world.get::<Pod>("files-0").await.uid();
    let keys = Keys {
        id: "other".into(),
        secret: "another secret key of the bucket".into(),
    };
    bucket.rotate(keys).await;
    let data = json!({"stringData": bucket.secret().string_data});
    world.merge::<Secret>(STORE, data).await;
    let note = world.event_note("ServerRestartRequired").await;
    assert!(note.contains("kubectl delete pod files-0"), "{note}");
    let stored = world.ready("files").await;
    let message = told(&stored).unwrap_or_default();
    assert!(
        message.contains("after the next start of the server"),
        "{stored:#?}"
    );
    let path = format!("/store/block/remote/{STORE}");
    let store = server.call(Method::GET, &path, Value::Null).await;
    assert_eq!(store["config"]["access_key_id"], "other");
    let written = server.nfs().await.write("a.bin", &content()).await;
    written.expect("the server takes files with keys that S3 refuses");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "no restart");
    assert_eq!(bucket.objects(), Vec::<String>::new(), "it uses the former keys");

    world.delete::<Pod>("files-0").await;
    world.pod_other_than(pod.as_deref()).await;
    world
        .server_until("files", "with the new keys in use", |server| {
            told(server).is_none() && share(server, "export").is_some_and(|share| share.ready)
        })
        .await;
    drained(&server).await;
    assert!(!bucket.objects().is_empty(), "the blocks are in the bucket");
    assert_eq!(world.notes("ServerRestartRequired").await.len(), 1);
}
