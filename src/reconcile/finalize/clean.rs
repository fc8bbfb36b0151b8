//! The calls of a cleanup. Each pass starts from what the API server holds, so nothing is lost by a restart.
//!
//! Every delete names the UID that was just read, and the server itself is read first. So an operator with a stale cache does
//! not touch the data of a new server.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::Patch;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::database;
use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::cluster::client::errors;
use crate::cluster::client::params::{delete_exactly, patch_params};
use crate::domain::cleanup::plan::{
    Cleanup, DatabaseState, Plan, Task, TaskState, is_annotated_as_kept, is_labelled_for, is_orphaned_pod,
    missing_removal_finalizers,
};
use crate::domain::ownership::{Owner, is_adopted, is_bound, owner};

/// The garbage collector's finalizer of a deletion with `--cascade=orphan`.
const ORPHAN_FINALIZER: &str = "orphan";

/// One server's cleanup.
pub(super) struct Cleaner<'a> {
    pub(super) client: Client,
    /// The server that is being deleted, as just read. If its spec does not parse, only the metadata is used.
    pub(super) server: &'a DittoServer,
}

impl Cleaner<'_> {
    /// One pass. `plan` gets what exists of a database.
    pub(super) async fn pass(&self, plan: impl FnOnce(DatabaseState) -> Plan) -> Cleanup {
        let mut cleanup = Cleanup::default();
        let (cluster, database) = match self.read_cluster().await {
            Ok(Some(cluster)) if is_adopted(&cluster.metadata, self.server) => {
                (Some(cluster), DatabaseState::Adopted)
            }
            Ok(Some(cluster)) => (Some(cluster), DatabaseState::Cluster),
            Ok(None) => (None, self.state_without_cluster().await),
            Err(error) => {
                // It may be bound to the server, even if the server has no database by now. That must be known before the
                // finalizer is removed.
                cleanup.tasks.push(self.cluster_task(state_of(&error), true));
                (None, DatabaseState::Cluster)
            }
        };
        let plan = plan(database);
        if let Some(cluster) = cluster {
            cleanup.tasks.extend(self.clean_database(&cluster, &plan).await);
        }
        for name in plan.kept_secrets {
            let kept = self.keep_secret(name, plan.annotate_kept_secrets).await;
            cleanup.tasks.extend(kept);
        }
        if plan.annotate_kept_secrets && cleanup.tasks.iter().any(Task::is_failed_and_vital) {
            // The annotation on the claims would be deleted with them.
            return cleanup;
        }
        for name in plan.secrets {
            cleanup.tasks.extend(self.delete_secret(name).await);
        }
        for name in plan.claims {
            cleanup.tasks.extend(self.delete_claim(name).await);
        }
        cleanup.tasks.extend(self.delete_orphan().await);
        cleanup
    }

    /// Whether the server is deleted with `--cascade=orphan`. The garbage collector removes the owner references of the children, and
    /// then its own finalizer. So children without owner mean the same as that finalizer. A foreground or background deletion
    /// leaves the references.
    pub(super) async fn is_orphaning(&self) -> kube::Result<bool> {
        if self
            .server
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ORPHAN_FINALIZER)
        {
            return Ok(true);
        }
        let name = self.server.name_any();
        let set = self
            .api::<StatefulSet>()
            .get_metadata_opt(&names::stateful_set(&name))
            .await?;
        let config = self
            .api::<ConfigMap>()
            .get_metadata_opt(&names::config_map(&name))
            .await?;
        let children = [set.map(|set| set.metadata), config.map(|config| config.metadata)];
        let mut children = children.into_iter().flatten().peekable();
        Ok(children.peek().is_some() && children.all(|child| owner(&child, self.server) == Owner::Orphan))
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.server.namespace().unwrap_or_default())
    }

    /// `None` also where its kind is not served.
    async fn read_cluster(&self) -> kube::Result<Option<PartialObjectMeta<PerconaPGCluster>>> {
        let name = names::percona_cluster(&self.server.name_any());
        match self.api::<PerconaPGCluster>().get_metadata(&name).await {
            Ok(cluster) => Ok(Some(cluster)),
            // For a kind that is not served the answer is not a Status object, so `get_opt` would return an error.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What exists of a database whose cluster is gone.
    async fn state_without_cluster(&self) -> DatabaseState {
        let name = names::percona_user_secret(&self.server.name_any());
        match self.api::<Secret>().get_metadata_opt(&name).await {
            Ok(None) => DatabaseState::Gone,
            Ok(Some(_)) | Err(_) => DatabaseState::UserSecret,
        }
    }

    fn cluster_task(&self, state: TaskState, is_vital: bool) -> Task {
        Task {
            kind: PerconaPGCluster::KIND,
            name: names::percona_cluster(&self.server.name_any()),
            state,
            is_vital,
        }
    }

    async fn clean_database(
        &self,
        cluster: &PartialObjectMeta<PerconaPGCluster>,
        plan: &Plan,
    ) -> Option<Task> {
        let bound = is_bound(&cluster.metadata, self.server.uid().as_deref());
        if !plan.delete_database {
            return if bound {
                Some(self.release(cluster).await)
            } else {
                None
            };
        }
        let is_ours = bound || matches!(owner(cluster.meta(), self.server), Owner::Us | Owner::Orphan);
        if !is_ours {
            return None;
        }
        if cluster.metadata.deletion_timestamp.is_some() {
            return Some(self.cluster_task(TaskState::Terminating, false));
        }
        if let Some(finalizers) = missing_removal_finalizers(&cluster.metadata)
            && let Err(error) =
                database::write(&self.client, &cluster.metadata, json!({"finalizers": finalizers})).await
        {
            return Some(self.cluster_task(state_of(&error), false));
        }
        let state = delete(&self.api::<PerconaPGCluster>(), cluster).await?;
        Some(self.cluster_task(state, false))
    }

    async fn release(&self, cluster: &PartialObjectMeta<PerconaPGCluster>) -> Task {
        match database::release(&self.client, self.server, &cluster.metadata).await {
            Ok(_) => self.cluster_task(TaskState::Kept, true),
            Err(error) => self.cluster_task(state_of(&error), true),
        }
    }

    async fn delete_claim(&self, name: String) -> Option<Task> {
        let own_name = self.server.name_any();
        self.delete_if::<PersistentVolumeClaim>("PersistentVolumeClaim", name, |claim| {
            is_labelled_for(claim, &own_name)
        })
        .await
    }

    async fn delete_secret(&self, name: String) -> Option<Task> {
        self.delete_if::<Secret>("Secret", name, |secret| {
            let is_ours = matches!(owner(&secret.metadata, self.server), Owner::Us | Owner::Orphan);
            is_ours && !is_annotated_as_kept(secret, self.server)
        })
        .await
    }

    /// Removes the owner reference of a Secret that is kept, and annotates it as kept if `must_annotate`. `None` if there is
    /// nothing to write.
    async fn keep_secret(&self, name: String, must_annotate: bool) -> Option<Task> {
        let (api, uid) = (self.api::<Secret>(), self.server.uid());
        let state = match api.get_metadata_opt(&name).await {
            Ok(Some(secret)) => {
                let lacks_annotation = must_annotate && !is_annotated_as_kept(&secret, self.server);
                if !lacks_annotation && !is_bound(&secret.metadata, uid.as_deref()) {
                    return None;
                }
                let body = Patch::Merge(self.kept(&secret, must_annotate));
                match api.patch_metadata(&name, &patch_params(), &body).await {
                    Ok(_) => TaskState::Kept,
                    Err(kube::Error::Api(status)) if status.code == 404 => return None,
                    Err(error) => state_of(&error),
                }
            }
            Ok(None) => return None,
            Err(error) => state_of(&error),
        };
        Some(Task {
            kind: "Secret",
            name,
            state,
            is_vital: true,
        })
    }

    /// The metadata of a kept Secret, without the server as owner. Names UID and version that were read.
    fn kept(&self, secret: &PartialObjectMeta<Secret>, must_annotate: bool) -> serde_json::Value {
        let uid = self.server.uid().unwrap_or_default();
        let owners = secret.metadata.owner_references.iter().flatten();
        let others: Vec<_> = owners.filter(|owner| owner.uid != uid).collect();
        let mut metadata = json!({
            "uid": secret.metadata.uid,
            "resourceVersion": secret.metadata.resource_version,
            "ownerReferences": others,
        });
        if must_annotate {
            metadata["annotations"] = json!({names::KEPT_FOR_ANNOTATION: uid});
        }
        json!({"metadata": metadata})
    }

    /// Deletes the pod if no StatefulSet owns it any more: the operator was killed while it re-created the StatefulSet. Nothing
    /// else deletes the pod, and its claims could not be deleted either.
    async fn delete_orphan(&self) -> Option<Task> {
        let own_name = self.server.name_any();
        self.delete_if::<Pod>("Pod", names::pod(&own_name), |pod| {
            is_orphaned_pod(pod, &own_name)
        })
        .await
    }

    /// Deletes an object of this name if it is ours. Reads only its metadata, because it may be a Secret.
    async fn delete_if<K>(
        &self,
        kind: &'static str,
        name: String,
        is_ours: impl FnOnce(&PartialObjectMeta<K>) -> bool,
    ) -> Option<Task>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let state = match api.get_metadata_opt(&name).await {
            Ok(Some(object)) if !is_ours(&object) => None,
            Ok(Some(object)) if object.metadata.deletion_timestamp.is_some() => Some(TaskState::Terminating),
            Ok(Some(object)) => delete(&api, &object).await,
            Ok(None) => None,
            Err(error) => Some(state_of(&error)),
        };
        state.map(|state| Task {
            kind,
            name,
            state,
            is_vital: false,
        })
    }
}

