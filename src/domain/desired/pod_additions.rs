//! `spec.podTemplate`: what users add to the pod.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use kube::api::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::meta;
use crate::api::pod_template::DnsPolicy;
use crate::api::{DittoServerSpec, PodTemplate, names};

/// Where the field is in the spec.
const FIELD: &str = "spec.podTemplate";
/// Release of Kubernetes whose containers, volumes and affinities are known.
const KUBERNETES: &str = "1.33";
/// Most digits of the exponent of a quantity.
const EXPONENT_DIGITS: usize = 2;

/// Merges the additions into the pod template of the operator, as the API server merges: lists by name, mount path or IP.
///
/// What cannot be read is left out. [`problems`] reports it, and then no pod is written.
pub(super) fn merge(template: &mut PodTemplateSpec, spec: &DittoServerSpec) {
    if let Some(additions) = &spec.pod_template {
        template.merge_from(Additions::read(additions).template);
    }
}

/// What in the additions is not part of a pod: wrong types, unknown fields, quantities that nobody can compute with.
#[must_use]
pub fn problems(additions: &PodTemplate) -> Vec<String> {
    Additions::read(additions).problems
}

/// The containers that users add, with the field of each.
pub fn containers(additions: &PodTemplate) -> impl Iterator<Item = (String, Container)> {
    let pod = Additions::read(additions).template.spec.unwrap_or_default();
    let of = |list: Vec<Container>, field: &'static str| {
        let list = list
            .into_iter()
            .filter(|container| container.name != names::CONTAINER);
        list.map(move |container| (format!("{FIELD}.{field}[{}]", container.name), container))
    };
    let first = of(pod.init_containers.unwrap_or_default(), "initContainers");
    first.chain(of(pod.containers, "sidecars"))
}

/// The additions as a pod template, and what could not be read.
struct Additions {
    template: PodTemplateSpec,
    problems: Vec<String>,
}

impl Additions {
    fn read(additions: &PodTemplate) -> Self {
        let mut problems = Vec::new();
        let metadata = ObjectMeta {
            labels: meta::unless_empty(additions.labels.clone()),
            annotations: meta::unless_empty(additions.annotations.clone()),
            ..ObjectMeta::default()
        };
        let template = PodTemplateSpec {
            metadata: Some(metadata),
            spec: Some(pod(additions, &mut problems)),
        };
        Self { template, problems }
    }
}

fn pod(additions: &PodTemplate, problems: &mut Vec<String>) -> PodSpec {
    let mut containers = vec![server(additions)];
    containers.extend(typed_list("sidecars", &additions.sidecars, problems));
    let affinity = additions.affinity.as_ref();
    PodSpec {
        affinity: affinity.and_then(|affinity| keep(typed(&format!("{FIELD}.affinity"), affinity), problems)),
        containers,
        dns_config: additions.dns_config.clone(),
        dns_policy: dns_policy(additions).map(|policy| <&str>::from(policy).to_owned()),
        host_aliases: listed(additions.host_aliases.clone()),
        host_network: additions.host_network.then_some(true),
        image_pull_secrets: listed(additions.image_pull_secrets.clone()),
        init_containers: listed(typed_list("initContainers", &additions.init_containers, problems)),
        node_selector: meta::unless_empty(additions.node_selector.clone()),
        priority_class_name: additions.priority_class_name.clone(),
        runtime_class_name: additions.runtime_class_name.clone(),
        service_account_name: additions.service_account_name.clone(),
        tolerations: listed(additions.tolerations.clone()),
        topology_spread_constraints: listed(additions.topology_spread_constraints.clone()),
        volumes: listed(typed_list("volumes", &additions.volumes, problems)),
        ..PodSpec::default()
    }
}

/// Additions to the container of the server.
fn server(additions: &PodTemplate) -> Container {
    let policy = additions.image_pull_policy;
    Container {
        name: names::CONTAINER.to_owned(),
        env: listed(additions.env.clone()),
        env_from: listed(additions.env_from.clone()),
        image_pull_policy: policy.map(|policy| <&str>::from(policy).to_owned()),
        volume_mounts: listed(additions.volume_mounts.clone()),
        ..Container::default()
    }
}

/// In the host's network, `ClusterFirst` means the resolver of the node.
fn dns_policy(additions: &PodTemplate) -> Option<DnsPolicy> {
    let of_host = additions
        .host_network
        .then_some(DnsPolicy::ClusterFirstWithHostNet);
    additions.dns_policy.or(of_host)
}

