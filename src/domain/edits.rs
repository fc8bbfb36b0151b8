//! What others have written to a server.

use kube::api::ObjectMeta;

use crate::api::DittoServer;
use crate::api::names::FINALIZER;

/// Whether two versions of a server differ in nothing but what the operator writes itself.
#[must_use]
pub fn asks_the_same(one: &DittoServer, other: &DittoServer) -> bool {
    let asked = |server: &DittoServer| ObjectMeta {
        resource_version: None,
        managed_fields: None,
        finalizers: Some(finalizers_of_others(&server.metadata)),
        ..server.metadata.clone()
    };
    one.spec == other.spec && asked(one) == asked(other)
}

/// The finalizers that are not the operator's.
#[must_use]
pub fn finalizers_of_others(metadata: &ObjectMeta) -> Vec<String> {
    let finalizers = metadata.finalizers.iter().flatten();
    finalizers
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn server(change: impl FnOnce(&mut Value)) -> DittoServer {
        let mut server = json!({
            "metadata": {"name": "files", "namespace": "a", "uid": "1", "resourceVersion": "7", "generation": 1},
            "spec": {"storage": {"metadataSize": "1Gi"}},
        });
        change(&mut server);
        serde_json::from_value(server).expect("a server")
    }

    #[test]
    fn a_server_asks_for_the_same_if_only_the_operator_has_written_it() {
        let read = server(|_| {});
        let is_same = |change: fn(&mut Value)| asks_the_same(&read, &server(change));
        assert!(is_same(
            |server: &mut Value| server["metadata"]["resourceVersion"] = json!("8")
        ));
        assert!(is_same(|server| server["status"] = json!({"phase": "Running"})));
        assert!(is_same(
            |server: &mut Value| server["metadata"]["finalizers"] = json!([FINALIZER])
        ));
        for change in [
            |server: &mut Value| server["spec"]["replicas"] = json!(0),
            |server: &mut Value| server["metadata"]["annotations"] = json!({"a": "b"}),
            |server: &mut Value| server["metadata"]["labels"] = json!({"a": "b"}),
            |server: &mut Value| server["metadata"]["finalizers"] = json!(["of.another/program"]),
            |server: &mut Value| server["metadata"]["deletionTimestamp"] = json!("2026-11-28T00:00:00Z"),
            |server: &mut Value| server["metadata"]["uid"] = json!("2"),
        ] {
            assert!(!is_same(change));
        }
    }
}
