//! How one child is brought to its desired state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use kube::ResourceExt;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use super::compare::Difference;
use super::drift::{self, Advice, Contest};
use super::error::Error;
use super::live::{self, Child, Live, Written};
use super::managed_fields::{Reach, only_entry};
use super::writer::{Mode, Write, Writer};
use super::{Outcome, compare, field_managers};
use crate::api::names::FIELD_MANAGER;
use crate::api::{DittoServer, names};
use crate::cluster::cache::Lookup;
use crate::domain::ownership::{Owner, owner};

impl Writer<'_> {
    /// Brings one child to its desired state, with as few calls as possible: none if the cache shows that state.
    pub(super) async fn child<K: Child>(&self, name: &str, desired: &K) -> Written<K> {
        let result = self.try_child(name, desired).await;
        result.unwrap_or_else(Written::from)
    }

    async fn try_child<K: Child>(&self, name: &str, desired: &K) -> Result<Written<K>, Error> {
        let desired = stamped(desired)?;
        match K::lookup(self.context, self.namespace(), name) {
            Lookup::Found(object) => {
                let live = Live::cached(&object)?;
                if self.is_current(&live, &desired) {
                    return Ok(self.current(name, live));
                }
                if let Some(outcome) = self.advised(name, &live, &desired) {
                    return Ok(Written::of(outcome, object));
                }
                match self.apply_to_cached(name, &live, &desired).await {
                    Some(applied) => Ok(applied),
                    None => self.apply_or_create(name, &desired).await,
                }
            }
            Lookup::Unknown(_) => self.apply_or_create(name, &desired).await,
            Lookup::Missing if self.context.drifts.is_taken(&self.key::<K>(name)) => {
                self.apply_or_create(name, &desired).await
            }
            Lookup::Missing => self.create_or_apply(name, &desired).await,
        }
    }

    /// The outcome for a child that is as desired. A correction that another program may undo has not yet succeeded.
    pub(super) fn current<K: Child>(&self, name: &str, live: Live<K>) -> Written<K> {
        let contest = self.context.drifts.unproven(&self.key::<K>(name), Instant::now());
        let outcome = contest.map_or(Outcome::Unchanged, |contest| contested(&contest));
        Written::of(outcome, live.object)
    }

    /// The outcome for a child that differs from what is desired and must not be written again now.
    pub(super) fn advised<K: Child>(&self, name: &str, live: &Live<K>, desired: &Value) -> Option<Outcome> {
        if self.check(live).is_err() {
            return None;
        }
        let differences = live.differences(desired);
        let (key, uid) = (self.key::<K>(name), live.meta().uid.as_deref());
        let drifts = &self.context.drifts;
        match drifts.advice(&key, uid, asked(desired), &differences, Instant::now()) {
            Advice::Write => None,
            Advice::Overridden => Some(overridden(&differences)),
            Advice::Wait(contest) => Some(contested(&contest)),
        }
    }

    pub(super) fn key<K: Child>(&self, name: &str) -> drift::Key {
        drift::Key {
            server: (self.namespace().to_owned(), self.server.name_any()),
            child: (K::KIND, name.to_owned()),
        }
    }

    /// Whether an object is ours, stays, and holds what is desired.
    pub(super) fn is_current<K: Child>(&self, live: &Live<K>, desired: &Value) -> bool {
        let is_ours = matches!(owner(live.meta(), self.server), Owner::Us | Owner::Orphan);
        is_ours && live.meta().deletion_timestamp.is_none() && live.differences(desired).is_empty()
    }

    /// Applies an edit to an object that no one else has written, without reading it before. `None` if it has to be read: what others
    /// have written decides, the cache is behind, or the API server refuses the write.
    async fn apply_to_cached<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
    ) -> Option<Written<K>> {
        let is_edit =
            matches!(self.mode, Mode::Write) && !has_hash(live, desired) && !live.object.is_immutable();
        let is_ours = owner(live.meta(), self.server) == Owner::Us && self.check(live).is_ok();
        if !is_edit || !is_ours || only_entry(live.meta()).is_none() {
            return None;
        }
        // A failure is repeated with the object as it is, and reported then.
        let applied = self.send(name, Write::Apply { live, desired }).await.ok()??;
        let before = contested_fields(live, &live.differences(desired));
        self.note(name, desired, (before, false), &applied).ok()?;
        Some(Written::of(Outcome::Updated, applied))
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
        self.update(name, live, desired).await
    }

    /// Applies to an object that was just read.
    pub(super) async fn update<K: Child>(
        &self,
        name: &str,
        live: Live<K>,
        desired: &Value,
    ) -> Result<Written<K>, Error> {
        let checked = self.check(&live);
        let is_foreign = matches!(checked, Err(Error::Stopped(Outcome::Foreign(_))));
        self.context.drifts.note_taken(self.key::<K>(name), is_foreign);
        checked?;
        if self.is_current(&live, desired) {
            K::clone(&live.object).remember(self.context);
            return Ok(self.current(name, live));
        }
        if let Some(outcome) = self.advised(name, &live, desired) {
            return Ok(Written::of(outcome, live.object));
        }
        let differences = live.differences(desired);
        if self.would_not_change(name, &live, desired, &differences).await {
            return Ok(Written::of(overridden(&differences), live.object));
        }
        let write = if live.object.is_immutable() && compare::has_other_data(&differences) {
            Write::Replace { live: &live, desired }
        } else {
            Write::Apply { live: &live, desired }
        };
        let applied = self.send(name, write).await?;
        if let Some(applied) = &applied {
            let before = contested_fields(&live, &differences);
            self.note(name, desired, (before, has_hash(&live, desired)), applied)?;
        }
        Ok(Written {
            outcome: Outcome::Updated,
            object: applied,
        })
    }

    /// Whether an apply of what was applied before would leave the object as it is: then a policy changes these fields. Asked by a
    /// dry run, once; after that it is remembered.
    async fn would_not_change<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
        differences: &[Difference],
    ) -> bool {
        if !has_hash(live, desired) || live.taken_over(self.server, desired, Reach::Copies).is_some() {
            return false;
        }
        let body = live.guarded(desired);
        let answer = self.try_apply::<K>(name, &body).await;
        let is_same = answer.is_ok_and(|answer| live::differences::<K>(&answer, desired) == differences);
        if is_same {
            let write = drift::Write {
                key: self.key::<K>(name),
                uid: live.meta().uid.as_deref(),
                asked: asked(desired),
                before: Vec::new(),
                had_hash: true,
                after: differences.to_vec(),
            };
            self.context.drifts.wrote(write, Instant::now());
        }
        is_same
    }

    /// Remembers what an answer of the API server still lacks.
    fn note<K: Child>(
        &self,
        name: &str,
        desired: &Value,
        (before, had_hash): (Vec<(String, Vec<String>)>, bool),
        answer: &Arc<K>,
    ) -> Result<(), Error> {
        let live = Live::cached(answer)?;
        let write = drift::Write {
            key: self.key::<K>(name),
            uid: live.meta().uid.as_deref(),
            asked: asked(desired),
            before,
            had_hash,
            after: live.differences(desired),
        };
        self.context.drifts.wrote(write, Instant::now());
        Ok(())
    }

    /// Creates, or returns `None` if an object of this name exists.
    pub(super) async fn create<K: Child>(
        &self,
        name: &str,
        desired: &Value,
    ) -> Result<Option<Arc<K>>, Error> {
        let created = match self.send(name, Write::Create { desired }).await {
            Err(error) if error.is_already_exists() => return Ok(None),
            created => created?,
        };
        if let Some(created) = &created {
            self.note(name, desired, (Vec::new(), false), created)?;
        }
        Ok(created)
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

/// The hash of what is desired.
pub(super) fn asked(desired: &Value) -> &str {
    let annotations = &desired["metadata"]["annotations"];
    annotations[names::APPLIED_HASH_ANNOTATION]
        .as_str()
        .unwrap_or_default()
}

/// Whether the live object says that this state was applied to it.
fn has_hash<K: Child>(live: &Live<K>, desired: &Value) -> bool {
    let hash = &live.fields["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION];
    hash.as_str() == Some(asked(desired))
}

/// The fields that differ, with their field managers.
fn contested_fields<K: Child>(live: &Live<K>, differences: &[Difference]) -> Vec<(String, Vec<String>)> {
    let fields = differences.iter().map(|difference| {
        let managers = field_managers::managers(&live.fields, &difference.path, FIELD_MANAGER);
        (difference.path.clone(), managers)
    });
    fields.collect()
}

pub(super) fn overridden(differences: &[Difference]) -> Outcome {
    Outcome::Overridden(format!(
        "{}. The API server changes this in every write, so an admission policy or a webhook sets it",
        list(differences)
    ))
}

/// As [`overridden`], for claim templates: they are set when a StatefulSet is created.
pub(super) fn overridden_at_create(differences: &[Difference], name: &str) -> Outcome {
    Outcome::Overridden(format!(
        "{}. The API server changed this when StatefulSet {name} was re-created, so an admission policy or a webhook sets it. To have it re-created again: kubectl annotate statefulset {name} {}-",
        list(differences),
        names::RECREATED_FOR_ANNOTATION
    ))
}

fn list(differences: &[Difference]) -> String {
    let fields: Vec<String> = differences.iter().map(Difference::to_string).collect();
    fields.join(", ")
}

fn contested(contest: &Contest) -> Outcome {
    let list = |names: &BTreeSet<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.join(", ")
    };
    let managers = if contest.managers.is_empty() {
        "another program".to_owned()
    } else if contest.managers.contains(FIELD_MANAGER) {
        format!("another program, as field manager {},", list(&contest.managers))
    } else {
        format!("field manager {}", list(&contest.managers))
    };
    Outcome::Contested {
        message: format!(
            "{managers} changes {} after each correction. The pauses between the corrections grow until it stops",
            list(&contest.paths)
        ),
        retry_in: contest.left,
    }
}

/// The child as JSON, with a hash of itself. A field that leaves the desired object changes the hash, and so is noticed
/// although the live object still holds all that is desired.
pub(super) fn stamped<K: Child>(desired: &K) -> Result<Value, Error> {
    let mut value = serde_json::to_value(desired)?;
    let hash = compare::applied_hash(&value)?;
    value["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(hash);
    Ok(value)
}
