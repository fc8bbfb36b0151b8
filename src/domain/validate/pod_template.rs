//! `spec.podTemplate`: parts without which the server does not run, and parts that are not of a pod.
//!
//! Admission refuses the names that it can compare. This step also checks what the schema leaves open.

use std::collections::BTreeSet;

use super::{Concern, Finding, Severity, Violation};
use crate::api::{DittoServerSpec, PodTemplate, reasons, rules::pod_template as rules};
use crate::domain::desired::pod_additions;
use crate::domain::observed::Observed;

/// Judges the additions to the pod.
pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let spec = &observed.server.spec;
    let Some(additions) = &spec.pod_template else {
        return Vec::new();
    };
    let messages = pod_additions::problems(additions)
        .into_iter()
        .chain(reserved(additions))
        .chain(ports(spec, additions));
    let violation = |message| Violation {
        reason: reasons::INVALID_SPEC,
        message,
        concern: Concern::Config,
        severity: Severity::Terminal,
    };
    messages.map(violation).map(Finding::blocking).collect()
}

/// Parts that the operator makes.
fn reserved(additions: &PodTemplate) -> impl Iterator<Item = String> {
    let labels = additions.labels.keys().map(String::as_str);
    let variables = additions.env.iter().map(|variable| variable.name.as_str());
    let volumes = additions
        .volumes
        .iter()
        .filter_map(|volume| volume["name"].as_str());
    let mounts = additions
        .volume_mounts
        .iter()
        .map(|mount| mount.mount_path.as_str());
    let containers = additions.sidecars.iter().chain(&additions.init_containers);
    let containers = containers.filter_map(|container| container["name"].as_str());
    let found = [
        taken("labels", labels, &rules::LABELS),
        taken(
            "annotations",
            additions.annotations.keys().map(String::as_str),
            &rules::ANNOTATIONS,
        ),
        taken("env", variables, &rules::VARIABLES),
        taken("volumes", volumes, &rules::VOLUMES),
        mounts_taken(mounts),
        taken("sidecars", containers, &rules::CONTAINERS),
    ];
    found.into_iter().flatten()
}

fn taken<'a>(field: &str, found: impl Iterator<Item = &'a str>, ours: &[&str]) -> Vec<String> {
    let found = found.filter(|name| ours.contains(name));
    let message = |name| {
        format!(
            "spec.podTemplate.{field} has {name}, which the operator sets: remove it, or choose another name"
        )
    };
    found.map(message).collect()
}

/// Two paths can name one directory.
fn mounts_taken<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let clean: Vec<String> = paths.map(clean).collect();
    taken("volumeMounts", clean.iter().map(String::as_str), &rules::MOUNTS)
}

fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// All containers of a pod share its addresses, so two cannot listen on one port.
fn ports(spec: &DittoServerSpec, additions: &PodTemplate) -> Vec<String> {
    let metrics = spec.metrics_enabled().then(|| spec.metrics_port());
    let ours: BTreeSet<i32> = rules::SERVER_PORTS
        .into_iter()
        .chain([spec.api_port()])
        .chain(metrics)
        .collect();
    let mut found = Vec::new();
    for (field, container) in pod_additions::containers(additions) {
        let ports = container
            .ports
            .into_iter()
            .flatten()
            .map(|port| port.container_port);
        found.extend(ports.filter(|port| ours.contains(port)).map(|port| {
            format!("{field} has the port {port}, on which the server listens in the same pod: choose another port")
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::desired::made_here;
    use crate::domain::testing;

    fn messages(spec: &str) -> Vec<String> {
        let found = findings(&testing::nothing(spec));
        assert!(found.iter().all(|finding| finding.blocks_pod));
        found
            .into_iter()
            .map(|finding| finding.violation.message)
            .collect()
    }

    #[test]
    fn what_the_server_cannot_do_without_is_refused_with_its_field() {
        for (template, field) in [
            ("{labels: {app: x}}", "spec.podTemplate.labels has app,"),
            ("{labels: {instance: x}}", "spec.podTemplate.labels has instance,"),
            (
                "{annotations: {dittofs.io/config-hash: x}}",
                "spec.podTemplate.annotations has dittofs.io/config-hash,",
            ),
            (
                "{env: [{name: DITTOFS_CONTROLPLANE_SECRET, value: x}]}",
                "spec.podTemplate.env has DITTOFS_CONTROLPLANE_SECRET,",
            ),
            (
                "{env: [{name: DITTOFS_CONTROLPLANE_PORT, value: \"1\"}]}",
                "spec.podTemplate.env has DITTOFS_CONTROLPLANE_PORT,",
            ),
            (
                "{volumes: [{name: metadata, emptyDir: {}}]}",
                "spec.podTemplate.volumes has metadata,",
            ),
            (
                "{volumeMounts: [{name: x, mountPath: /config}]}",
                "spec.podTemplate.volumeMounts has /config,",
            ),
            (
                "{volumeMounts: [{name: x, mountPath: /a/..//data/controlplane/}]}",
                "spec.podTemplate.volumeMounts has /data/controlplane,",
            ),
            (
                "{sidecars: [{name: dittofs, image: x}]}",
                "spec.podTemplate.sidecars has dittofs,",
            ),
            (
                "{initContainers: [{name: dittofs, image: x}]}",
                "spec.podTemplate.sidecars has dittofs,",
            ),
            (
                "{sidecars: [{name: x, ports: [{containerPort: 8080}]}]}",
                "spec.podTemplate.sidecars[x] has the port 8080,",
            ),
            (
                "{initContainers: [{name: x, ports: [{containerPort: 12049}]}]}",
                "spec.podTemplate.initContainers[x] has the port 12049,",
            ),
        ] {
            let found = messages(&format!("podTemplate: {template}"));
            assert_eq!(found.len(), 1, "{template}: {found:?}");
            assert!(found[0].starts_with(field), "{template}: {found:?}");
        }
    }

    #[test]
    fn additions_next_to_the_server_are_accepted() {
        for template in [
            "{}",
            "{labels: {team: x}, env: [{name: GOMEMLIMIT, value: 1GiB}, {name: DITTOFS_LOCK_MAX, value: \"1\"}]}",
            "{volumes: [{name: x, emptyDir: {}}], volumeMounts: [{name: x, mountPath: /x}, {name: x, mountPath: /data}]}",
            "{sidecars: [{name: x, image: z, ports: [{containerPort: 9090}], volumeMounts: [{name: metadata, mountPath: /config}]}]}",
        ] {
            assert_eq!(
                messages(&format!("podTemplate: {template}")),
                Vec::<String>::new(),
                "{template}"
            );
        }
    }

    #[test]
    fn the_rules_of_admission_name_every_part_that_the_operator_makes() {
        assert!(rules::VOLUMES.iter().all(|name| made_here::is_volume(name)));
        assert!(rules::MOUNTS.iter().all(|path| made_here::is_mount(path)));
        assert!(made_here::volumes().all(|name| rules::VOLUMES.contains(&name)));
        assert!(made_here::variables().all(|name| rules::VARIABLES.contains(&name)));
    }
}
