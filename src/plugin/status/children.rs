//! The tree of a server's children, from what was observed. Pure.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use super::view::{Mood, Node};
use crate::api::{DatabaseBackend, DittoServer, PerconaPGCluster, names, quantity, reasons};
use crate::cluster::cache::{Cache, Cached, Lookup};
use crate::domain::conditions::failed;
use crate::domain::conditions::pod_cause::pod_cause;
use crate::domain::data_home;
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::ownership::{Owner, owner};
use crate::domain::secrets::{Origin, SecretUse};
use crate::domain::volumes::{self, Expansion, STORAGE};
use crate::domain::workload::pods::is_ready;
use crate::reconcile::context::Caches;

/// The children, in the order in which a person asks for them: what runs, on what, how it is reached, what it is given.
pub(super) fn children(observed: &Observed, caches: &Caches) -> Vec<Node> {
    let mut nodes = vec![stateful_set(observed)];
    nodes.extend(claims(observed));
    nodes.extend(database(observed));
    nodes.extend(services(observed, caches));
    let name = names::baseline_network_policy(&observed.server.name_any());
    nodes.push(plain(
        observed,
        "NetworkPolicy",
        &name,
        &caches.network_policies,
        |_| "baseline".into(),
    ));
    nodes.push(config_map(observed));
    nodes.extend(secret_nodes(observed));
    for node in &mut nodes {
        mark_outdated(node, &observed.server);
    }
    nodes
}

/// A child that does well may still not be what the spec asks for. The conditions, which are shown as well, say why.
fn mark_outdated(node: &mut Node, server: &DittoServer) {
    let mut told = server.status.iter().flat_map(|status| &status.conditions);
    let is_current = |condition: &Condition| condition.observed_generation == server.metadata.generation;
    let is_config_map = node.kind == "ConfigMap";
    let tells_of_it = |condition: &Condition| {
        let is_kept = is_config_map && condition.reason == reasons::CONFIG_OUTDATED;
        is_kept || condition.message.contains(&failed(node.kind, &node.name))
    };
    let looks_well = matches!(node.mood, Mood::Good | Mood::Waiting);
    if looks_well && told.any(|condition| is_current(condition) && tells_of_it(condition)) {
        node.mood = Mood::Bad;
        node.summary.push_str(", not as the spec asks");
    }
}

/// Whose an object is, where that is worth a word.
fn foreign<K: Resource>(object: &K, server: &DittoServer) -> Option<String> {
    match owner(object.meta(), server) {
        Owner::Us | Owner::Orphan => None,
        Owner::Predecessor => Some("of a deleted server of this name; it goes".into()),
        Owner::Other(whom) => Some(format!("belongs to {whom}; it is not touched")),
    }
}

fn missing(kind: &'static str, name: &str) -> Node {
    Node::new(kind, name, Mood::Bad, "is not there")
}

fn unreadable(kind: &'static str, name: &str, error: &str) -> Node {
    Node::new(kind, name, Mood::Unknown, format!("cannot be read: {error}"))
}

fn stateful_set(observed: &Observed) -> Node {
    let (server, kind) = (&observed.server, "StatefulSet");
    let name = names::stateful_set(&server.name_any());
    let set = match &observed.stateful_set {
        Read::Found(set) => set,
        Read::Missing => return missing(kind, &name),
        Read::Unreadable(error) => {
            let mut node = unreadable(kind, &name, error);
            node.children = pods(observed);
            return node;
        }
    };
    if let Some(whose) = foreign(set.as_ref(), server) {
        return Node::new(kind, name, Mood::Bad, whose);
    }
    let mut node = judged_set(set, &name);
    node.children = pods(observed);
    node
}

fn judged_set(set: &StatefulSet, name: &str) -> Node {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = set.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or_default();
    let is_rolling = status.update_revision != status.current_revision
        && status.updated_replicas.unwrap_or_default() < wanted;
    let (mood, mut summary) = match (wanted, ready) {
        (0, 0) => (Mood::Waiting, "stopped".to_owned()),
        (0, _) => (Mood::Waiting, "stopping".to_owned()),
        (wanted, ready) if ready >= wanted => (Mood::Good, format!("{ready}/{wanted} ready")),
        (wanted, ready) => (Mood::Waiting, format!("{ready}/{wanted} ready")),
    };
    if is_rolling {
        summary.push_str(", rolling out a new revision");
    }
    Node::new(
        "StatefulSet",
        name,
        if is_rolling { Mood::Waiting } else { mood },
        summary,
    )
    .fact("wanted", Some(wanted))
    .fact("ready", Some(ready))
    .fact("updateRevision", status.update_revision)
}

