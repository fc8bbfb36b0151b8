//! The volumes: claims that are being deleted, and what an earlier server of this name left.

use kube::ResourceExt;

use super::{Concern, Finding, Severity, Violation};
use crate::api::{names, reasons};
use crate::domain::data_home::{self, Place};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{generation, uses};
use crate::domain::volumes;

/// Judges the volumes. Every finding blocks the pod: a new pod would lose data, or start without it.
pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let violations = [
        terminating(observed),
        other_database(observed),
        unmounted_content(observed),
        unreadable(observed),
    ];
    violations.into_iter().flatten().map(Finding::blocking).collect()
}

/// A claim that was deleted while a pod uses it. A new pod would start on an empty volume.
fn terminating(observed: &Observed) -> Option<Violation> {
    let claims = volumes::terminating_claims(observed);
    let first = claims.first()?;
    let names: Vec<String> = claims.iter().map(|claim| claim.name_any()).collect();
    let volume = first.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    let message = format!(
        "PersistentVolumeClaim {} was deleted, and exists only until pod {} ends. Then its data is deleted, and a new pod starts on an empty volume. The operator does not replace the pod meanwhile. To keep the data, set the reclaim policy of its PersistentVolume to Retain: kubectl patch persistentvolume {} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'. Then delete the pod",
        names.join(", "),
        names::pod(&observed.server.name_any()),
        volume.unwrap_or("VOLUME"),
    );
    Some(terminal(reasons::VOLUME_CLAIM_TERMINATING, message))
}

/// A new server must not start on an empty database while the data of an earlier one is in another.
fn other_database(observed: &Observed) -> Option<Violation> {
    let place = data_home::left_elsewhere(observed)?;
    let name = observed.server.name_any();
    let field = match place {
        Place::Percona => "spec.percona",
        Place::OwnPostgres(_) | Place::Sqlite => "spec.database.postgresSecretRef",
    };
    let claim = names::claim(names::CONTROL_PLANE_VOLUME, &name);
    let message = format!(
        "The control-plane data (users, share definitions) of an earlier server is in {}, but the spec asks for another database. No pod is started on an empty one. Set {field} again to use the data; or, to start without it, remove the annotation: kubectl annotate persistentvolumeclaim {claim} {}-",
        place.describe(&name),
        names::CONTROL_PLANE_DATABASE_ANNOTATION,
    );
    Some(terminal(reasons::DATA_IN_OTHER_DATABASE, message))
}

/// A new server must not start without the content volume of an earlier one.
fn unmounted_content(observed: &Observed) -> Option<Violation> {
    let claim = volumes::unmounted_content(observed)?.name_any();
    let message = format!(
        "An earlier server left file content on PersistentVolumeClaim {claim}, but the spec has no storage.contentSize. No pod is started without the volume. Set spec.storage.contentSize again to use it; or, to start without it, delete the claim"
    );
    Some(terminal(reasons::CONTENT_VOLUME_NOT_IN_SPEC, message))
}

/// Nothing is started while it is unknown whether an earlier server left data: that data knows its own password, not a new one,
/// and an empty database would hide its users.
fn unreadable(observed: &Observed) -> Option<Violation> {
    let Read::Unreadable(error) = &observed.claims else {
        return None;
    };
    if !matches!(observed.stateful_set, Read::Missing) {
        return None;
    }
    let lacks_secret = generation::missing(observed, &uses(&observed.server))
        .next()
        .is_some();
    if !lacks_secret && !data_home::needs_confirmation(observed) {
        return None;
    }
    let message = format!(
        "The PersistentVolumeClaims cannot be read, so it is unknown whether an earlier server of this name left data: {error}"
    );
    Some(Violation {
        severity: Severity::Unknown,
        ..terminal(reasons::VOLUME_CLAIMS_UNREADABLE, message)
    })
}

fn terminal(reason: &'static str, message: String) -> Violation {
    Violation {
        reason,
        message,
        concern: Concern::Config,
        severity: Severity::Terminal,
    }
}
