//! Files that users put on a share: the same over NFS and SMB, whatever happens to the pod and the operator.

use std::io::Write;

use k8s_openapi::api::core::v1::{Pod, Secret};
use local_control_plane::postgres::Postgres;
use serde_json::json;

use super::polled;
use crate::support::real::RealServer;
use crate::support::{World, fixtures};

/// Files, by the protocol over which they were written.
const OVER_NFS: (&str, &[u8]) = ("nfs.txt", b"written over NFS");
const OVER_SMB: (&str, &[u8]) = ("smb.txt", b"written over SMB");

async fn write(server: &RealServer) {
    let (name, content) = OVER_NFS;
    let written = server.nfs().await.write(name, content).await;
    written.expect("the file is written over NFS");
    let (name, content) = OVER_SMB;
    let written = server.smb().await.write(name, content).await;
    written.expect("the file is written over SMB");
}

/// Each file can be read over both protocols.
async fn check(server: &RealServer) {
    let (mut nfs, mut smb) = (server.nfs().await, server.smb().await);
    for (name, content) in [OVER_NFS, OVER_SMB] {
        let over_nfs = nfs.read(name).await.expect("the file is read over NFS");
        assert_eq!(over_nfs, content, "{name} over NFS");
        let over_smb = smb.read(name).await.expect("the file is read over SMB");
        assert_eq!(over_smb, content, "{name} over SMB");
    }
}

/// Writes files on the Ready server `files`, and reads them there, after the deletion of the pod, and after a restart of the operator.
async fn files_stay(world: &mut World) -> RealServer {
    world.ready("files").await;
    let server = RealServer::of(world, "files").await;
    server.make_share().await;
    write(&server).await;
    check(&server).await;

    let pod = world.get::<Pod>("files-0").await;
    world.delete::<Pod>("files-0").await;
    world.pod_other_than(pod.metadata.uid.as_deref()).await;
    world.ready_pod("files-0").await;
    check(&server).await;

    let pod = world.get::<Pod>("files-0").await;
    world.stop_operator().await;
    world.start_operator().await;
    world.ready("files").await;
    let same = world.get::<Pod>("files-0").await;
    assert_eq!(
        same.metadata.uid, pod.metadata.uid,
        "the operator leaves the server alone"
    );
    check(&server).await;
    server
}

#[tokio::test]
async fn a_file_is_the_same_over_nfs_and_smb_also_after_the_pod_was_deleted_and_the_operator_restarted() {
    let mut world = World::of_real_server("files").await;
    world.create(&polled(json!({}))).await;
    files_stay(&mut world).await;
}

#[tokio::test]
async fn a_server_on_your_own_postgresql_keeps_files_and_users_when_its_pod_is_deleted_and_the_operator_restarts()
 {
    let postgres = Postgres::start(Vec::new()).await.expect("PostgreSQL starts");
    let Some(postgres) = postgres else {
        // Not `eprintln`: its output is shown for failed tests only.
        let said = "\nNOT RUN: the test of a server on PostgreSQL. This machine has no initdb and postgres.";
        writeln!(std::io::stderr(), "{said}").expect("a message");
        return;
    };
    let mut world = World::of_real_server("files").await;
    let secret = postgres.secret();
    let secret: Vec<_> = secret.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let secret: Secret = fixtures::secret("database", &secret);
    world.create(&secret).await;
    let database = json!({"type": "postgres", "postgresSecretRef": {"name": "database", "key": "host"}});
    world.create(&polled(json!({"database": database}))).await;
    let server = files_stay(&mut world).await;
    let sqlite = server.path("/data/controlplane/controlplane.db");
    assert!(!sqlite.exists(), "the users and shares are in PostgreSQL");
}
