//! The commands of the pages work. A shell block below the comment `<!-- test: NAME -->` is run by a test of that name here, on
//! the control plane: all blocks of a name in one shell, in their order. Commands that need containers are not marked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use local_control_plane::percona::PerconaSimulator;
use serde_json::{Value, json};

use super::{all_pages, root};
use crate::support::{World, wait};

const MARKER: (&str, &str) = ("<!-- test: ", " -->");
/// Longest run of a script, in seconds. Its `kubectl wait` commands may have longer timeouts.
const LONGEST: &str = "300";

/// The blocks of a page that have a marker, with their names, without indentation.
fn marked_blocks(page: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = page.lines().collect();
    let markers = lines.iter().enumerate().filter_map(|(at, line)| {
        let name = line.trim().strip_prefix(MARKER.0)?.strip_suffix(MARKER.1)?;
        Some((at, name))
    });
    let block = |at: usize| {
        let fence = lines.get(at + 1).copied().unwrap_or_default();
        assert_eq!(
            fence.trim(),
            "```sh",
            "line {}: a shell block follows its marker",
            at + 1
        );
        let indentation = fence.len() - fence.trim_start().len();
        let body = lines[at + 2..].iter().take_while(|line| line.trim() != "```");
        let body = body.map(|line| line.get(indentation..).unwrap_or_default().to_owned() + "\n");
        body.collect::<String>()
    };
    markers.map(|(at, name)| (name, block(at))).collect()
}

/// A user who follows a page, in a namespace with an operator. The current folder looks like the repository.
struct Reader {
    world: World,
    page: &'static str,
    folder: PathBuf,
    _percona: PerconaSimulator,
}