/// Deletes the object that was just read, and no other one of its name. `None` if it is gone.
async fn delete<K, M>(api: &Api<K>, object: &M) -> Option<TaskState>
where
    K: Clone + Debug + DeserializeOwned,
    M: Resource,
{
    let params = delete_exactly(object.meta());
    match api.delete(&object.name_any(), &params).await {
        Ok(_) => Some(TaskState::Requested),
        // Gone, or replaced by another object, which is not ours.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => None,
        Err(error) => Some(state_of(&error)),
    }
}

/// A conflict (the object has changed since it was read) and an overload are temporary; a refusal is not.
fn state_of(error: &kube::Error) -> TaskState {
    match error {
        kube::Error::Api(status) if matches!(status.code, 400..=499) && !matches!(status.code, 409 | 429) => {
            TaskState::Refused(format!("{} (HTTP {})", status.message, status.code))
        }
        _ => TaskState::Unanswered(errors::explain(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::Value;

    use super::*;
    use crate::domain::cleanup::plan::Next;
    use crate::domain::testing;

    /// A client of an API server that refuses every call like this.
    fn refused(code: u16) -> Client {
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code});
        let answer = move |_: Request<Body>| {
            let mut response = Response::new(Body::from(Value::to_string(&status).into_bytes()));
            *response.status_mut() = code.try_into().expect("a code of HTTP");
            std::future::ready(Ok::<_, Infallible>(response))
        };
        Client::new(tower::service_fn(answer), "storage")
    }

    // invariant: 6
    #[tokio::test]
    async fn a_server_stays_while_its_cluster_cannot_be_read_also_with_percona_off() {
        for (spec, code) in [
            ("", 403),
            ("percona: {enabled: false, deleteWithServer: true}", 403),
            ("percona: {enabled: false, deleteWithServer: true}", 503),
        ] {
            let server = testing::server(spec);
            let cleaner = Cleaner {
                client: refused(code),
                server: &server,
            };
            let mut cleanup = cleaner
                .pass(|_| Plan::of(&server, DatabaseState::Cluster, false))
                .await;
            cleanup.tasks.retain(|task| task.kind == PerconaPGCluster::KIND);
            let next = cleanup.next(Duration::from_secs(10_000));
            assert!(matches!(next, Next::Retry(_)), "{spec}, {code}: {next:?}");
        }
    }
}
