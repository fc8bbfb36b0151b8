//! The StatefulSet of the server (contract, section 2.3).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::{meta, pod, settled, volumes as templates};
use crate::api::{DittoServer, names};
use crate::domain::secrets::generation;
use crate::domain::validate::Valid;
use crate::domain::volumes;

/// Builds the StatefulSet. `serviceName`, the selector and the claim templates are immutable in Kubernetes; for other
/// claim templates it is re-created (`apply/stateful_set/recreate.rs`).
pub(super) fn build(valid: &Valid<'_>, config_hash: &str) -> StatefulSet {
    let server = &valid.observed.server;
    let name = server.name_any();
    let live = valid.observed.stateful_set.found().map(AsRef::as_ref);
    let claims = templates::build(&server.spec.storage, live, |volume| {
        volumes::may_follow(valid.observed, volume)
    });
    let has_content = templates::have_content(&claims);
    StatefulSet {
        metadata: metadata(server, &name),
        spec: Some(StatefulSetSpec {
            replicas: Some(server.spec.desired_replicas()),
            service_name: Some(names::headless_service(&name)),
            selector: LabelSelector {
                match_labels: Some(names::selector_labels(&name)),
                ..LabelSelector::default()
            },
            template: settled::template(live, |defaults| {
                pod::build(valid, config_hash, has_content, defaults)
            }),
            volume_claim_templates: Some(claims),
            persistent_volume_claim_retention_policy: Some(keep_claims()),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The StatefulSet also remembers the answered request for new Secrets, in case the Secret is lost.
fn metadata(server: &DittoServer, name: &str) -> ObjectMeta {
    let answered = generation::requested(server)
        .map(|value| BTreeMap::from([(names::ROTATED_FOR_ANNOTATION.to_owned(), value.to_owned())]));
    ObjectMeta {
        annotations: answered,
        ..meta::owned(server, names::stateful_set(name))
    }
}

/// Volumes outlive both a stopped server and a deleted one.
fn keep_claims() -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some("Retain".to_owned()),
        when_scaled: Some("Retain".to_owned()),
    }
}