impl Reader {
    async fn new(page: &'static str, name: &str) -> Self {
        let world = World::new(name).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&world.namespace);
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = root().join("config");
        std::os::unix::fs::symlink(config, folder.join("config")).expect("a link");
        let text = std::fs::read_to_string(world.control_plane().kubeconfig()).expect("a kubeconfig");
        let mut kubeconfig: Value = serde_json::from_str(&text).expect("JSON");
        kubeconfig["contexts"][0]["context"]["namespace"] = json!(world.namespace);
        std::fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).expect("a file");
        let percona = world.percona().await;
        Self {
            world,
            page,
            folder,
            _percona: percona,
        }
    }

    /// Runs the blocks of this name.
    async fn follow(&self, name: &str) -> String {
        self.follow_without(name, "").await
    }

    /// Runs the blocks of this name without the lines that contain a text, as the page allows.
    async fn follow_without(&self, name: &str, dropped: &str) -> String {
        let page = std::fs::read_to_string(root().join(self.page)).expect("a page");
        let blocks = marked_blocks(&page).into_iter().filter(|(of, _)| *of == name);
        let script: String = blocks.map(|(_, block)| block).collect();
        assert!(!script.is_empty(), "{} has no block {name}", self.page);
        let lines = script
            .lines()
            .filter(|line| dropped.is_empty() || !line.contains(dropped));
        self.shell(&lines.collect::<Vec<_>>().join("\n")).await
    }

    /// Runs a script that stops at the first command that fails. Returns what it prints.
    async fn shell(&self, script: &str) -> String {
        let mut command = Command::new("timeout");
        command
            .args([LONGEST, "bash", "-euo", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env("KUBECONFIG", self.folder.join("kubeconfig"));
        let output = tokio::task::spawn_blocking(move || command.output());
        let Output {
            status,
            stdout,
            stderr,
        } = output.await.expect("no panic").expect("the shell runs");
        let text = String::from_utf8_lossy(&stdout).into_owned();
        if !status.success() {
            wait::dump(self.world.control_plane(), &self.world.namespace);
            let error = String::from_utf8_lossy(&stderr);
            panic!(
                "{}: {status}\n{script}\n--- output\n{text}\n--- errors\n{error}",
                self.page
            );
        }
        text
    }

    /// Applies a sample and waits until its server is Ready.
    async fn given(&self, sample: &str, server: &str) {
        self.shell(&format!("kubectl apply -f config/samples/{sample}"))
            .await;
        self.world.ready(server).await;
    }

    /// A StorageClass of this name. Tests share it.
    async fn given_class(&self, name: &str) {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name}, "provisioner": "kubernetes.io/host-path",
        });
        let class: StorageClass = serde_json::from_value(class).expect("a class");
        let classes: Api<StorageClass> = Api::all(self.world.client.clone());
        match classes.create(&PostParams::default(), &class).await {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
            created => drop(created.expect("the class is created")),
        }
    }

    async fn class_of(&self, claim: &str) -> Option<String> {
        let claim: PersistentVolumeClaim = self.world.get(claim).await;
        claim.spec?.storage_class_name
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_login_creates_a_server_reads_the_password_and_shows_the_endpoints() {
    let reader = Reader::new("docs/first-login.md", "docs-login").await;
    let printed = reader.follow("first-login").await;
    let secret: Secret = reader.world.get("minimal-admin-bootstrap-credentials").await;
    let password = String::from_utf8(secret.data.expect("data")["password"].0.clone()).expect("text");
    assert!(printed.contains(&password), "the password is printed");
    let server: DittoServer = reader.world.get("minimal").await;
    assert!(server.spec.storage.content_size.is_some());
    assert!(printed.contains("minimal-adapter-nfs.docs-login"), "{printed}");
    assert_eq!(server.status.expect("a status").endpoints.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_creates_a_server_and_shows_its_endpoints() {
    let reader = Reader::new("docs/files.md", "docs-files").await;
    let printed = reader.follow("files").await;
    assert!(printed.contains("files-adapter-nfs.docs-files"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_expands_a_volume_and_moves_the_volumes_of_a_server() {
    let reader = Reader::new("docs/storage.md", "docs-storage").await;
    reader.given("minimal.yaml", "minimal").await;
    reader.given_class("fast").await;
    let printed = reader.follow("grow").await;
    assert!(
        printed.contains(": "),
        "the reason and the message of Progressing: {printed}"
    );
    reader.follow("move-volumes").await;
    for claim in ["metadata-minimal-0", "controlplane-minimal-0"] {
        assert_eq!(reader.class_of(claim).await.as_deref(), Some("fast"), "{claim}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_recreates_a_percona_cluster_in_another_class() {
    let reader = Reader::new("docs/storage.md", "docs-percona").await;
    reader.given("percona.yaml", "with-percona").await;
    reader.follow("move-percona").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_rolls_out_an_image_restarts_patches_pauses_and_rolls_back() {
    let reader = Reader::new("docs/upgrades.md", "docs-upgrades").await;
    reader.given("minimal.yaml", "minimal").await;
    reader.follow("upgrade").await;
    reader.follow("restart").await;
    reader.follow("on-delete").await;
    reader.follow("patch").await;
    reader.follow("roll-back").await;
    let patched = reader
        .shell("kubectl get statefulset minimal -o jsonpath='{.spec.template.spec.nodeSelector}'")
        .await;
    assert_eq!(
        patched, r#"{"disk":"ssd"}"#,
        "a field that the operator does not set stays"
    );
    reader.follow("pause").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_saves_a_server_that_is_restored_after_its_loss() {
    let reader = Reader::new("docs/backup.md", "docs-backup").await;
    reader.given("minimal.yaml", "minimal").await;
    let key: Secret = reader.world.get("minimal-jwt-secret").await;
    reader.follow("backup").await;
    reader
        .shell(
            "kubectl delete dittoserver minimal\nkubectl delete pvc -l app=dittofs-server,instance=minimal\n\
             kubectl delete secret minimal-jwt-secret minimal-admin-bootstrap-credentials",
        )
        .await;
    // The page: for a copy, create the claims without `dataSource`.
    reader.follow_without("restore", "dataSource:").await;
    let restored: Secret = reader.world.get("minimal-jwt-secret").await;
    assert_ne!(restored.uid(), key.uid());
    assert_eq!(restored.data, key.data, "users need not sign in again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_creates_shows_and_stops_a_server() {
    let reader = Reader::new("README.md", "docs-readme").await;
    reader.follow("use").await;
    let server: DittoServer = reader.world.get("minimal").await;
    assert_eq!(server.spec.replicas, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifecycle_deletes_what_a_default_deletion_kept() {
    let reader = Reader::new("docs/lifecycle.md", "docs-lifecycle").await;
    reader.given("minimal.yaml", "minimal").await;
    reader.given("percona.yaml", "with-percona").await;
    reader
        .shell("kubectl delete dittoserver minimal with-percona")
        .await;
    reader.follow("clean-up").await;
    let left = reader
        .shell("kubectl get perconapgcluster,secret,pvc -o name")
        .await;
    let left: Vec<&str> = left
        .lines()
        .filter(|line| !line.contains("with-percona"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_creates_a_server_on_percona_with_backups_and_a_client_pod() {
    let reader = Reader::new("docs/databases.md", "docs-databases").await;
    reader.follow("create-percona").await;
    reader.follow("pgbackrest").await;
    reader.world.ready("with-percona").await;
    // Nothing runs in the containers of the control plane.
    reader.follow_without("client-pod", "kubectl exec").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_creates_the_secret_of_a_server_on_its_own_postgresql() {
    let reader = Reader::new("docs/databases.md", "docs-postgres").await;
    reader.follow("own-postgres").await;
    reader.given("own-postgres.yaml", "archive").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn availability_sets_tolerations_and_deletes_a_pod_by_force() {
    let reader = Reader::new("docs/availability.md", "docs-availability").await;
    reader.given("minimal.yaml", "minimal").await;
    reader.follow("tolerations").await;
    reader.follow("force-delete").await;
    reader.world.ready("minimal").await;
}

#[test]
fn every_marked_block_of_a_page_is_run_by_a_test() {
    let tests = include_str!("commands.rs");
    for page in all_pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for (name, _) in marked_blocks(&text) {
            let call = |function: &str| tests.contains(&format!("{function}(\"{name}\""));
            let is_run = call("follow") || call("follow_without");
            assert!(is_run, "{}: no test runs the block {name}", page.display());
        }
    }
}
