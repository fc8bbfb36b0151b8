//! The StatefulSet that is saved while it is re-created for other claim templates.
//!
//! Claim templates are immutable. So the StatefulSet is saved in an annotation of the ConfigMap, deleted without its pod, and created
//! again. Until then, what was saved stands for it in every decision: the spec may change meanwhile, and fields of other field
//! managers must be kept.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim};
use kube::ResourceExt;

use super::claim::requested;
use super::volumes;
use crate::api::{DittoServer, names};
use crate::domain::ownership::{Owner, owner};

/// The StatefulSet that was saved for this server. Its UID is that of the StatefulSet that it replaces.
#[must_use]
pub fn saved(config_map: &ConfigMap, server: &DittoServer) -> Option<StatefulSet> {
    let text = config_map.annotations().get(names::RECREATE_ANNOTATION)?;
    let saved: StatefulSet = serde_json::from_str(text).ok()?;
    let is_ours = matches!(owner(&saved.metadata, server), Owner::Us | Owner::Orphan);
    (is_ours && is_saved(&saved) && saved.metadata.uid.is_some()).then_some(saved)
}

/// Whether this is a saved StatefulSet, and not one of the cluster. Only the API server sets a resourceVersion.
#[must_use]
pub fn is_saved(stateful_set: &StatefulSet) -> bool {
    stateful_set.metadata.resource_version.is_none()
}

/// The sizes of the server's volumes in the claim templates of a StatefulSet: the value of [`names::RECREATED_FOR_ANNOTATION`].
///
/// Templates that a policy adds are left out: they are not asked for.
#[must_use]
pub fn template_sizes(server: &DittoServer, stateful_set: &StatefulSet) -> String {
    let spec = stateful_set.spec.as_ref();
    let templates = spec.and_then(|spec| spec.volume_claim_templates.as_deref());
    let of = |volume: &str| {
        let is_of = |template: &&PersistentVolumeClaim| template.metadata.name.as_deref() == Some(volume);
        requested(templates?.iter().find(is_of)?)
    };
    let sizes =
        volumes(&server.spec.storage).filter_map(|(volume, _)| Some(format!("{volume}={}", of(volume)?)));
    sizes.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing;

    fn config_map(annotation: &Value) -> ConfigMap {
        let annotations = json!({names::RECREATE_ANNOTATION: annotation.to_string()});
        serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap()
    }

    fn stateful_set(server: &DittoServer) -> Value {
        let owner = kube::Resource::controller_owner_ref(server, &());
        json!({"metadata": {"name": "files", "uid": "replaced", "ownerReferences": [owner]}})
    }

    #[test]
    fn only_a_stateful_set_of_this_server_that_is_not_in_the_cluster_counts_as_saved() {
        let server = testing::server("");
        let ours = stateful_set(&server);
        let saved_uid =
            |annotation: &Value| saved(&config_map(annotation), &server).and_then(|set| set.uid());
        assert_eq!(saved_uid(&ours).as_deref(), Some("replaced"));
        let mut predecessors = ours.clone();
        predecessors["metadata"]["ownerReferences"][0]["uid"] = json!("another");
        let mut without_uid = ours.clone();
        without_uid["metadata"]["uid"] = Value::Null;
        let mut live = ours;
        live["metadata"]["resourceVersion"] = json!("7");
        for other in [predecessors, without_uid, live, json!("text")] {
            assert_eq!(saved_uid(&other), None, "{other}");
        }
        assert_eq!(saved(&ConfigMap::default(), &server), None);
    }

    #[test]
    fn the_sizes_are_those_of_the_volumes_in_the_spec() {
        let server = testing::server("storage: {metadataSize: 2Gi, contentSize: 5Gi}");
        let template = |name: &str, size: &str| json!({"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}});
        let templates = [
            template("audit", "1Gi"),
            template("metadata", "2Gi"),
            template("controlplane", "1Gi"),
        ];
        let set = serde_json::from_value(json!({"spec": {"volumeClaimTemplates": templates}})).unwrap();
        assert_eq!(template_sizes(&server, &set), "metadata=2Gi,controlplane=1Gi");
    }
}
