//! What every kind of child has in common: its trait, an object of the cluster, and the outcome of a write.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};

use super::Outcome;
use super::error::Error;
use super::managed_fields::{self, Reach};
use crate::api::DittoServer;
use crate::base::slots::Slots;
use crate::cluster::cache::{Cached, Lookup};
use crate::domain::compare::{self, Difference};
use crate::reconcile::context::Context;

/// A kind of child. Each kind's file says what is peculiar to it.
pub(super) trait Child: Cached + Serialize {
    /// Kind, as in `kubectl get <kind>`.
    const KIND: &'static str;
    /// Whether the watch covers every object of the kind, and not only those with our labels.
    const IS_WATCHED_WHOLE: bool = false;
    /// Whether its contents, and errors about it, must not be shown.
    const IS_CONFIDENTIAL: bool = false;

    /// Whether the API server refuses other data in this object, and it may be deleted and created again.
    fn is_immutable(&self) -> bool {
        false
    }

    /// What the watch knows of an object.
    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self>;

    /// Keeps an object that was just written, until the watch delivers it.
    fn remember(self, context: &Context);

    /// Whether an object that has no controller and was made by someone else may be used.
    fn may_adopt(_metadata: &ObjectMeta, _server: &DittoServer) -> bool {
        false
    }

    /// The slots in which objects of this kind are created after a failure, if there is a limit.
    fn repeated_creations(_context: &Context) -> Option<&Slots> {
        None
    }
}

/// An object of the cluster. `fields` holds all of it; the type may know only a part.
pub(super) struct Live<K> {
    /// Whether it is from a cache. Then `managedFields` do not say which fields an entry has, and `fields` holds what the type knows.
    pub(super) is_cached: bool,
    pub(super) object: Arc<K>,
    pub(super) fields: Value,
}

impl<K: Child> Live<K> {
    pub(super) fn parse(fields: Value) -> Result<Self, Error> {
        let object = Arc::new(serde_json::from_value(fields.clone())?);
        Ok(Self {
            is_cached: false,
            object,
            fields,
        })
    }

    /// From a cache.
    pub(super) fn cached(object: &Arc<K>) -> Result<Self, Error> {
        Ok(Self {
            is_cached: true,
            object: Arc::clone(object),
            fields: serde_json::to_value(object.as_ref())?,
        })
    }

    pub(super) fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    /// The desired object with the UID of this one: an apply to another one of its name is refused.
    pub(super) fn guarded(&self, desired: &Value) -> Value {
        let mut guarded = desired.clone();
        guarded["metadata"]["uid"] = json!(self.meta().uid);
        guarded
    }

    /// The field owners with everything that is ours in our `Apply` entry; `None` if nothing is to be moved.
    pub(super) fn taken_over(
        &self,
        server: &DittoServer,
        desired: &Value,
        reach: Reach,
    ) -> Option<Vec<ManagedFieldsEntry>> {
        let child = managed_fields::Child {
            kind: K::KIND,
            metadata: self.meta(),
            fields: &self.fields,
        };
        managed_fields::taken_over(&child, server, desired, reach)
    }

    /// Every field that is desired and not live, and every list item that has a name of ours and is not desired.
    pub(super) fn differences(&self, desired: &Value) -> Vec<Difference> {
        differences::<K>(&self.fields, desired)
    }

    /// The UID and the version that a write may name as its precondition.
    pub(super) fn identity(&self) -> Value {
        json!({"uid": self.meta().uid, "resourceVersion": self.meta().resource_version})
    }
}

/// As [`Live::differences`], for the fields of an object.
pub(super) fn differences<K: Child>(fields: &Value, desired: &Value) -> Vec<Difference> {
    let mut differences = compare::differences(fields, desired);
    differences.extend(managed_fields::leftovers(K::KIND, fields, desired));
    differences
}

/// The outcome for one child, and the object that exists now, if that is known.
pub(super) struct Written<K> {
    pub(super) outcome: Outcome,
    pub(super) object: Option<Arc<K>>,
}

impl<K> Written<K> {
    pub(super) fn of(outcome: Outcome, object: Arc<K>) -> Self {
        Self {
            outcome,
            object: Some(object),
        }
    }

    pub(super) fn without(outcome: Outcome) -> Self {
        Self {
            outcome,
            object: None,
        }
    }
}

impl<K> From<Error> for Written<K> {
    fn from(error: Error) -> Self {
        Self::without(error.into())
    }
}
