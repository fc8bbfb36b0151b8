//! What the real operator does not survive, or refuses. Pure.

use kube::ResourceExt;

use super::cluster::{PerconaPGCluster, PerconaPGClusterSpec};

/// An object that stops Percona's operator 2.8.2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "PerconaPGCluster {namespace}/{name} has no spec.proxy.pgBouncer: Percona's operator 2.8.2 panics on it, and \
     with it every cluster that it manages is left alone"
)]
pub struct Violation {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// 2.8.2 reads `spec.proxy.pgBouncer` in an index function, without a check, for every object it watches.
pub(super) fn fatal(cluster: &PerconaPGCluster) -> Option<Violation> {
    let proxy = cluster.spec.proxy.as_ref();
    proxy
        .and_then(|proxy| proxy.pg_bouncer.as_ref())
        .is_none()
        .then(|| Violation {
            namespace: cluster.namespace().unwrap_or_default(),
            name: cluster.name_any(),
        })
}

/// The images without which a cluster is not reconciled, by their field. The real operator can also take
/// them from variables of its environment, which its default installation does not set.
pub(super) fn missing_images(spec: &PerconaPGClusterSpec) -> Vec<&'static str> {
    let is_set = |image: Option<&String>| image.is_some_and(|image| !image.is_empty());
    let pgbouncer = spec.proxy.as_ref().and_then(|proxy| proxy.pg_bouncer.as_ref());
    let pgbackrest = spec
        .backups
        .as_ref()
        .and_then(|backups| backups.pgbackrest.as_ref());
    [
        ("image", is_set(spec.image.as_ref())),
        (
            "proxy.pgBouncer.image",
            is_set(pgbouncer.and_then(|section| section.image.as_ref())),
        ),
        (
            "backups.pgbackrest.image",
            is_set(pgbackrest.and_then(|section| section.image.as_ref())),
        ),
    ]
    .into_iter()
    .filter(|(_, is_set)| !is_set)
    .map(|(field, _)| field)
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cluster::PerconaPGCluster;
    use super::{fatal, missing_images};

    fn cluster(spec: &serde_json::Value) -> PerconaPGCluster {
        serde_json::from_value(json!({"metadata": {"name": "db", "namespace": "ns"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_cluster_without_pgbouncer_is_fatal() {
        for spec in [json!({}), json!({"proxy": {}})] {
            assert!(fatal(&cluster(&spec)).is_some(), "{spec}");
        }
        assert_eq!(fatal(&cluster(&json!({"proxy": {"pgBouncer": {}}}))), None);
    }

    #[test]
    fn each_of_the_three_images_is_required() {
        let spec = json!({"image": "i", "proxy": {"pgBouncer": {"image": ""}}});
        assert_eq!(
            missing_images(&cluster(&spec).spec),
            ["proxy.pgBouncer.image", "backups.pgbackrest.image"]
        );
    }
}
