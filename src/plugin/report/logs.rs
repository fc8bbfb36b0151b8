//! Logs of the server's pod and of the operator, where they can be read.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::archive::Archive;
use crate::cli::ReportArgs;
use crate::observe::Observed;
use crate::plugin::cluster::Cluster;

/// Label of the operator's pods.
const OPERATOR: &str = "app.kubernetes.io/name=dittofs-operator";

/// The logs of the server's containers, and of those that ran before a restart.
pub(super) async fn of_server(cluster: &Cluster, observed: &Observed, lines: i64, archive: &mut Archive) {
    let pods = observed.pods.found().map(Vec::as_slice).unwrap_or_default();
    for pod in pods {
        of_pod(cluster, &cluster.namespace, pod, lines, archive).await;
    }
}

/// The logs of the operator's pods.
pub(super) async fn of_operator(cluster: &Cluster, args: &ReportArgs, archive: &mut Archive) {
    let api: Api<Pod> = match &args.operator_namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let pods = match api.list(&ListParams::default().labels(OPERATOR)).await {
        Ok(pods) => pods.items,
        Err(error) => return archive.miss("the operator's pods (--operator-namespace may help)", &error),
    };
    if pods.is_empty() {
        archive
            .missed
            .push(format!("the operator's pods: none has the label {OPERATOR}"));
    }
    // Their images say which version runs, their arguments how.
    let told: Vec<Value> = pods
        .iter()
        .filter_map(|pod| serde_json::to_value(pod).ok())
        .collect();
    archive.objects("operator-pods.yaml", &told);
    for pod in pods {
        let namespace = pod.namespace().unwrap_or_default();
        of_pod(cluster, &namespace, &pod, args.log_lines, archive).await;
    }
}

async fn of_pod(cluster: &Cluster, namespace: &str, pod: &Pod, lines: i64, archive: &mut Archive) {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let name = pod.name_any();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let restarted = |container: &str| {
        let statuses = pod
            .status
            .iter()
            .flat_map(|status| status.container_statuses.iter().flatten());
        statuses
            .filter(|status| status.name == container)
            .any(|status| status.restart_count > 0)
    };
    for container in containers {
        let container = &container.name;
        for previous in [false, true] {
            if previous && !restarted(container) {
                continue;
            }
            let params = LogParams {
                container: Some(container.clone()),
                previous,
                tail_lines: Some(lines),
                timestamps: true,
                ..LogParams::default()
            };
            let suffix = if previous { ".previous" } else { "" };
            let file = format!("logs/{namespace}/{name}/{container}{suffix}.log");
            match api.logs(&name, &params).await {
                Ok(log) => archive.text(&file, &log),
                Err(error) => archive.miss(&file, &error),
            }
        }
    }
}
