//! Installations on a real control plane: with Helm and kustomize, for all namespaces and for some. The operator is started as the
//! Deployment says, with a token of its service account and nothing else.

mod cluster;

use std::collections::BTreeMap;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use self::cluster::{CRD, Cluster, DEPLOYMENT};
use super::kustomize::overlay;
use super::{NAMESPACE, RELEASE, read};

#[tokio::test]
async fn helm_installs_upgrades_and_uninstalls_the_operator_and_servers_and_data_are_kept() {
    let cluster = Cluster::start(&[NAMESPACE, "team"]).await;
    let notes = cluster.install("install", &json!({})).await;
    assert!(
        notes.contains("kubectl -n dittofs-system rollout status"),
        "{notes}"
    );
    let operator = cluster.operator().await;
    cluster
        .sample("team", "config/samples/minimal.yaml", "minimal")
        .await;
    cluster
        .sample("team", "config/samples/sqlite-with-secrets.yaml", "office")
        .await;
    assert_eq!(cluster.refused(), BTreeMap::new());

    let upgraded = json!({"replicas": 3, "log": {"level": "debug"}, "metrics": {"enabled": false}});
    let pods = cluster.names::<Pod>("team").await;
    assert_eq!(pods.len(), 2, "every child pod was admitted: {pods:?}");
    cluster.install("upgrade", &upgraded).await;
    operator.stop().await;
    let operator = cluster.operator().await;
    let annotate = json!({"spec": {"service": {"annotations": {"example.com/upgraded": "yes"}}}});
    cluster
        .api::<DittoServer>("team")
        .patch("minimal", &PatchParams::default(), &Patch::Merge(annotate))
        .await
        .expect("a patch");
    cluster.ready("team", "minimal").await;
    assert_eq!(cluster.names::<Pod>("team").await, pods, "no server restarted");

    let claims = cluster.names::<PersistentVolumeClaim>("team").await;
    let servers = cluster.names::<DittoServer>("team").await;
    let secrets = cluster.names::<Secret>("team").await;
    operator.stop().await;
    cluster.helm(&["uninstall", RELEASE], &json!({})).await;
    assert_eq!(cluster.names::<Deployment>(NAMESPACE).await, Vec::<String>::new());
    let crds = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    let crd = crds.get(CRD).await.expect("the CRD stays");
    assert!(crd.metadata.deletion_timestamp.is_none());
    assert_eq!(cluster.names::<DittoServer>("team").await, servers);
    assert_eq!(cluster.names::<PersistentVolumeClaim>("team").await, claims);
    assert_eq!(cluster.names::<Secret>("team").await, secrets);
    assert_eq!(cluster.names::<Pod>("team").await, pods, "servers go on serving");
    assert!(claims.len() >= 4 && servers.len() == 2, "{claims:?} {servers:?}");

    // The next release of the same name adopts what was kept.
    cluster.install("install", &json!({})).await;
    let operator = cluster.operator().await;
    cluster.ready("team", "minimal").await;
    operator.stop().await;
    assert_eq!(cluster.refused(), BTreeMap::new());

    // Without leader election the strategy changes, which the API server accepts in one step.
    let alone = json!({"leaderElection": {"enabled": false}, "replicas": 1});
    cluster.install("upgrade", &alone).await;
    let deployment = cluster.api::<Deployment>(NAMESPACE).get(DEPLOYMENT).await;
    let strategy = deployment
        .expect("a Deployment")
        .spec
        .and_then(|spec| spec.strategy);
    let strategy = strategy.and_then(|strategy| strategy.type_);
    assert_eq!(strategy.as_deref(), Some("Recreate"));
}

