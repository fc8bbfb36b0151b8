//! Counts how often the pod of the server `files` was deleted.

use std::collections::BTreeSet;

use serde_json::Value;

use super::World;
use super::audit::AuditLog;

/// The simulated kubelets: they end pods that another client has deleted.
const KUBELET: &str = "system:kwok";

/// Counts the restarts of a world's pod from now on, by the audit log of the API server: each one begins with a delete.
pub struct Restarts {
    audit_log: AuditLog,
    namespace: String,
    before: BTreeSet<String>,
}

impl Restarts {
    /// Starts to count.
    pub fn of(world: &World) -> Self {
        let mut restarts = Self {
            audit_log: world.audit().clone(),
            namespace: world.namespace.clone(),
            before: BTreeSet::new(),
        };
        restarts.before = restarts.deleted();
        restarts
    }

    /// How many restarts have begun since the start.
    pub fn count(&self) -> usize {
        self.deleted().difference(&self.before).count()
    }

    /// The UIDs of the pods that were deleted. One may be deleted twice, by a controller whose cache is old.
    fn deleted(&self) -> BTreeSet<String> {
        let events = self.audit_log.events().into_iter();
        let deletes = events.filter(|event| self.is_delete(event));
        deletes.map(|event| uid(&event["responseObject"])).collect()
    }

    fn is_delete(&self, event: &Value) -> bool {
        let object = &event["objectRef"];
        let succeeded = event["responseStatus"]["code"]
            .as_i64()
            .is_some_and(|code| code < 300);
        let of_pod = object["resource"] == "pods" && object["namespace"] == *self.namespace;
        of_pod && event["verb"] == "delete" && succeeded && event["user"]["username"] != KUBELET
    }
}

/// The UID in the answer to a delete: of the pod that terminates, or of one that is already gone.
fn uid(answer: &Value) -> String {
    let uid = answer["metadata"]["uid"].as_str();
    let uid = uid.or(answer["details"]["uid"].as_str());
    uid.expect("the audit log has the answers to deletes of pods")
        .to_owned()
}
