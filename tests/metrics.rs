//! What `/metrics` exports, to whom, and that dashboard and alerts use existing metrics.

mod certificate;
mod dashboard;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use http::StatusCode;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{ResourceQuota, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use local_control_plane::rights::Account;
use serde_json::{Value, json};

use crate::support::chart::{NAMESPACE, RELEASE};
use crate::support::process::{POLL, Process, free_address, get, scrape_securely};
use crate::support::{World, account, fixtures, wait};

/// The text after the HTTP head.
async fn scrape(operator: &Process, metrics: std::net::SocketAddr) -> String {
    operator.answers("/readyz").await;
    let answer = get(metrics, "/metrics").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// Pause between two scrapes.
const PAUSE: Duration = Duration::from_millis(200);

/// Scrapes until the text satisfies `holds`.
async fn scraped(
    operator: &Process,
    metrics: std::net::SocketAddr,
    what: &str,
    pause: Duration,
    holds: impl Fn(&str) -> bool,
) -> String {
    let deadline = Instant::now() + wait::LONGEST;
    loop {
        let text = scrape(operator, metrics).await;
        if holds(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "the scrape never says {what}:\n{text}");
        tokio::time::sleep(pause).await;
    }
}

/// The line of a scrape with a condition of a server.
fn condition_is(world: &World, server: &str, condition: &str, value: i8) -> String {
    format!(
        r#"condition{{server_namespace="{}",server_name="{server}",condition="{condition}"}} {value}"#,
        world.namespace
    )
}

/// Names of metrics in a query: words with the operator's prefix.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("dittofs_operator_"))
        .map(str::to_owned)
        .collect()
}

/// An empty folder for what a test writes.
fn new_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("a file")
}

/// Gives the namespace a quota of storage, and waits until it is counted.
async fn quota(world: &World, hard: &str) {
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "small"},
        "spec": {"hard": {"requests.storage": hard}},
    }))
    .expect("a quota");
    world.create(&quota).await;
    wait::until(world.api::<ResourceQuota>(), "small", "counted", |quota| {
        quota.status.as_ref().is_some_and(|status| status.used.is_some())
    })
    .await;
}

#[tokio::test]
async fn every_metric_of_dashboard_and_alerts_is_exported_and_a_deleted_servers_series_are_removed() {
    let world = World::without_operator("metrics").await;
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let operator = Process::start(
        &world,
        &[
            "--metrics-secure=false",
            &bind,
            "--leader-elect",
            "--leader-election-namespace",
            &world.namespace,
        ],
    )
    .await;
    quota(&world, "3Gi").await;
    let spec = json!({"storage": {"metadataSize": "1Gi", "storageClassName": "standard"}});
    world.create(&fixtures::server("files", spec)).await;
    let server = world.ready("files").await;
    let bigger = json!({"spec": {"storage": {"metadataSize": "10Gi"}}});
    world.merge::<DittoServer>("files", bigger).await;
    let stuck = "volume_stuck{server_namespace=";
    let text = scraped(&operator, metrics, stuck, PAUSE, |text| text.contains(stuck)).await;
    let mut missing = named(&file("config/monitoring/alerts.yaml"));
    let dashboard: Value = serde_json::from_str(&file("config/monitoring/dashboard.json")).expect("JSON");
    missing.extend(named(&dashboard.to_string()));
    assert!(missing.len() > 10, "{missing:?}");
    // A metric without a series is not in the text, and not every label value occurs in this test.
    missing.retain(|name| {
        let family = ["_total", "_bucket", "_info"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        !text.contains(&format!("# TYPE {} ", family.unwrap_or(name)))
    });
    assert!(missing.is_empty(), "{missing:?} are not in\n{text}");
    for expected in [
        // The server keeps running while its volume is stuck, and a dry run of the expansion does not count as a failed patch.
        &condition_is(&world, "files", "Ready", 1),
        r#"server_name="files",reason="VolumeQuotaExceeded"} 1"#,
        r#"dittofs_operator_api_calls_total{verb="dry_run",kind="PersistentVolumeClaim",code="403"}"#,
        "dittofs_operator_leader 1\n",
        "dittofs_operator_synced 1\n",
        r#"dittofs_operator_reconciles_total{result="success",step="",error=""}"#,
        r#"dittofs_operator_children_total{kind="StatefulSet",outcome="created"} 1"#,
        r#"dittofs_operator_api_calls_total{verb="create",kind="StatefulSet",code="201"} 1"#,
        r#"dittofs_operator_api_calls_total{verb="create",kind="Lease",code="201"} 1"#,
        r#"dittofs_operator_watch_age_seconds{kind="Pod"}"#,
        concat!(
            r#"dittofs_operator_build_info{version=""#,
            env!("CARGO_PKG_VERSION")
        ),
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.metadata.uid).await;
    scraped(&operator, metrics, "no more of the server", PAUSE, |text| {
        !text.contains(r#"server_name="files""#)
    })
    .await;
}

#[test]
fn every_alert_fires_in_the_prometheus_engine_and_none_fires_for_a_healthy_cluster() {
    let output = Command::new("go")
        .args(["test", "-count=1", "./..."])
        .current_dir(format!("{}/tests/monitoring", env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("Go runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A token of a new ServiceAccount.
async fn token(world: &World, name: &str) -> String {
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    world.create(&account).await;
    let account = Account {
        namespace: world.namespace.clone(),
        name: name.into(),
    };
    account::token(&world.client, &account).await
}

/// Allows a ServiceAccount to read `/metrics`, as the pages of the chart describe.
async fn allow(world: &World, name: &str) {
    let role = format!("{NAMESPACE}-{RELEASE}-metrics-reader");
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": world.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": world.namespace}],
    }))
    .expect("a binding");
    Api::all(world.client.clone())
        .create(&PostParams::default(), &binding)
        .await
        .expect("a binding");
}

#[tokio::test]
async fn secure_metrics_are_served_over_tls_to_authorized_clients_also_by_a_standby() {
    let world = World::without_operator("securemetrics").await;
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let elected = ["--leader-elect", "--leader-election-namespace", &world.namespace];
    let _leader = Process::start(&world, &elected).await;
    wait::until(
        world.api::<k8s_openapi::api::coordination::v1::Lease>(),
        "b837d6c8.dittofs.com",
        "held",
        |_| true,
    )
    .await;
    let standby = Process::start(&world, &[elected.as_slice(), &[&bind]].concat()).await;
    standby.answers("/readyz").await;
    let reader = token(&world, "reader").await;
    allow(&world, "reader").await;
    // The API server's authorizer observes the new rule with its own watch.
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {
        "user": format!("system:serviceaccount:{}:reader", world.namespace),
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }}))
    .expect("a review");
    let reviews: Api<SubjectAccessReview> = Api::all(world.client.clone());
    let may = || async {
        let reviewed = reviews.create(&PostParams::default(), &review).await;
        reviewed
            .expect("a review")
            .status
            .is_some_and(|status| status.allowed)
    };
    while !may().await {
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(scrape_securely(metrics, Some(&reader)).await, StatusCode::OK);
    let stranger = token(&world, "stranger").await;
    assert_eq!(
        scrape_securely(metrics, Some(&stranger)).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        scrape_securely(metrics, Some("nonsense")).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(scrape_securely(metrics, None).await, StatusCode::UNAUTHORIZED);
    let plain = get(metrics, "/metrics");
    assert!(
        plain.is_err() || !plain.unwrap_or_default().contains("200 OK"),
        "not without TLS"
    );
    assert!(!standby.log().contains(&reader), "no token is logged");
}