fn pods(observed: &Observed) -> Vec<Node> {
    let name = names::pod(&observed.server.name_any());
    let cause = pod_cause(observed).map(|cause| {
        let prefix = format!("pod {name}: ");
        let message = cause.message.strip_prefix(&prefix).unwrap_or(&cause.message);
        (message.to_owned(), cause.is_fault)
    });
    let found = match &observed.pods {
        Read::Found(found) => found.as_slice(),
        Read::Missing => &[],
        Read::Unreadable(error) => return vec![unreadable("Pod", &name, error)],
    };
    if found.is_empty() {
        return cause
            .into_iter()
            .map(|(cause, _)| Node::new("Pod", &name, Mood::Waiting, cause))
            .collect();
    }
    found.iter().map(|pod| pod_node(pod, cause.clone())).collect()
}

fn pod_node(pod: &Pod, cause: Option<(String, bool)>) -> Node {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let (mood, mut summary) = match &cause {
        None if is_ready(pod) => (Mood::Good, "ready".to_owned()),
        None => (Mood::Waiting, "not ready".to_owned()),
        Some((cause, true)) => (Mood::Bad, cause.clone()),
        Some((cause, false)) => (Mood::Waiting, cause.clone()),
    };
    if let Some(node) = &node {
        let _ = write!(summary, ", on {node}");
    }
    // A cause tells them itself.
    if restarts > 0 && cause.is_none() {
        let _ = write!(summary, ", {restarts} restarts");
    }
    let image = containers
        .iter()
        .find(|container| container.name == names::CONTAINER);
    Node::new("Pod", pod.name_any(), mood, summary)
        .fact("ready", Some(is_ready(pod)))
        .fact("restarts", Some(restarts))
        .fact("node", node)
        .fact("image", image.map(|container| container.image.clone()))
        .fact("cause", cause.map(|(cause, _)| cause))
}

fn claims(observed: &Observed) -> Vec<Node> {
    match &observed.claims {
        Read::Found(claims) => {
            let mut nodes: Vec<Node> = claims
                .iter()
                .map(|one| grown(claim(one), volumes::of_claim(observed, one)))
                .collect();
            nodes.sort_by(|one, other| one.name.cmp(&other.name));
            nodes
        }
        Read::Missing => Vec::new(),
        Read::Unreadable(error) => vec![unreadable("PersistentVolumeClaim", "*", error)],
    }
}

fn claim(claim: &Arc<PersistentVolumeClaim>) -> Node {
    let spec = claim.spec.clone().unwrap_or_default();
    let status = claim.status.clone().unwrap_or_default();
    let requests = spec.resources.and_then(|resources| resources.requests);
    let wanted = requests.and_then(|requests| requests.get(STORAGE).map(|size| size.0.clone()));
    let has = status
        .capacity
        .and_then(|capacity| capacity.get(STORAGE).map(|size| size.0.clone()));
    let phase = status.phase.unwrap_or_else(|| "Pending".into());
    let mood = match phase.as_str() {
        "Bound" if is_enough(has.as_deref(), wanted.as_deref()) => Mood::Good,
        "Lost" => Mood::Bad,
        _ => Mood::Waiting,
    };
    let size = match (&has, &wanted) {
        (Some(has), Some(wanted)) if amount(has) == amount(wanted) => has.clone(),
        (Some(has), Some(wanted)) => format!("{has}, {wanted} asked for"),
        (None, Some(wanted)) => format!("{wanted} asked for"),
        (has, None) => has.clone().unwrap_or_default(),
    };
    let class = spec.storage_class_name;
    let mut summary = format!("{phase}, {size}");
    if let Some(class) = &class {
        let _ = write!(summary, ", class {class}");
    }
    if claim.metadata.deletion_timestamp.is_some() {
        summary.push_str(", being deleted");
    }
    Node::new("PersistentVolumeClaim", claim.name_any(), mood, summary)
        .fact("phase", Some(phase))
        .fact("requested", wanted)
        .fact("capacity", has)
        .fact("storageClass", class)
}

/// A claim may hold all that it asks for, and that be less than the spec does. Why it does not grow is told by a condition.
fn grown(mut node: Node, growth: Option<Expansion>) -> Node {
    match growth {
        Some(Expansion::Blocked(_)) => {
            node.mood = Mood::Bad;
            node.summary.push_str(", does not grow as the spec asks");
        }
        Some(Expansion::Request { size, .. }) => {
            node.mood = Mood::Waiting;
            let _ = write!(node.summary, ", {size} in the spec");
        }
        Some(Expansion::InProgress(_)) | None => {}
    }
    node
}

