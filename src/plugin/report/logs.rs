//! Logs of the server's pod and of the operator, if they can be read.

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::archive::Archive;
use crate::domain::observed::Observed;
use crate::plugin::args::ReportArgs;
use crate::plugin::cluster::Cluster;

/// Maximum size of one log.
const MOST_BYTES: i64 = 8 << 20;
/// The kubelet applies a limit only approximately.
const SLACK: i64 = 4 << 10;
/// Divides the number of requested lines if they are too long.
const FEWER: i64 = 4;
/// Replaces a line that is longer than the maximum size. A part of it may be a part of a Secret, and would not be redacted.
const TOO_LONG: &str = "(the last line is too long for a report)\n";
/// Labels of the operator's pods. No value of the chart changes them.
const OPERATOR: &str = "app.kubernetes.io/part-of=dittofs,app.kubernetes.io/component=operator";

/// The logs of the server's containers, and of their previous instances.
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
            .push(format!("the operator's pods: no pod has the labels {OPERATOR}"));
    }
    // Their images show the version of the operator, their arguments its flags.
    let objects: Vec<Value> = pods
        .iter()
        .filter_map(|pod| serde_json::to_value(pod).ok())
        .collect();
    archive.objects("operator-pods.yaml", &objects);
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
        let container = container.name.as_str();
        for previous in [false, true] {
            if previous && !restarted(container) {
                continue;
            }
            let params = LogParams {
                container: Some(container.to_owned()),
                previous,
                timestamps: true,
                ..LogParams::default()
            };
            let suffix = if previous { ".previous" } else { "" };
            let file = format!("logs/{namespace}/{name}/{container}{suffix}.log");
            let log = last(&api, &name, lines, params).await;
            put(archive, &file, log, lines);
        }
    }
}

fn put(archive: &mut Archive, file: &str, log: kube::Result<Log>, lines: i64) {
    match log {
        Ok(log) => {
            if log.lines < lines {
                let more = format!(
                    "{file}: only the last {} lines, because the lines are long",
                    log.lines
                );
                archive.missed.push(more);
            }
            archive.text(file, &log.text);
        }
        Err(error) => archive.miss(file, &error),
    }
}

/// The end of a log.
struct Log {
    text: String,
    /// Number of lines in the last request.
    lines: i64,
}

/// The last lines of a log, or fewer if they are too long. The kubelet cuts a log at the limit, so the end, which is the most useful
/// part, would be lost.
async fn last(api: &Api<Pod>, pod: &str, lines: i64, mut params: LogParams) -> kube::Result<Log> {
    params.limit_bytes = Some(MOST_BYTES);
    let mut lines = lines;
    loop {
        params.tail_lines = Some(lines);
        let log = bytes(api, pod, &params).await?;
        let is_cut = i64::try_from(log.len()).unwrap_or(i64::MAX) >= MOST_BYTES - SLACK;
        let text = match (is_cut, lines) {
            (false, _) => String::from_utf8_lossy(&log).into_owned(),
            (true, ..=1) => TOO_LONG.to_owned(),
            (true, _) => {
                lines = (lines / FEWER).max(1);
                continue;
            }
        };
        return Ok(Log { text, lines });
    }
}

async fn bytes(api: &Api<Pod>, pod: &str, params: &LogParams) -> kube::Result<Vec<u8>> {
    let mut log = Vec::new();
    let stream = api.log_stream(pod, params).await?;
    let mut bounded = stream.take(MOST_BYTES.unsigned_abs());
    bounded
        .read_to_end(&mut log)
        .await
        .map_err(kube::Error::ReadEvents)?;
    Ok(log)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;

    use super::*;

    /// A kubelet whose log has lines of this length, and the numbers of lines in the requests.
    fn kubelet(line: usize) -> (Api<Pod>, Arc<Mutex<Vec<i64>>>) {
        let asked: Arc<Mutex<Vec<i64>>> = Arc::default();
        let recorded = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let query: BTreeMap<&str, &str> =
                query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            let lines: i64 = query["tailLines"].parse().unwrap();
            let limit: usize = query["limitBytes"].parse().unwrap();
            recorded.lock().unwrap().push(lines);
            let mut log = "ä".repeat(line / 2 - 1) + ".\n";
            log = log.repeat(usize::try_from(lines).unwrap().min(limit / line + 1));
            let mut log = log.into_bytes();
            log.truncate(limit);
            async move { Ok::<_, std::io::Error>(Response::new(Body::from(log))) }
        });
        (Api::namespaced(Client::new(service, "d"), "d"), asked)
    }

    #[tokio::test]
    async fn the_size_of_a_log_is_limited_and_its_end_is_kept() {
        let (api, asked) = kubelet(100);
        let log = last(&api, "files-0", 50, LogParams::default()).await.unwrap();
        assert_eq!((log.text.len(), log.lines), (5000, 50));
        assert_eq!(*asked.lock().unwrap(), [50]);

        let (api, asked) = kubelet(1 << 20);
        let log = last(&api, "files-0", 5000, LogParams::default()).await.unwrap();
        assert_eq!((log.text.lines().count(), log.lines), (4, 4));
        assert!(log.text.ends_with(".\n"));
        assert_eq!(*asked.lock().unwrap(), [5000, 1250, 312, 78, 19, 4]);

        let (api, _) = kubelet(9 << 20);
        let log = last(&api, "files-0", 1, LogParams::default()).await.unwrap();
        assert_eq!(log.text, TOO_LONG);
    }
}
