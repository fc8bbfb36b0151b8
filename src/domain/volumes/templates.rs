//! When the claim templates of the StatefulSet may change.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::claim::{is_smaller, requested};
use super::stable::{Stability, stability};
use super::{Expansion, claim_of, volumes};
use crate::api::{DittoServer, names, quantity};
use crate::domain::observed::{Observed, Read};

/// Whether the claim templates of a StatefulSet request other volumes than the spec: a volume is to be expanded or added.
#[must_use]
pub fn differs(server: &DittoServer, live: &StatefulSet) -> bool {
    let asked = |volume: &str| quantity::nanos(requested(template(live, volume)?)?);
    volumes(&server.spec.storage).any(|(volume, size)| asked(volume) != quantity::nanos(size))
}

/// Whether the template of a volume may have the size in the spec now: its claim requests that size, and the pod keeps running
/// while the StatefulSet is re-created. Without a claim nothing is waited for: the template itself may prevent the claim, and so
/// the pod (a `LimitRange` does). A volume that is added is a different case: it comes with the configuration that uses it.
#[must_use]
pub fn may_follow(observed: &Observed, volume: &str) -> bool {
    match claim_of(observed, volume) {
        Read::Found((claim, size)) => {
            !is_smaller(requested(claim), size) && stability(observed) == Stability::Stable
        }
        Read::Missing => true,
        Read::Unreadable(_) => false,
    }
}

/// The time until the templates may follow their claims, if only time prevents it.
#[must_use]
pub fn may_follow_in(observed: &Observed) -> Option<Duration> {
    match stability(observed) {
        Stability::StableIn(left) if is_behind(observed) => Some(left),
        _ => None,
    }
}

/// A StatefulSet that waits for its pod before its templates follow.
pub(super) fn waiting(observed: &Observed) -> Option<Expansion> {
    let waits = is_behind(observed) && stability(observed) != Stability::Stable;
    waits.then(|| {
        let name = names::stateful_set(&observed.server.name_any());
        Expansion::InProgress(format!(
            "StatefulSet {name} gets the new sizes of its volumes once its pod is stable"
        ))
    })
}

/// Whether a template requests less than its claim, which was expanded.
fn is_behind(observed: &Observed) -> bool {
    let Read::Found(live) = &observed.stateful_set else {
        return false;
    };
    volumes(&observed.server.spec.storage).any(|(volume, size)| {
        let template = template(live, volume);
        let is_expanded = matches!(claim_of(observed, volume), Read::Found((claim, _)) if !is_smaller(requested(claim), size));
        template.is_some_and(|template| is_smaller(requested(template), size)) && is_expanded
    })
}

fn template<'a>(live: &'a StatefulSet, volume: &str) -> Option<&'a PersistentVolumeClaim> {
    let templates = live.spec.as_ref()?.volume_claim_templates.as_ref()?;
    templates
        .iter()
        .find(|template| template.metadata.name.as_deref() == Some(volume))
}
