//! Kinds that are not installed: their CRDs are watched, so that they are not listed again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_operator::api;
use dittofs_operator::api::service_monitor::ServiceMonitor;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use local_control_plane::rights::Right;
use local_control_plane::{ControlPlane, percona};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::support::process::{POLL, Process, free_address, get};
use crate::support::{World, account, fixtures, install_crd, own_control_plane, wait};

/// A server that asks for a ServiceMonitor.
fn server() -> api::DittoServer {
    let metrics = json!({"enabled": true, "serviceMonitor": {"enabled": true}});
    fixtures::server("files", json!({"metrics": metrics}))
}

async fn monitor(world: &World) -> ServiceMonitor {
    wait::until(world.api(), "files-metrics", "there", |_| true).await
}

/// The number of calls with this verb and kind, with any code.
fn calls(metrics: SocketAddr, verb: &str, kind: &str) -> usize {
    let scrape = get(metrics, "/metrics").unwrap_or_default();
    let series = format!(r#"dittofs_operator_api_calls_total{{verb="{verb}",kind="{kind}","#);
    let of_series = scrape.lines().filter(|line| line.starts_with(&series));
    of_series
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum()
}

async fn until(operator: &Process, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + wait::LONGEST;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "not in time: {what}\n{}",
            operator.log()
        );
        tokio::time::sleep(POLL * 5).await;
    }
}

/// The arguments of an operator that serves its metrics at this address.
fn arguments(bind: &str) -> [&str; 3] {
    ["--metrics-secure=false", "--log-format=text", bind]
}

/// Checks that an operator, where no custom kind is installed, notices each that is installed, and lists none before. `listed` counts
/// its lists of the two optional kinds.
async fn lists_no_missing_kind(
    world: &World,
    operator: &Process,
    metrics: SocketAddr,
    listed: impl Fn() -> usize,
) {
    until(operator, "the watches of three CRDs", || {
        calls(metrics, "watch", "CustomResourceDefinition") == 3
    })
    .await;
    let before = listed();

    install_crd(&world.client, api::crd()).await;
    world.create(&server()).await;
    wait::until(world.api::<StatefulSet>(), "files", "there", |_| true).await;
    // A list that was under way, for each kind.
    let now = listed();
    assert!(before > 0 && now <= before + 2, "{before} lists, then {now}");
    let log = operator.log();
    assert!(!log.contains("cannot be watched"), "{log}");
    let scrape = get(metrics, "/metrics").expect("an answer");
    let age = r#"watch_age_seconds{kind="ServiceMonitor"}"#;
    assert!(!scrape.contains(age), "no answer is expected:\n{scrape}");

    let installed = Instant::now();
    install_crd(&world.client, fixtures::service_monitor_crd()).await;
    monitor(world).await;
    println!("noticed {:?} after the CRD was created", installed.elapsed());
    percona::install_crd(&world.client).await.expect("the CRD");
    until(operator, "the watch of Percona's kind", || {
        calls(metrics, "watch", "PerconaPGCluster") > 0
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_not_listed_until_its_crd_appears() {
    let world = World::on(own_control_plane().await, "definitions").await;
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let account = account::elected(&world).await;
    let operator = Process::start_cluster_wide(&world, &account, &arguments(&bind)).await;
    let listed = || calls(metrics, "list", "ServiceMonitor") + calls(metrics, "list", "PerconaPGCluster");
    lists_no_missing_kind(&world, &operator, metrics, listed).await;
}

#[tokio::test]
async fn an_operator_of_some_namespaces_does_not_list_a_kind_either_until_its_crd_appears() {
    let world = World::on(own_control_plane().await, "definitions").await;
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let operator = Process::start(&world, &arguments(&bind)).await;
    let listed = || {
        let calls = world.audit().calls();
        let is_optional = |name: &str| ["perconapgclusters", "servicemonitors"].contains(&name);
        let lists = calls.iter().filter(|call| call.verb == "list");
        lists.filter(|call| is_optional(&call.resource)).count()
    };
    lists_no_missing_kind(&world, &operator, metrics, listed).await;
}

#[tokio::test]
async fn a_crd_that_is_removed_and_installed_again_is_noticed_both_times() {
    let world = World::on(own_control_plane().await, "definitions").await;
    install_crd(&world.client, api::crd()).await;
    install_crd(&world.client, fixtures::service_monitor_crd()).await;
    let account = account::elected(&world).await;
    let _operator = Process::start_cluster_wide(&world, &account, &["--log-format=text"]).await;
    world.create(&server()).await;
    let first = monitor(&world).await;
    let crds: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = fixtures::service_monitor_crd().name_any();
    crds.delete(&name, &DeleteParams::default())
        .await
        .expect("deleted");
    world
        .server_until("files", "reporting that the kind is not installed", |server| {
            wait::condition(server, "ConfigReady")
                .is_some_and(|ready| ready.message.contains("kind ServiceMonitor is not installed"))
        })
        .await;
    install_crd(&world.client, fixtures::service_monitor_crd()).await;
    assert_ne!(monitor(&world).await.uid(), first.uid());
}

/// A control plane with no kind installed but DittoServers.
async fn without_kinds() -> Arc<ControlPlane> {
    static SHARED: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
    let start = || async {
        let control_plane = own_control_plane().await;
        let client = control_plane.client().expect("a client");
        install_crd(&client, api::crd()).await;
        control_plane
    };
    Arc::clone(SHARED.get_or_init(start).await)
}

/// Starts an operator without a right on CRDs, where no custom kind is installed. Returns what its log says of the right.
pub async fn refusal(right: &Right, phrase: &str) -> Option<String> {
    let control_plane = if right.name.as_deref() == Some("dittoservers.dittofs.dittofs.com") {
        own_control_plane().await
    } else {
        without_kinds().await
    };
    let world = World::on(control_plane, "refused").await;
    let account = account::denied(&world, Some(right)).await;
    let operator = Process::start_cluster_wide(&world, &account, &["--log-format=text"]).await;
    let deadline = Instant::now() + wait::LONGEST;
    while Instant::now() < deadline {
        if let Some(line) = operator.log().lines().find(|line| line.contains(phrase)) {
            return Some(line.to_owned());
        }
        tokio::time::sleep(POLL * 5).await;
    }
    None
}

#[tokio::test]
async fn an_operator_that_may_not_watch_crds_lists_a_missing_kind_and_notices_when_it_is_installed() {
    let world = World::on(own_control_plane().await, "definitions").await;
    install_crd(&world.client, api::crd()).await;
    let right = Right {
        group: "apiextensions.k8s.io".into(),
        resource: "customresourcedefinitions".into(),
        verb: "list".into(),
        name: Some(fixtures::service_monitor_crd().name_any()),
    };
    let account = account::denied(&world, Some(&right)).await;
    let operator = Process::start_cluster_wide(&world, &account, &["--log-format=text"]).await;
    let refused = || {
        let log = operator.log();
        let says = |line: &str| line.contains("the CRD cannot be watched") && line.contains("forbidden");
        log.lines().filter(|line| says(line)).count()
    };
    until(&operator, "what is missing", || refused() > 0).await;
    world.create(&server()).await;
    wait::until(world.api::<StatefulSet>(), "files", "there", |_| true).await;
    let installed = Instant::now();
    install_crd(&world.client, fixtures::service_monitor_crd()).await;
    monitor(&world).await;
    assert!(
        installed.elapsed() < Duration::from_secs(30),
        "{:?}",
        installed.elapsed()
    );
    assert_eq!(refused(), 1, "{}", operator.log());
}
