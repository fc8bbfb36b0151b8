//! The volume claims.

use std::fmt::Write;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::unreadable;
use crate::api::quantity;
use crate::domain::observed::{ExpansionAnswer, Observed, Read};
use crate::domain::volumes::{self, Expansion, STORAGE};
use crate::plugin::cluster::NO_PERMISSION_TO_PATCH;
use crate::plugin::status::view::{ChildHealth, ChildView};

pub(super) fn claims(observed: &Observed) -> Vec<ChildView> {
    match &observed.claims {
        Read::Found(claims) => {
            let mut nodes: Vec<ChildView> = claims
                .iter()
                .map(|one| {
                    let expansion = volumes::of_claim(observed, one);
                    with_expansion(claim(one), expansion, is_asked_without_permission(observed, one))
                })
                .collect();
            nodes.sort_by(|one, other| one.name.cmp(&other.name));
            nodes
        }
        Read::Missing => Vec::new(),
        Read::Unreadable(error) => vec![unreadable("PersistentVolumeClaim", "*", error)],
    }
}

fn claim(claim: &Arc<PersistentVolumeClaim>) -> ChildView {
    let spec = claim.spec.clone().unwrap_or_default();
    let status = claim.status.clone().unwrap_or_default();
    let requests = spec.resources.and_then(|resources| resources.requests);
    let wanted = requests.and_then(|requests| requests.get(STORAGE).map(|size| size.0.clone()));
    let has = status
        .capacity
        .and_then(|capacity| capacity.get(STORAGE).map(|size| size.0.clone()));
    let phase = status.phase.unwrap_or_else(|| "Pending".into());
    let health = match phase.as_str() {
        "Bound" if is_enough(has.as_deref(), wanted.as_deref()) => ChildHealth::Good,
        "Lost" => ChildHealth::Bad,
        _ => ChildHealth::Waiting,
    };
    let size = match (&has, &wanted) {
        (Some(has), Some(wanted)) if amount(has) == amount(wanted) => has.clone(),
        (Some(has), Some(wanted)) => format!("{has}, {wanted} requested"),
        (None, Some(wanted)) => format!("{wanted} requested"),
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
    ChildView::new("PersistentVolumeClaim", claim.name_any(), health, summary)
        .fact("phase", Some(phase))
        .fact("requested", wanted)
        .fact("capacity", has)
        .fact("storageClass", class)
}

/// Adds the state of a volume expansion. A volume may be as large as its claim, but smaller than in the spec. A condition shows why
/// it is not expanded.
fn with_expansion(mut node: ChildView, expansion: Option<Expansion>, is_unknown: bool) -> ChildView {
    match expansion {
        Some(Expansion::Blocked(_)) if is_unknown => {
            node.health = ChildHealth::Unknown;
            node.summary.push_str(
                ", smaller than in the spec (you may not patch it, so it is unknown whether it can be expanded)",
            );
        }
        Some(Expansion::Blocked(_)) => {
            node.health = ChildHealth::Bad;
            node.summary.push_str(", is not expanded to the size in the spec");
        }
        Some(Expansion::Request { size, .. }) => {
            node.health = ChildHealth::Waiting;
            let _ = write!(node.summary, ", {size} in the spec");
        }
        Some(Expansion::InProgress(_)) | None => {}
    }
    node
}

/// Whether the dry run of the expansion was refused because the user of the plugin lacks the permission. The operator may have it.
fn is_asked_without_permission(observed: &Observed, claim: &PersistentVolumeClaim) -> bool {
    let answer = observed.expansion_answers.get(&claim.name_any());
    matches!(answer, Some(ExpansionAnswer::Refused(text)) if text.contains(NO_PERMISSION_TO_PATCH))
}

/// Whether a volume has the requested size. Drivers round up, and may report another unit.
fn is_enough(has: Option<&str>, wanted: Option<&str>) -> bool {
    match (has, wanted) {
        (Some(has), Some(wanted)) => amount(has) >= amount(wanted),
        (has, wanted) => has == wanted,
    }
}

/// A size as a number. The API server stores only valid quantities.
fn amount(size: &str) -> i128 {
    quantity::nanos(size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing;

    #[test]
    fn a_bound_volume_is_good_once_it_has_the_requested_size() {
        for (asked, has, health, summary) in [
            ("1Gi", Some("1Gi"), ChildHealth::Good, "Bound, 1Gi"),
            ("1Gi", Some("1024Mi"), ChildHealth::Good, "Bound, 1024Mi"),
            (
                "1500M",
                Some("2Gi"),
                ChildHealth::Good,
                "Bound, 2Gi, 1500M requested",
            ),
            (
                "2Gi",
                Some("1Gi"),
                ChildHealth::Waiting,
                "Bound, 1Gi, 2Gi requested",
            ),
            ("2Gi", None, ChildHealth::Waiting, "Bound, 2Gi requested"),
        ] {
            let capacity = has.map(|has| json!({STORAGE: has}));
            let stored = json!({
                "metadata": {"name": "x"},
                "spec": {"resources": {"requests": {STORAGE: asked}}},
                "status": {"phase": "Bound", "capacity": capacity},
            });
            let node = claim(&Arc::new(serde_json::from_value(stored).unwrap()));
            assert_eq!((node.health, node.summary.as_str()), (health, summary));
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
        for (size, answer, health, summary) in [
            ("1Gi", None, ChildHealth::Good, "Bound, 1Gi"),
            (
                "2Gi",
                Some(ExpansionAnswer::Allowed),
                ChildHealth::Waiting,
                "Bound, 1Gi, 2Gi in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Unread),
                ChildHealth::Waiting,
                "Bound, 1Gi, 2Gi in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Fixed("fixed".into())),
                ChildHealth::Bad,
                "Bound, 1Gi, is not expanded to the size in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Refused("exceeded quota: q".into())),
                ChildHealth::Bad,
                "Bound, 1Gi, is not expanded to the size in the spec",
            ),
            (
                "2Gi",
                Some(ExpansionAnswer::Refused(
                    r#"User "viewer" cannot patch resource "persistentvolumeclaims""#.into(),
                )),
                ChildHealth::Unknown,
                "Bound, 1Gi, smaller than in the spec (you may not patch it, so it is unknown whether it can be expanded)",
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
            assert_eq!((node.health, node.summary.as_str()), (health, summary), "{size}");
        }
    }
}
