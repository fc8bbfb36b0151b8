//! An operator for several namespaces: one never blocks another, and the number of connections stays small.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use local_control_plane::percona;
use local_control_plane::rights::Account;
use serde_json::{Value, json};

use crate::support::process::{POLL, Process, free_address, get};
use crate::support::{World, fixtures, install_crd, own_control_plane, wait};

/// A role of everything that an operator needs, except of one resource.
async fn role_without(world: &World, name: &str, excluded: &str) {
    let all = [
        ("", "configmaps"),
        ("", "secrets"),
        ("", "services"),
        ("", "events"),
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("apps", "statefulsets"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("events.k8s.io", "events"),
        ("dittofs.dittofs.com", "dittoservers"),
        ("dittofs.dittofs.com", "dittoservers/status"),
        ("dittofs.dittofs.com", "dittoservers/finalizers"),
        ("pgv2.percona.com", "perconapgclusters"),
        ("monitoring.coreos.com", "servicemonitors"),
    ];
    let rules: Vec<Value> = all
        .iter()
        .filter(|(_, resource)| *resource != excluded)
        .map(|(group, resource)| json!({"apiGroups": [group], "resources": [resource], "verbs": ["*"]}))
        .collect();
    let role: ClusterRole =
        serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules})).expect("a role");
    let created = Api::all(world.client.clone())
        .create(&PostParams::default(), &role)
        .await;
    created.expect("the role is created");
}

async fn bind(world: &World, role: &str, account: &Account) {
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
    }))
    .expect("a binding");
    world.create(&binding).await;
}

/// Waits until `/readyz` answers 200 with a text that satisfies `holds`.
async fn ready_with(operator: &Process, what: &str, holds: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + wait::LONGEST;
    loop {
        let answer = operator.answers("/readyz").await;
        if holds(&answer) {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "readiness never shows {what}: {answer}"
        );
        tokio::time::sleep(POLL * 10).await;
    }
}

#[tokio::test]
async fn a_namespace_without_rights_does_not_block_the_others_and_works_once_the_rights_are_given() {
    let control_plane = own_control_plane().await;
    let world = World::on(Arc::clone(&control_plane), "works").await;
    install_crd(&world.client, dittofs_operator::api::crd()).await;
    percona::install_crd(&world.client).await.expect("the CRD");
    let account = Account {
        namespace: world.namespace.clone(),
        name: "operator".into(),
    };
    let metadata = ObjectMeta {
        name: Some(account.name.clone()),
        ..ObjectMeta::default()
    };
    let service_account = ServiceAccount {
        metadata,
        ..ServiceAccount::default()
    };
    world.create(&service_account).await;
    role_without(&world, "all", "").await;
    role_without(&world, "no-servers", "dittoservers").await;
    role_without(&world, "no-pods", "pods").await;
    bind(&world, "all", &account).await;
    // One namespace without any right, one without the servers, one without the pods.
    let nothing = World::on(Arc::clone(&control_plane), "nothing").await;
    let no_servers = World::on(Arc::clone(&control_plane), "noservers").await;
    let no_pods = World::on(Arc::clone(&control_plane), "nopods").await;
    bind(&no_servers, "no-servers", &account).await;
    bind(&no_pods, "no-pods", &account).await;
    let limited = [&nothing, &no_servers, &no_pods];

    let metrics = free_address();
    let bind_metrics = format!("--metrics-bind-address={metrics}");
    let mut arguments = vec!["--metrics-secure=false", "--log-format=text", &bind_metrics];
    for world in limited {
        arguments.extend(["--watch-namespace", &world.namespace]);
    }
    let operator = Process::start_as(&world, &account, &arguments).await;
    let names_all = |text: &str| limited.iter().all(|world| text.contains(&world.namespace));
    let answer = ready_with(&operator, "the namespaces that cannot be read", names_all).await;
    let works = format!("in namespace {}:", world.namespace);
    assert!(!answer.contains(&works), "{answer}");
    world.create(&fixtures::minimal("files")).await;
    wait::until(world.api::<StatefulSet>(), "files", "there", |_| true).await;
    assert!(names_all(&operator.log()), "{}", operator.log());
    let scrape = get(metrics, "/metrics").expect("an answer");
    for (kind, world) in [
        ("DittoServer", &nothing),
        ("DittoServer", &no_servers),
        ("Pod", &no_pods),
    ] {
        let series = format!(
            r#"watch_failing{{kind="{kind}",watched_namespace="{}"}} 1"#,
            world.namespace
        );
        assert!(scrape.contains(&series), "{series} is not in\n{scrape}");
    }

    for world in limited {
        bind(world, "all", &account).await;
        world.create(&fixtures::minimal("files")).await;
        wait::until(world.api::<StatefulSet>(), "files", "there", |_| true).await;
    }
    ready_with(&operator, "that all is well", |text| text.ends_with("\r\n\r\nok")).await;
}

#[tokio::test]
async fn the_watches_of_many_namespaces_share_a_few_connections() {
    let world = World::without_operator("manynamespaces").await;
    // Twenty namespaces with ten watches each. The namespaces do not have to exist.
    let names: BTreeSet<String> = (1..20).map(|number| format!("absent-{number}")).collect();
    let arguments: Vec<&str> = names
        .iter()
        .flat_map(|name| ["--watch-namespace", name])
        .collect();
    let operator = Process::start(&world, &arguments).await;
    operator.answers("/readyz").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let connections = operator.connections();
    assert!(
        (1..=12).contains(&connections),
        "{connections} connections for 200 watches"
    );
}

/// Measures sockets and memory: `cargo test --test behaviours -- --ignored --nocapture the_cost_of_many_namespaces`.
#[tokio::test]
#[ignore = "a measurement"]
async fn the_cost_of_many_namespaces() {
    let world = World::without_operator("cost").await;
    for count in [1, 60, 200] {
        let names: Vec<String> = (1..count).map(|number| format!("absent-{number}")).collect();
        let arguments: Vec<&str> = names
            .iter()
            .flat_map(|name| ["--watch-namespace", name])
            .collect();
        let started = Instant::now();
        let operator = Process::start(&world, &arguments).await;
        operator.answers("/readyz").await;
        let ready = started.elapsed();
        println!(
            "{count} namespaces: {} connections, {} KiB, ready after {ready:?}",
            operator.connections(),
            operator.memory()
        );
    }
}
