//! What every kind of child has in common, and how one child is brought to its desired state.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::managed_fields::{self, Reach};
use super::writer::{Write, Writer};
use super::{Outcome, compare};
use crate::api::{DittoServer, names};
use crate::cluster::cache::{Cached, Lookup};
use crate::domain::ownership::{Owner, owner};
use crate::reconcile::context::Context;

/// A kind of child. Each kind's file says what is peculiar to it.
pub(super) trait Child: Cached + Serialize {
    /// Kind, as in `kubectl get <kind>`.
    const KIND: &'static str;
    /// Whether the watch covers every object of the kind, and not only those with our labels.
    const IS_WATCHED_WHOLE: bool = false;
    /// Whether its contents, and errors about it, must not be shown.
    const IS_CONFIDENTIAL: bool = false;

    /// What the watch knows of an object.
    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self>;

    /// Keeps an object that was just written, until the watch delivers it.
    fn remember(self, context: &Context);

    /// Whether an object that has no controller and was made by someone else may be used.
    fn may_adopt(_metadata: &ObjectMeta, _server: &DittoServer) -> bool {
        false
    }
}

/// An object of the cluster. `fields` holds all of it; the type may know only a part.
pub(super) struct Live<K> {
    pub(super) object: Arc<K>,
    pub(super) fields: Value,
}

impl<K: Child> Live<K> {
    pub(super) fn parse(fields: Value) -> Result<Self, Error> {
        let object = Arc::new(serde_json::from_value(fields.clone())?);
        Ok(Self { object, fields })
    }

    /// From a cache. What the type does not know is missing then.
    pub(super) fn cached(object: &Arc<K>) -> Result<Self, Error> {
        Ok(Self {
            object: Arc::clone(object),
            fields: serde_json::to_value(object.as_ref())?,
        })
    }

    pub(super) fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    /// The field owners with everything that is ours in our `Apply` entry; `None` if nothing is to be moved.
    pub(super) fn taken_over(&self, server: &DittoServer, reach: Reach) -> Option<Vec<ManagedFieldsEntry>> {
        let child = managed_fields::Child {
            kind: K::KIND,
            metadata: self.meta(),
            fields: &self.fields,
        };
        managed_fields::taken_over(&child, server, reach)
    }

    /// The UID and the version that a write may name as its precondition.
    pub(super) fn identity(&self) -> Value {
        json!({"uid": self.meta().uid, "resourceVersion": self.meta().resource_version})
    }
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

impl Writer<'_> {
    /// Brings one child to its desired state, with as few calls as possible: none if the cache shows that state.
    pub(super) async fn child<K: Child>(&self, name: &str, desired: &K) -> Written<K> {
        let result = self.try_child(name, desired).await;
        result.unwrap_or_else(Written::from)
    }

    async fn try_child<K: Child>(&self, name: &str, desired: &K) -> Result<Written<K>, Error> {
        let desired = stamped(desired)?;
        match K::lookup(self.context, self.namespace(), name) {
            Lookup::Found(live) if self.is_current(&Live::cached(&live)?, &desired) => {
                Ok(Written::of(Outcome::Unchanged, live))
            }
            Lookup::Found(_) | Lookup::Unknown(_) => self.apply_or_create(name, &desired).await,
            Lookup::Missing => self.create_or_apply(name, &desired).await,
        }
    }

    /// Whether an object is ours, stays, and holds what is desired.
    pub(super) fn is_current<K: Child>(&self, live: &Live<K>, desired: &Value) -> bool {
        let is_ours = matches!(owner(live.meta(), self.server), Owner::Us | Owner::Orphan);
        is_ours && live.meta().deletion_timestamp.is_none() && compare::holds(&live.fields, desired)
    }

    async fn create_or_apply<K: Child>(&self, name: &str, desired: &Value) -> Result<Written<K>, Error> {
        match self.create(name, desired).await? {
            Some(created) => Ok(Written::of(Outcome::Created, created)),
            // The object was built for a cluster without it. The next reconcile builds it again.
            None if K::IS_WATCHED_WHOLE => Err(Error::Raced),
            // The cache does not hold it: it belongs to another owner, or it lacks our labels.
            None => self.apply_or_create(name, desired).await,
        }
    }

    async fn apply_or_create<K: Child>(&self, name: &str, desired: &Value) -> Result<Written<K>, Error> {
        let Some(live) = self.read::<K>(name).await? else {
            let created = self.create(name, desired).await?.ok_or(Error::Raced)?;
            return Ok(Written::of(Outcome::Created, created));
        };
        self.check(&live)?;
        if self.is_current(&live, desired) {
            K::clone(&live.object).remember(self.context);
            return Ok(Written::of(Outcome::Unchanged, live.object));
        }
        let write = Write::Apply { live: &live, desired };
        let applied = self.send(name, write).await?;
        Ok(Written {
            outcome: Outcome::Updated,
            object: applied,
        })
    }

    /// Creates, or returns `None` if an object of this name exists.
    pub(super) async fn create<K: Child>(
        &self,
        name: &str,
        desired: &Value,
    ) -> Result<Option<Arc<K>>, Error> {
        match self.send(name, Write::Create { desired }).await {
            Err(error) if error.is_already_exists() => Ok(None),
            sent => sent,
        }
    }

    /// Whether an existing object may be written now.
    pub(super) fn check<K: Child>(&self, live: &Live<K>) -> Result<(), Error> {
        self.refusal(live.meta(), K::may_adopt)
            .map_or(Ok(()), |outcome| Err(Error::Stopped(outcome)))
    }

    fn refusal(
        &self,
        live: &ObjectMeta,
        may_adopt: impl FnOnce(&ObjectMeta, &DittoServer) -> bool,
    ) -> Option<Outcome> {
        match owner(live, self.server) {
            Owner::Other(_) if may_adopt(live, self.server) => None,
            Owner::Other(whom) => Some(Outcome::Foreign(whom)),
            Owner::Predecessor => Some(Outcome::Terminating),
            Owner::Us | Owner::Orphan => live.deletion_timestamp.as_ref().map(|_| Outcome::Terminating),
        }
    }
}

/// The child as JSON, with a hash of itself. A field that leaves the desired object changes the hash, and so is noticed
/// although the live object still holds all that is desired.
pub(super) fn stamped<K: Child>(desired: &K) -> Result<Value, Error> {
    let mut value = serde_json::to_value(desired)?;
    let digest = Sha256::digest(serde_json::to_vec(&value)?);
    let hash = digest
        .iter()
        .take(8)
        .fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    value["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(format!("{hash:016x}"));
    Ok(value)
}
