//! Parameters of calls: who writes, and which object may be changed.

use kube::api::{DeleteParams, ObjectMeta, PatchParams, PostParams, Preconditions};

use crate::api::names::FIELD_MANAGER;

/// How a patch is sent that is no apply.
#[must_use]
pub fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// A delete of this very object, and of no other one that has its name by then.
#[must_use]
pub fn delete_exactly(metadata: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// A delete of this very object, and only if it is as it was when it was looked at.
#[must_use]
pub fn delete_unchanged(metadata: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

/// An apply that only asks: what others set is there in the answer.
#[must_use]
pub fn dry_apply() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..PatchParams::apply(FIELD_MANAGER).force()
    }
}

/// A create that names us as the field manager.
#[must_use]
pub fn post() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}