fn listed<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn typed_list<T>(field: &str, list: &[Value], problems: &mut Vec<String>) -> Vec<T>
where
    T: DeserializeOwned + Serialize,
{
    let items = list.iter().filter_map(|item| {
        let name = item["name"].as_str().unwrap_or_default();
        keep(typed(&format!("{FIELD}.{field}[{name}]"), item), problems)
    });
    items.collect()
}

fn keep<T>(read: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

/// Reads a part of a pod that the schema does not check.
fn typed<T: DeserializeOwned + Serialize>(field: &str, value: &Value) -> Result<T, String> {
    let read: T = serde_json::from_value(value.clone())
        .map_err(|error| format!("{field} is not as in a pod: {error}. Correct it"))?;
    let known = serde_json::to_value(&read).unwrap_or_default();
    if let Some(path) = unknown(value, &known, field) {
        return Err(format!(
            "{path} is not a field that this operator knows (Kubernetes {KUBERNETES}): correct its name, or remove it"
        ));
    }
    match uncountable(value, field) {
        Some(path) => Err(format!(
            "{path} has an exponent with more than {EXPONENT_DIGITS} digits, which the API server computes for minutes: write for example 10Gi"
        )),
        None => Ok(read),
    }
}

/// The path of a field that was lost when the value was read.
fn unknown(value: &Value, known: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match known.get(name) {
                Some(known) => unknown(value, known, &path),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| unknown(item, &known[index], &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

/// What a typed value omits when it is written.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The path of a number in scientific notation with a large exponent.
fn uncountable(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| uncountable(value, &format!("{path}.{name}"))),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| uncountable(item, &format!("{path}[{index}]")))
        }
        Value::String(text) => has_large_exponent(text).then(|| path.to_owned()),
        _ => None,
    }
}

fn has_large_exponent(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let digits = exponent.trim_start_matches(['+', '-']);
    let is_number = |text: &str, other: &[char]| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || other.contains(&c))
    };
    is_number(number, &['+', '-', '.']) && is_number(digits, &[]) && digits.len() > EXPONENT_DIGITS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing;

    fn additions(spec: &str) -> PodTemplate {
        let server = testing::server(&format!("podTemplate: {spec}"));
        server.spec.pod_template.unwrap()
    }

    #[test]
    fn a_part_that_is_not_of_a_pod_is_named() {
        for (spec, problem) in [
            (
                "{sidecars: [{name: a, image: b, ports: x}]}",
                "spec.podTemplate.sidecars[a] is not as in a pod: invalid type: string",
            ),
            (
                "{sidecars: [{name: a, imag: b}]}",
                "spec.podTemplate.sidecars[a].imag is not a field that",
            ),
            (
                "{initContainers: [{name: a, env: [{name: b}, {name: c, valu: d}]}]}",
                "spec.podTemplate.initContainers[a].env[1].valu is not a field that",
            ),
            (
                "{volumes: [{name: a, emptyDir: {sizeLimit: \"1e2147483647\"}}]}",
                "spec.podTemplate.volumes[a].emptyDir.sizeLimit has an exponent",
            ),
            (
                "{affinity: {nodeAfinity: {x: y}}}",
                "spec.podTemplate.affinity.nodeAfinity is not a field that",
            ),
        ] {
            let problems = problems(&additions(spec));
            assert_eq!(problems.len(), 1, "{spec}: {problems:?}");
            assert!(problems[0].starts_with(problem), "{spec}: {problems:?}");
        }
    }

    #[test]
    fn parts_of_a_pod_are_read_whole() {
        for spec in [
            "{}",
            "{sidecars: [{name: a, image: b, args: [], env: [{name: c, value: \"\"}], resources: {}, ports: [{containerPort: 1}]}]}",
            "{volumes: [{name: a, emptyDir: {sizeLimit: \"1e3\"}}, {name: b, configMap: {name: c, defaultMode: 256}}]}",
            "{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: dittofs-server}}}]}}}",
        ] {
            assert_eq!(problems(&additions(spec)), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn in_the_hosts_network_names_are_still_resolved_by_the_cluster() {
        let policy = |spec| {
            let read = Additions::read(&additions(spec)).template.spec.unwrap();
            json!([read.host_network, read.dns_policy])
        };
        assert_eq!(policy("{}"), json!([null, null]));
        assert_eq!(
            policy("{hostNetwork: true}"),
            json!([true, "ClusterFirstWithHostNet"])
        );
        assert_eq!(
            policy("{hostNetwork: true, dnsPolicy: None}"),
            json!([true, "None"])
        );
    }
}