/// Whether a volume holds what was asked for. Drivers round up, and say it in another unit.
fn is_enough(has: Option<&str>, wanted: Option<&str>) -> bool {
    match (has, wanted) {
        (Some(has), Some(wanted)) => amount(has) >= amount(wanted),
        (has, wanted) => has == wanted,
    }
}

/// A size as a number. The API server stores none that is no quantity.
fn amount(size: &str) -> i128 {
    quantity::nanos(size).unwrap_or_default()
}

fn database(observed: &Observed) -> Option<Node> {
    let server = &observed.server;
    let is_wanted = matches!(server.spec.database_backend(), DatabaseBackend::Percona(_));
    let (kind, name) = (PerconaPGCluster::KIND, names::percona_cluster(&server.name_any()));
    Some(match &observed.database.cluster {
        Read::Found(cluster) => {
            let state = cluster.state().unwrap_or("not reported yet").to_owned();
            let is_going = cluster.metadata.deletion_timestamp.is_some();
            let mood = if cluster.is_ready() && !is_going {
                Mood::Good
            } else {
                Mood::Waiting
            };
            let mut summary = format!("state {state}");
            if is_going {
                summary.push_str(", being deleted");
            }
            if cluster.is_to_pause() {
                summary.push_str(", asked to pause");
            }
            if !is_wanted {
                summary.push_str(", not used by the server");
            }
            let host = cluster.status.as_ref().and_then(|status| status.host.clone());
            Node::new(kind, name, mood, summary)
                .fact("state", Some(state))
                .fact("host", host)
        }
        Read::Missing | Read::Unreadable(_) if !is_wanted => return None,
        Read::Missing if observed.database.kind == KindState::NotServed => {
            Node::new(kind, name, Mood::Bad, "Percona's operator is not installed")
        }
        Read::Missing => missing(kind, &name),
        Read::Unreadable(error) => unreadable(kind, &name, error),
    })
}

fn services(observed: &Observed, caches: &Caches) -> Vec<Node> {
    let server = observed.server.name_any();
    let mut wanted = vec![names::api_service(&server), names::headless_service(&server)];
    if observed.server.spec.metrics_enabled() {
        wanted.push(names::metrics_service(&server));
    }
    let of_server = |service: &Arc<Service>| {
        service.namespace() == observed.server.namespace()
            && service.labels().get(names::INSTANCE_LABEL) == Some(&server)
    };
    let others = caches.services.all().into_iter().filter(of_server);
    let others: BTreeSet<String> = others.map(|service| service.name_any()).collect();
    let others = others
        .into_iter()
        .filter(|name| !wanted.contains(name))
        .collect::<Vec<_>>();
    wanted.extend(others);
    wanted
        .iter()
        .map(|name| plain(observed, "Service", name, &caches.services, service))
        .collect()
}

fn service(service: &Service) -> String {
    let spec = service.spec.clone().unwrap_or_default();
    let ports: Vec<String> = spec
        .ports
        .iter()
        .flatten()
        .map(|port| port.port.to_string())
        .collect();
    let kind = match spec.cluster_ip.as_deref() {
        Some("None") => "headless".to_owned(),
        _ => spec.type_.unwrap_or_default(),
    };
    let ingress = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let address = ingress
        .and_then(|ingress| ingress.first())
        .and_then(|first| first.ip.clone().or_else(|| first.hostname.clone()));
    let at = match (address, kind.as_str()) {
        (Some(address), _) => format!(" at {address}"),
        (None, "LoadBalancer") => " without an address yet".into(),
        (None, _) => String::new(),
    };
    format!("{kind}{at}, port {}", ports.join(", "))
}

/// A child that is there or not.
fn plain<K: Cached>(
    observed: &Observed,
    kind: &'static str,
    name: &str,
    cache: &Cache<K>,
    summary: impl Fn(&K) -> String,
) -> Node {
    let namespace = observed.server.namespace().unwrap_or_default();
    match cache.get(&namespace, name) {
        Lookup::Found(object) => match foreign(object.as_ref(), &observed.server) {
            Some(whose) => Node::new(kind, name, Mood::Bad, whose),
            None => Node::new(kind, name, Mood::Good, summary(object.as_ref())),
        },
        Lookup::Missing => missing(kind, name),
        Lookup::Unknown(feed) => unreadable(kind, name, feed.why()),
    }
}

fn config_map(observed: &Observed) -> Node {
    let (kind, name) = ("ConfigMap", names::config_map(&observed.server.name_any()));
    match &observed.config_map {
        Read::Found(object) => match foreign(object.as_ref(), &observed.server) {
            Some(whose) => Node::new(kind, name, Mood::Bad, whose),
            None => Node::new(kind, name, Mood::Good, "the server's configuration"),
        },
        Read::Missing => missing(kind, &name),
        Read::Unreadable(error) => unreadable(kind, &name, error),
    }
}