#[tokio::test]
async fn helm_installs_the_operator_for_two_namespaces_without_rights_in_others() {
    let cluster = Cluster::start(&[NAMESPACE, "team-a", "team-b", "other"]).await;
    let values = json!({
        "watchNamespaces": ["team-a", "team-b"],
        "nameOverride": "renamed",
        "fullnameOverride": DEPLOYMENT,
    });
    // The CRD exists before, as in a migration from the Go operator.
    cluster.kubectl(&["apply", "--server-side", "-k", "crds"]).await;
    cluster
        .install_with(&["install", "--take-ownership"], &values)
        .await;
    let operator = cluster.operator().await;
    cluster
        .sample("team-a", "config/samples/minimal.yaml", "minimal")
        .await;
    cluster
        .sample("team-b", "config/samples/minimal.yaml", "minimal")
        .await;
    operator.stop().await;
    assert_eq!(cluster.refused(), BTreeMap::new());

    // A report finds the pods of the operator, although the release has changed their names.
    let report = cluster.report("team-a", "minimal").await;
    assert!(report.contains("app.kubernetes.io/name: renamed"), "{report}");

    let bindings = Api::<ClusterRoleBinding>::all(cluster.client.clone());
    let bindings = bindings.list(&ListParams::default()).await.expect("a list");
    let ours = bindings.items.iter().filter(|binding| {
        let mut subjects = binding.subjects.iter().flatten();
        subjects.any(|subject| subject.name == DEPLOYMENT)
    });
    let roles: Vec<_> = ours.map(|binding| binding.role_ref.name.as_str()).collect();
    assert_eq!(roles, [format!("{NAMESPACE}-{DEPLOYMENT}-definitions")]);
    assert!(cluster.may("list", "secrets", "team-a").await);
    for namespace in ["other", NAMESPACE, "kube-system"] {
        for verb in ["get", "list", "watch", "create", "delete"] {
            assert!(
                !cluster.may(verb, "secrets", namespace).await,
                "{verb} secrets in {namespace}"
            );
        }
    }
}

#[tokio::test]
async fn kustomize_installs_the_operator_cluster_wide_and_for_one_namespace() {
    let cluster = Cluster::start(&["team"]).await;
    cluster
        .kubectl(&["apply", "--server-side", "-k", "config/default"])
        .await;
    cluster
        .kubectl(&[
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            "deployment/dittofs-operator",
            "--timeout=60s",
        ])
        .await;
    cluster
        .kubectl(&["apply", "--server-side", "-k", "config/admission"])
        .await;
    let operator = cluster.operator().await;
    cluster
        .sample("team", "config/samples/minimal.yaml", "minimal")
        .await;
    operator.stop().await;
    assert_eq!(cluster.refused(), BTreeMap::new());

    // The same cluster, now with Roles only.
    cluster.kubectl(&["delete", "-k", "config/rbac/cluster"]).await;
    cluster
        .kubectl(&["apply", "--server-side", "-k", "config/namespaced"])
        .await;
    let operator = cluster.operator().await;
    cluster
        .sample(NAMESPACE, "config/samples/minimal.yaml", "minimal")
        .await;
    operator.stop().await;
    // Roles cannot allow to watch CRDs.
    let refused = cluster.refused();
    let mut resources = refused.keys().map(|right| right.resource.as_str());
    assert!(
        resources.all(|name| name == "customresourcedefinitions"),
        "{refused:?}"
    );
    assert!(!cluster.may("list", "secrets", "team").await);

    // The operator is removed. The CRD, the servers and their data are kept.
    let claims = cluster.names::<PersistentVolumeClaim>("team").await;
    cluster.kubectl(&["delete", "-k", "config/manager"]).await;
    assert_eq!(cluster.names::<DittoServer>("team").await.len(), 1);
    assert_eq!(cluster.names::<DittoServer>(NAMESPACE).await.len(), 1);
    assert_eq!(cluster.names::<PersistentVolumeClaim>("team").await, claims);
    assert!(!claims.is_empty());

    // A team installs its own operator in its namespace and removes it again. The namespace and everything in it are unchanged.
    let namespaces = Api::<Namespace>::all(cluster.client.clone());
    let before = namespaces.get("team").await.expect("a namespace");
    let overlay = overlay("overlay-applied", "team");
    cluster.kubectl(&["apply", "--server-side", "-k", &overlay]).await;
    assert!(cluster.operator_may("team", "list", "secrets", "team").await);
    assert!(!cluster.operator_may("team", "list", "secrets", NAMESPACE).await);
    cluster.kubectl(&["delete", "-k", &overlay]).await;
    assert_eq!(cluster.names::<Deployment>("team").await, Vec::<String>::new());
    let after = namespaces.get("team").await.expect("a namespace");
    assert_eq!(after.metadata, before.metadata);
    assert_eq!(cluster.names::<DittoServer>("team").await.len(), 1);
    assert_eq!(cluster.names::<PersistentVolumeClaim>("team").await, claims);
}

#[test]
fn the_namespace_of_the_kustomize_manifests_enforces_restricted() {
    assert!(read("config/default/namespace.yaml").contains("pod-security.kubernetes.io/enforce: restricted"));
}
