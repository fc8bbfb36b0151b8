//! Growth of volumes: what is to happen to each claim, and what keeps it from happening. Pure.
//!
//! Everything is decided from what the cluster holds now, so a restarted operator goes on where the last one stopped, and
//! a growth that is refused is not tried again and again: `observe` has asked the API server (by reading the
//! StorageClass, and by a dry run), and its [`ExpansionAnswer`] decides. Neither health nor a rollout has a say in it.
//!
//! The claim grows first; the StatefulSet's template follows once the claim asks for the size and the pod has come to rest
//! (`growth/settled.rs`, `desired/claims.rs`).

mod settled;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;

use self::settled::{Settled, settled};
use crate::api::{DittoServer, StorageSpec, names, quantity, reasons};
use crate::domain::observed::{ExpansionAnswer, Observed, Read};
use crate::domain::workload::{pods, rollout};

/// Key of a claim's size, in its requests and its capacity.
pub const STORAGE: &str = "storage";

/// A growth that is not done.
#[derive(Clone, Debug, PartialEq)]
pub enum Growth {
    /// The claim is to ask for this size.
    Ask {
        /// The claim as it is.
        claim: Arc<PersistentVolumeClaim>,
        /// The size in the spec.
        size: String,
    },
    /// It goes by itself. The text says what is going on.
    UnderWay(String),
    /// Only a person can end it.
    Stuck(Trouble),
}

/// Why a volume does not become what the spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A constant of `conditions::reasons`.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The volumes that a spec asks for, with their sizes, in the order of the claim templates.
pub fn volumes(storage: &StorageSpec) -> impl Iterator<Item = (&'static str, &str)> {
    let sizes = [
        (names::METADATA_VOLUME, Some(storage.metadata_size.as_str())),
        (names::CONTENT_VOLUME, storage.content_size()),
        (names::CONTROL_PLANE_VOLUME, Some(storage.control_plane_size())),
    ];
    sizes.into_iter().filter_map(|(name, size)| Some((name, size?)))
}

/// Whether the claim templates of a StatefulSet ask for other volumes than the spec: a volume is to grow, or to be added.
#[must_use]
pub fn differs(server: &DittoServer, live: &StatefulSet) -> bool {
    let asked = |volume: &str| quantity::nanos(requested(template(live, volume)?)?);
    volumes(&server.spec.storage).any(|(volume, size)| asked(volume) != quantity::nanos(size))
}

/// The claims about whose growth the API server is to be asked: those that are bound and ask for less than the spec.
#[must_use]
pub fn questions(
    server: &DittoServer,
    claims: &Read<Vec<Arc<PersistentVolumeClaim>>>,
) -> Vec<(Arc<PersistentVolumeClaim>, String)> {
    if server.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let claims = claims.found().map(Vec::as_slice).unwrap_or_default();
    of_server(server, claims)
        .filter(|(_, claim, size)| is_bound(claim) && is_smaller(requested(claim), size))
        .map(|(_, claim, size)| (Arc::clone(claim), size.to_owned()))
        .collect()
}

/// Every growth of a server that is not done, in the order of its volumes.
#[must_use]
pub fn growths(observed: &Observed) -> Vec<Growth> {
    let claims = observed.claims.found().map(Vec::as_slice).unwrap_or_default();
    let claims = of_server(&observed.server, claims)
        .filter_map(|(volume, claim, size)| growth(volume, claim, size, &observed.expansion_answers));
    claims.chain(following(observed)).collect()
}

/// Everything about the volumes that is not as the spec asks: growths, and another class.
#[must_use]
pub fn differences(observed: &Observed) -> Vec<Growth> {
    let class = class_trouble(observed).map(Growth::Stuck);
    growths(observed).into_iter().chain(class).collect()
}

/// The growth of one claim that is not done. `None` also for a claim that is of no volume of the server.
#[must_use]
pub fn of_claim(observed: &Observed, claim: &PersistentVolumeClaim) -> Option<Growth> {
    let (volume, claim, size) = of_server(&observed.server, observed.claims.found()?)
        .find(|(_, of_server, _)| of_server.name_any() == claim.name_any())?;
    growth(volume, claim, size, &observed.expansion_answers)
}

