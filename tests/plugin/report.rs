//! `kubectl dittofs report`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dittofs_operator::api::DittoServer;
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use serde_json::json;

use super::{Folder, LimitedUser, plugin, run};
use crate::support::{World, fixtures};
use crate::takeover::go_operator;

/// Values of these keys are not confidential: a database's host is the name of its Service.
const PUBLIC: [&str; 10] = [
    "host",
    "port",
    "dbname",
    "user",
    "username",
    "ca.crt",
    "tls.crt",
    "sslmode",
    "pgbouncer-host",
    "pgbouncer-port",
];

/// Every file of the archive, unpacked.
pub fn files(archive: &Path) -> BTreeMap<String, String> {
    let bytes = std::fs::File::open(archive).expect("the archive");
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        files.insert(path, text);
    }
    files
}

/// Every confidential value of every Secret, plain and in base64.
async fn canaries(world: &World) -> Vec<String> {
    let secrets = world
        .api::<Secret>()
        .list(&ListParams::default())
        .await
        .expect("Secrets");
    let data = secrets
        .items
        .into_iter()
        .flat_map(|secret| secret.data.unwrap_or_default());
    data.filter(|(key, _)| !PUBLIC.contains(&key.as_str()))
        .flat_map(|(_, value)| {
            [
                String::from_utf8_lossy(&value.0).into_owned(),
                STANDARD.encode(&value.0),
            ]
        })
        .filter(|value| value.len() >= 8)
        .collect()
}

// invariant: 5
#[tokio::test]
async fn the_archive_holds_everything_except_secret_values() {
    let world = World::new("report").await;
    let simulator = world.percona().await;
    let canary = "canary-0123456789-0123456789-0123456789";
    let unused = "unused-canary-0123456789";
    let mut secret = fixtures::secret("mine", &[("jwt", canary), ("other", "canary-of-another-key")]);
    let copy = json!({"stringData": {"jwt": canary}}).to_string();
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    secret.metadata.annotations = Some([(key.to_owned(), copy)].into());
    world.create(&secret).await;
    world
        .create(&fixtures::secret("unused", &[("key", unused)]))
        .await;
    let spec = json!({
        "identity": {"jwt": {"secretRef": {"name": "mine", "key": "jwt"}}},
        "percona": {"enabled": true},
    });
    let mut server = fixtures::server("files", spec);
    let annotations = [
        (key.to_owned(), format!("{{\"leak\":\"{unused}\"}}")),
        ("note".to_owned(), format!("the key is {canary}")),
    ];
    server.metadata.annotations = Some(annotations.into());
    world.create::<DittoServer>(&server).await;
    world.ready("files").await;

    world.event_note("Ready").await;

    let folder = Folder::new(&world, "report");
    let archive = folder.join("report.tar.gz");
    let path = archive.to_str().expect("UTF-8");
    let output = plugin(&world, &["report", "files", "-o", path]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    let files = files(&archive);
    let again = plugin(&world, &["report", "files", "-o", path]).await;
    assert_eq!(again.code, Some(2), "a file is not overwritten: {}", again.text);

    let file = |name: &str| {
        let file = files.get(&format!("dittofs-report-files/{name}"));
        file.unwrap_or_else(|| panic!("{name} is not among {:?}", files.keys()))
    };
    for (name, wanted) in [
        ("README.txt", "What was left out"),
        ("status.txt", "AllConditionsMet"),
        ("dittoserver.yaml", "the key is (redacted)"),
        ("statefulsets.yaml", "kind: StatefulSet"),
        ("pods.yaml", "secretKeyRef"),
        ("persistentvolumeclaims.yaml", "phase: Bound"),
        ("services.yaml", "files-api"),
        ("networkpolicies.yaml", "files-baseline"),
        ("configmap.yaml", "config.yaml"),
        ("perconapgcluster.yaml", "state: ready"),
        ("secrets.yaml", "jwt: 39 bytes"),
        ("events.yaml", "reason: Ready"),
        ("versions.yaml", "kubernetes: v1."),
    ] {
        assert!(file(name).contains(wanted), "{name}: {}", file(name));
    }
    let canaries = canaries(&world).await;
    assert!(
        canaries.len() >= 10,
        "there is something to look for: {}",
        canaries.len()
    );
    for (name, text) in &files {
        for canary in &canaries {
            assert!(!text.contains(canary.as_str()), "{name} has {canary}");
        }
        assert!(!text.contains("last-applied-configuration:"), "{name}");
    }
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn a_report_about_a_server_of_the_go_operator_is_complete() {
    let world = World::without_operator("report").await;
    go_operator::set_up(&world).await;
    let folder = Folder::new(&world, "report");
    let archive = folder.join("report.tar.gz");
    let path = archive.to_str().expect("UTF-8");
    let output = plugin(&world, &["report", "files", "-o", path]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    let files = files(&archive);
    for (name, wanted) in [
        ("statefulsets.yaml", "wait-for-postgres"),
        ("controllerrevisions.yaml", "kind: ControllerRevision"),
        ("pods.yaml", "kind: Pod"),
        ("persistentvolumeclaims.yaml", "name: content-files-0"),
        ("services.yaml", "name: files-adapter-nfs"),
        ("networkpolicies.yaml", "name: files-adapter-nfs"),
        ("configmap.yaml", "name: files-config"),
        ("perconapgcluster.yaml", "name: files-postgres"),
        ("secrets.yaml", "name: files-jwt-secret"),
        ("secrets.yaml", "name: files-admin-bootstrap-credentials"),
        ("secrets.yaml", "name: files-operator-credentials"),
        ("secrets.yaml", "name: files-postgres-pguser-dittofs"),
    ] {
        let text = files.get(&format!("dittofs-report-files/{name}"));
        let text = text.unwrap_or_else(|| panic!("{name} is not among {:?}", files.keys()));
        assert!(text.contains(wanted), "{name}, {wanted}: {text}");
    }
    let canaries = canaries(&world).await;
    for (name, text) in &files {
        for canary in &canaries {
            assert!(!text.contains(canary.as_str()), "{name} has {canary}");
        }
    }
}

#[tokio::test]
async fn unreadable_objects_are_listed_and_the_rest_is_in_the_archive() {
    let world = World::new("report").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let user = LimitedUser::without(&world, &["events", "services"], json!([])).await;
    let folder = Folder::new(&world, "report");
    let archive = folder.join("report.tar.gz");
    let mut command = user.command(&world);
    command.args(["report", "files", "-o", archive.to_str().expect("UTF-8")]);
    let output = run(command).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    let files = files(&archive);
    let readme = &files["dittofs-report-files/README.txt"];
    for kind in ["events", "services"] {
        let wanted = format!("cannot list resource \"{kind}\"");
        assert!(readme.contains(&wanted), "{wanted}: {readme}");
    }
    let services = &files["dittofs-report-files/services.yaml"];
    assert!(!services.contains("kind: Service"), "{services}");
    let set = &files["dittofs-report-files/statefulsets.yaml"];
    assert!(set.contains("kind: StatefulSet"), "{set}");
}
