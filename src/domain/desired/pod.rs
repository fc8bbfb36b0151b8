//! The pod template (contract, section 2.3, with the changes of section 11).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec, ResourceRequirements,
    SleepAction,
};
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::database_tls::DatabaseTls;
use super::mounts::Mounts;
use super::services::METRICS_PORT_NAME;
use super::settled::Defaults;
use super::{env, pod_additions, probes, security};
use crate::api::names::API_PORT_NAME;
use crate::api::{DittoServerSpec, defaults, names};
use crate::domain::paths;
use crate::domain::validate::Valid;

/// Builds the template. `has_content` says whether there is a claim for file content.
pub(super) fn build(
    valid: &Valid<'_>,
    config_hash: &str,
    has_content: bool,
    defaults: Defaults,
) -> PodTemplateSpec {
    let server = &valid.observed.server;
    let tls = DatabaseTls::of(valid);
    let mut all = Mounts::build(server, &valid.uses, tls, has_content);
    if defaults == Defaults::Current {
        all.add_temporary(&server.spec);
    }
    let Mounts { volumes, mounts } = all;
    let container = Container {
        env: Some(env::build(&valid.uses, tls)),
        volume_mounts: Some(mounts),
        ..container(&server.spec)
    };
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(names::selector_labels(&server.name_any())),
            annotations: Some(BTreeMap::from([(
                names::CONFIG_HASH_ANNOTATION.to_owned(),
                config_hash.to_owned(),
            )])),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            // The server would read variables of Services as configuration: a Service `dittofs-metrics` in the namespace sets
            // DITTOFS_METRICS_PORT=tcp://…, which the server takes for `metrics.port`, and exits.
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(server.spec.termination_grace_period_seconds()),
            security_context: Some(security::pod(&server.spec, defaults)),
            containers: vec![container],
            volumes: Some(volumes),
            ..PodSpec::default()
        }),
    };
    pod_additions::merge(&mut template, &server.spec);
    template
}

/// The container, without its variables and mounts.
fn container(spec: &DittoServerSpec) -> Container {
    let arguments = ["start", "--foreground", "--config", paths::CONFIG_FILE];
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(spec.image().to_owned()),
        command: Some(vec!["/app/dfs".to_owned()]),
        args: Some(arguments.map(str::to_owned).into()),
        ports: Some(ports(spec)),
        resources: resources(spec),
        security_context: Some(security::container(spec)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(pre_stop()),
            ..Lifecycle::default()
        }),
        liveness_probe: Some(probes::liveness(spec)),
        readiness_probe: Some(probes::readiness(spec)),
        startup_probe: Some(probes::startup(spec)),
        // The server writes no termination message, so the end of its log is used (`pod_cause`).
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// Waits until the pod is removed from endpoints. The kubelet's own sleep needs no shell in the image.
fn pre_stop() -> LifecycleHandler {
    LifecycleHandler {
        sleep: Some(SleepAction {
            seconds: defaults::PRE_STOP_SECONDS,
        }),
        ..LifecycleHandler::default()
    }
}

/// Ports of adapters are not listed: enabling an adapter must not restart the pod.
fn ports(spec: &DittoServerSpec) -> Vec<ContainerPort> {
    let metrics = spec
        .metrics_enabled()
        .then(|| tcp(METRICS_PORT_NAME, spec.metrics_port()));
    [tcp(API_PORT_NAME, spec.api_port())]
        .into_iter()
        .chain(metrics)
        .collect()
}

fn tcp(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// The Go operator stored `resources: {}` in every server. It has no meaning.
fn resources(spec: &DittoServerSpec) -> Option<ResourceRequirements> {
    spec.resources
        .clone()
        .filter(|resources| *resources != ResourceRequirements::default())
}
