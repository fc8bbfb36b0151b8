//! Counts how often somebody had the pod of the server `files` deleted.

use std::path::PathBuf;

use serde_json::Value;

use super::World;

/// Plays the kubelets. It ends pods that somebody else has deleted, and does so by name only: on a slow machine it may hit
/// the next pod of that name, which is no restart that a user would see.
const KUBELET: &str = "system:kwok";

/// Counts the restarts of a world's pod from now on, by the audit log of the API server: each one begins with a delete.
pub struct Restarts {
    audit_log: PathBuf,
    namespace: String,
    before: usize,
}

impl Restarts {
    /// Starts to count.
    pub fn of(world: &World) -> Self {
        let mut restarts = Self {
            audit_log: world.control_plane().audit_log().to_path_buf(),
            namespace: world.namespace.clone(),
            before: 0,
        };
        restarts.before = restarts.deletes();
        restarts
    }

    /// How many restarts have begun since the start.
    pub fn count(&self) -> usize {
        self.deletes() - self.before
    }

    fn deletes(&self) -> usize {
        let text = std::fs::read_to_string(&self.audit_log).expect("an audit log");
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| self.is_delete(event)).count()
    }

    fn is_delete(&self, event: &Value) -> bool {
        let object = &event["objectRef"];
        let succeeded = event["responseStatus"]["code"]
            .as_i64()
            .is_some_and(|code| code < 300);
        let of_pod = object["resource"] == "pods" && object["namespace"] == *self.namespace;
        let is_delete = event["verb"] == "delete" || object["subresource"] == "eviction";
        of_pod && is_delete && succeeded && event["user"]["username"] != KUBELET
    }
}