/// The Secrets that the pod uses, each with the keys that it uses. Never a value.
fn secret_nodes(observed: &Observed) -> Vec<Node> {
    let uses = data_home::uses(observed);
    let names: BTreeSet<&String> = uses.iter().map(|used| &used.secret).collect();
    names
        .into_iter()
        .map(|name| secret(observed, name, &uses))
        .collect()
}

fn secret(observed: &Observed, name: &str, uses: &[SecretUse]) -> Node {
    let uses: Vec<&SecretUse> = uses.iter().filter(|used| used.secret == name).collect();
    let whose = match uses.first().map(|used| used.origin) {
        Some(Origin::User(field)) => format!("named in {field}"),
        Some(Origin::Percona) => "of Percona's operator".to_owned(),
        Some(Origin::Managed) | None => "generated".to_owned(),
    };
    let is_optional = uses.iter().all(|used| used.optional);
    let (mood, summary) = match observed.secrets.get(name) {
        Some(Read::Found(data)) => {
            let lacks = |used: &&&SecretUse| !used.optional && data.value(&used.key).is_none();
            let missing: Vec<&str> = uses.iter().filter(lacks).map(|used| used.key.as_str()).collect();
            if missing.is_empty() {
                (Mood::Good, whose)
            } else {
                (
                    Mood::Bad,
                    format!("{whose}, without a value of: {}", missing.join(", ")),
                )
            }
        }
        Some(Read::Unreadable(error)) => (Mood::Unknown, format!("{whose}, cannot be read: {error}")),
        Some(Read::Missing) | None if is_optional => {
            (Mood::Waiting, format!("{whose}, is not there; optional"))
        }
        Some(Read::Missing) | None => (Mood::Bad, format!("{whose}, is not there")),
    };
    Node::new("Secret", name, mood, summary)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::observed::ExpansionAnswer;
    use crate::domain::testing;

    #[test]
    fn a_bound_volume_is_good_once_it_holds_what_was_asked_for() {
        for (asked, has, mood, summary) in [
            ("1Gi", Some("1Gi"), Mood::Good, "Bound, 1Gi"),
            ("1Gi", Some("1024Mi"), Mood::Good, "Bound, 1024Mi"),
            ("1500M", Some("2Gi"), Mood::Good, "Bound, 2Gi, 1500M asked for"),
            ("2Gi", Some("1Gi"), Mood::Waiting, "Bound, 1Gi, 2Gi asked for"),
            ("2Gi", None, Mood::Waiting, "Bound, 2Gi asked for"),
        ] {
            let capacity = has.map(|has| json!({STORAGE: has}));
            let stored = json!({
                "metadata": {"name": "x"},
                "spec": {"resources": {"requests": {STORAGE: asked}}},
                "status": {"phase": "Bound", "capacity": capacity},
            });
            let node = claim(&Arc::new(serde_json::from_value(stored).unwrap()));
            assert_eq!((node.mood, node.summary.as_str()), (mood, summary));
        }
    }

    #[test]
    fn a_volume_that_is_smaller_than_in_the_spec_is_not_shown_as_good() {
        let name = "metadata-files-0";
        let stored = json!({
            "metadata": {"name": name},
            "spec": {"resources": {"requests": {STORAGE: "1Gi"}}},
            "status": {"phase": "Bound", "capacity": {STORAGE: "1Gi"}},
        });
        for (size, answer, mood, summary) in [
            ("1Gi", None, Mood::Good, "Bound, 1Gi"),
            (
                "2Gi",
                Some(ExpansionAnswer::Allowed),
                Mood::Waiting,
                "Bound, 1Gi, 2Gi in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Unread),
                Mood::Waiting,
                "Bound, 1Gi, 2Gi in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Fixed("fixed".into())),
                Mood::Bad,
                "Bound, 1Gi, does not grow as the spec asks",
            ),
        ] {
            let mut observed = testing::nothing(&format!("storage: {{metadataSize: {size}}}"));
            observed.claims = Read::Found(vec![Arc::new(serde_json::from_value(stored.clone()).unwrap())]);
            observed.expansion_answers = answer
                .map(|answer| (name.to_owned(), answer))
                .into_iter()
                .collect();
            let nodes = claims(&observed);
            let [node] = nodes.as_slice() else {
                panic!("one claim: {nodes:?}");
            };
            assert_eq!((node.mood, node.summary.as_str()), (mood, summary), "{size}");
        }
    }
}