/// After which time the StatefulSet may follow its claims, if nothing but time keeps it from that.
#[must_use]
pub fn follows_in(observed: &Observed) -> Option<Duration> {
    match settled(observed) {
        Settled::In(left) if is_behind(observed) => Some(left),
        _ => None,
    }
}

/// A StatefulSet that waits for its pod before it follows its claims.
fn following(observed: &Observed) -> Option<Growth> {
    let waits = is_behind(observed) && settled(observed) != Settled::Now;
    waits.then(|| {
        let name = names::stateful_set(&observed.server.name_any());
        Growth::UnderWay(format!(
            "StatefulSet {name} takes the sizes of its volumes over once its pod has come to rest"
        ))
    })
}

/// Whether a template asks for less than its claim, which has grown.
fn is_behind(observed: &Observed) -> bool {
    let Read::Found(live) = &observed.stateful_set else {
        return false;
    };
    volumes(&observed.server.spec.storage).any(|(volume, size)| {
        let template = template(live, volume);
        let has_grown = matches!(claim_of(observed, volume), Read::Found((claim, _)) if !is_smaller(requested(claim), size));
        template.is_some_and(|template| is_smaller(requested(template), size)) && has_grown
    })
}

fn template<'a>(live: &'a StatefulSet, volume: &str) -> Option<&'a PersistentVolumeClaim> {
    let templates = live.spec.as_ref()?.volume_claim_templates.as_ref()?;
    templates
        .iter()
        .find(|template| template.metadata.name.as_deref() == Some(volume))
}

fn growth(
    volume: &str,
    claim: &Arc<PersistentVolumeClaim>,
    size: &str,
    answers: &BTreeMap<String, ExpansionAnswer>,
) -> Option<Growth> {
    let name = claim.name_any();
    if !is_smaller(requested(claim), size) {
        return under_way(&name, claim);
    }
    if !is_bound(claim) {
        let message = format!("PersistentVolumeClaim {name} is not bound; it grows to {size} once it is");
        return Some(Growth::UnderWay(message));
    }
    Some(match answers.get(&name) {
        Some(ExpansionAnswer::Fixed(class)) => Growth::Stuck(fixed(volume, &name, size, class)),
        Some(ExpansionAnswer::Refused(text)) => Growth::Stuck(refused(&name, size, text)),
        Some(ExpansionAnswer::Allowed | ExpansionAnswer::Unread) | None => Growth::Ask {
            claim: Arc::clone(claim),
            size: size.to_owned(),
        },
    })
}

/// A claim that asks for enough, and has not got it.
fn under_way(name: &str, claim: &PersistentVolumeClaim) -> Option<Growth> {
    let (asked, has) = (requested(claim)?, capacity(claim)?);
    if !is_smaller(Some(has), asked) {
        return None;
    }
    if let Some(text) = resize_error(claim) {
        let message = format!(
            "PersistentVolumeClaim {name} does not grow from {has} to {asked}: {text}. Look at its events and at the volume driver; it goes on by itself once that is mended"
        );
        return Some(Growth::Stuck(Trouble {
            reason: reasons::VOLUME_RESIZE_FAILED,
            message,
        }));
    }
    if has_condition(claim, "FileSystemResizePending") {
        let message = format!(
            "the disk of PersistentVolumeClaim {name} has {asked}, its file system not yet. If this stays, the driver resizes only at the start of a pod: delete pod {} when it suits you",
            pod_of(claim)
        );
        return Some(Growth::Stuck(Trouble {
            reason: reasons::FILE_SYSTEM_RESIZE_PENDING,
            message,
        }));
    }
    let message = format!("PersistentVolumeClaim {name} grows from {has} to {asked}");
    Some(Growth::UnderWay(message))
}

