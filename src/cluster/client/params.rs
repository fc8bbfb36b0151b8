//! Parameters of calls: the field manager and the preconditions.

use kube::api::{DeleteParams, ObjectMeta, PatchParams, PostParams, Preconditions};

use crate::api::names::FIELD_MANAGER;

/// Parameters of a patch that is not a server-side apply.
#[must_use]
pub fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// As [`patch_params`], for a dry run.
#[must_use]
pub fn patch_dry_run() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..patch_params()
    }
}

/// As [`post`], for a dry run.
#[must_use]
pub fn post_dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..post()
    }
}

/// Deletes only the object with this UID, not a new one of the same name.
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

/// Deletes the object only if it is as it was read (same UID and resourceVersion).
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

/// A dry run of a server-side apply. The answer includes the fields of other field managers.
#[must_use]
pub fn dry_apply() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..PatchParams::apply(FIELD_MANAGER).force()
    }
}

/// Parameters of a create, with our field manager.
#[must_use]
pub fn post() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}