fn fixed(volume: &str, claim: &str, size: &str, class: &str) -> Trouble {
    let message = format!(
        "PersistentVolumeClaim {claim} cannot grow to {size}: its StorageClass {class} does not allow expansion. Set allowVolumeExpansion: true on the class if its driver can do it, or move volume {volume} to another class (docs/storage.md)"
    );
    Trouble {
        reason: reasons::VOLUME_NOT_EXPANDABLE,
        message,
    }
}

fn refused(claim: &str, size: &str, text: &str) -> Trouble {
    let (reason, remedy) = if text.contains("exceeded quota") {
        (
            reasons::VOLUME_QUOTA_EXCEEDED,
            "raise the ResourceQuota; it is tried again within ten minutes, or at the next edit",
        )
    } else if text.contains("must support resize") {
        (
            reasons::VOLUME_NOT_EXPANDABLE,
            "set allowVolumeExpansion: true on the StorageClass if its driver can do it",
        )
    } else {
        (
            reasons::VOLUME_GROWTH_REFUSED,
            "end what the API server objects to; it is tried again within ten minutes, or at the next edit",
        )
    };
    let message = format!("PersistentVolumeClaim {claim} cannot grow to {size}: {remedy}. It says: {text}");
    Trouble { reason, message }
}

/// A StorageClass in the spec that is not that of the volumes. It cannot be followed.
#[must_use]
pub fn class_trouble(observed: &Observed) -> Option<Trouble> {
    let wanted = observed.server.spec.storage.storage_class_name()?;
    let claims = observed.claims.found().map(Vec::as_slice).unwrap_or_default();
    let (_, claim, _) = of_server(&observed.server, claims)
        .find(|(_, claim, _)| class(claim).is_some_and(|class| class != wanted))?;
    let message = format!(
        "spec.storage.storageClassName is {wanted:?}, but PersistentVolumeClaim {} is of class {:?}, and a volume cannot change its class: set the field back, or move the data (docs/storage.md)",
        claim.name_any(),
        class(claim).unwrap_or_default()
    );
    Some(Trouble {
        reason: reasons::STORAGE_CLASS_IMMUTABLE,
        message,
    })
}

/// Whether the template of a volume may take the spec's size now: its claim has it, and the pod stays when the StatefulSet is
/// made again. Where there is no claim, it may be the template that keeps it from being made (a `LimitRange`), and the pod from
/// coming; so nothing is waited for. A volume that is added is none of this: it comes with the configuration that uses it.
#[must_use]
pub fn template_may_follow(observed: &Observed, volume: &str) -> bool {
    match claim_of(observed, volume) {
        Read::Found((claim, size)) => {
            !is_smaller(requested(claim), size) && settled(observed) == Settled::Now
        }
        Read::Missing => true,
        Read::Unreadable(_) => false,
    }
}

/// The claim of a volume, with the size in the spec.
fn claim_of<'a>(observed: &'a Observed, volume: &str) -> Read<(&'a Arc<PersistentVolumeClaim>, &'a str)> {
    match &observed.claims {
        Read::Found(claims) => of_server(&observed.server, claims)
            .find(|(name, _, _)| *name == volume)
            .map_or(Read::Missing, |(_, claim, size)| Read::Found((claim, size))),
        Read::Missing => Read::Missing,
        Read::Unreadable(error) => Read::Unreadable(error.clone()),
    }
}

/// The pod that runs without a volume that its StatefulSet has by now. The StatefulSet's controller makes the claim, and then
/// tries in vain to add it to the running pod, so somebody has to delete that pod: not before the claim is there, or none
/// could follow it, and not where the user wants to do it.
#[must_use]
pub fn pod_without_volume<'a>(observed: &'a Observed, stateful_set: &StatefulSet) -> Option<&'a Arc<Pod>> {
    let may_follow = rollout::rolls_by_itself(stateful_set)
        && missing_claims(observed, stateful_set).is_some_and(|missing| missing.is_empty());
    let lacks_one = |pod: &Pod| template_names(stateful_set).any(|volume| !mounts_claim(pod, volume));
    let mut pods = observed.pods.found()?.iter();
    pods.find(|pod| {
        may_follow
            && pod.metadata.deletion_timestamp.is_none()
            && pods::is_of(pod, stateful_set)
            && lacks_one(pod)
    })
}

/// The claims, by name, that a StatefulSet needs and that are not there. `None` where they could not be read.
#[must_use]
pub fn missing_claims(observed: &Observed, stateful_set: &StatefulSet) -> Option<Vec<String>> {
    let claims = observed.claims.found()?;
    let server = observed.server.name_any();
    let is_there = |name: &String| standing(claims, name).is_some();
    let needed = template_names(stateful_set).map(|volume| names::claim(volume, &server));
    Some(needed.filter(|name| !is_there(name)).collect())
}

fn template_names(stateful_set: &StatefulSet) -> impl Iterator<Item = &str> {
    let spec = stateful_set.spec.as_ref();
    let templates = spec.and_then(|spec| spec.volume_claim_templates.as_ref());
    templates
        .into_iter()
        .flatten()
        .filter_map(|template| template.metadata.name.as_deref())
}

fn mounts_claim(pod: &Pod, volume: &str) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    volumes
        .unwrap_or_default()
        .iter()
        .any(|mounted| mounted.name == volume && mounted.persistent_volume_claim.is_some())
}

/// The claim of this name, if it is there to stay.
pub(crate) fn standing<'a>(
    claims: &'a [Arc<PersistentVolumeClaim>],
    name: &str,
) -> Option<&'a Arc<PersistentVolumeClaim>> {
    let mut claims = claims.iter();
    claims.find(|claim| claim.name_any() == name && claim.metadata.deletion_timestamp.is_none())
}

/// The claims of a server's volumes, each with the volume's name and the size in the spec.
fn of_server<'a>(
    server: &'a DittoServer,
    claims: &'a [Arc<PersistentVolumeClaim>],
) -> impl Iterator<Item = (&'static str, &'a Arc<PersistentVolumeClaim>, &'a str)> {
    let own_name = server.name_any();
    volumes(&server.spec.storage).filter_map(move |(volume, size)| {
        let claim = standing(claims, &names::claim(volume, &own_name))?;
        Some((volume, claim, size))
    })
}

/// `metadata-files-0` is of the pod `files-0`.
fn pod_of(claim: &PersistentVolumeClaim) -> String {
    let instance = claim.labels().get(names::INSTANCE_LABEL);
    names::pod(instance.map(String::as_str).unwrap_or_default())
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get(STORAGE)?.0.as_str())
}

fn capacity(claim: &PersistentVolumeClaim) -> Option<&str> {
    Some(claim.status.as_ref()?.capacity.as_ref()?.get(STORAGE)?.0.as_str())
}

fn class(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// A size that is no quantity is not smaller: nothing is done about it.
fn is_smaller(size: Option<&str>, than: &str) -> bool {
    match (size.and_then(quantity::nanos), quantity::nanos(than)) {
        (Some(size), Some(than)) => size < than,
        _ => false,
    }
}

fn has_condition(claim: &PersistentVolumeClaim, type_: &str) -> bool {
    condition(claim, &[type_]).is_some()
}

fn condition(claim: &PersistentVolumeClaim, types: &[&str]) -> Option<String> {
    let conditions = claim.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|condition| condition.status == "True" && types.contains(&condition.type_.as_str()))?;
    Some(found.message.clone().unwrap_or_else(|| found.type_.clone()))
}

/// What Kubernetes says of a resize that failed (KEP-1790): a condition, and a status that calls it hopeless.
fn resize_error(claim: &PersistentVolumeClaim) -> Option<String> {
    let infeasible = || {
        let statuses = claim.status.as_ref()?.allocated_resource_statuses.as_ref()?;
        statuses
            .get(STORAGE)
            .filter(|status| status.ends_with("Infeasible"))
            .cloned()
    };
    condition(claim, &["ControllerResizeError", "NodeResizeError"]).or_else(infeasible)
}

#[cfg(test)]
mod tests;
